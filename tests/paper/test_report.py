"""The report: the committed one from the committed results, and one of made-up complete results."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from alphagrad.paper.arms import adam_of, arm_results
from alphagrad.paper.choice import choice
from alphagrad.paper.choice import judged as judged_studies
from alphagrad.paper.claims import Judged, counts_table, judge
from alphagrad.paper.claims_of_ours import OF_PROTOTYPE
from alphagrad.paper.claims_of_paper import OF_PAPER
from alphagrad.paper.figures import saturation_table
from alphagrad.paper.plan import Job, Plan, load_plan, plan_files
from alphagrad.paper.report import write_report
from alphagrad.paper.results import EACH, SCHEMA, Result, Results, Run
from alphagrad.paper.theory import THEORY

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "studies" / "paper" / "results"
STEPS = range(1000, 11_000, 1000)
TRACES = tuple(f"{what}/{layer}.weight" for what in ("alpha", "saturation") for layer in "ab")
PLANS = {name: load_plan(path) for name, path in plan_files().items()}


def report(folder: Path, results: Results) -> Path:
    """Write the report into a folder that holds nothing else."""
    page = folder / "paper.md"
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "rl.json").write_bytes((ROOT / "docs/figures/rl.json").read_bytes())
    write_report(PLANS, results, page)
    return page


def figures(page: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (page.parent / "figures/paper").iterdir()}


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(tmp_path_factory.mktemp("docs") / "remade", Results(RESULTS))


def test_the_page_is_what_the_results_give(remade: Path) -> None:
    assert remade.read_text(encoding="utf-8") == (ROOT / "docs/paper.md").read_text("utf-8")


def test_every_figure_is_what_the_results_give_and_is_shown(remade: Path) -> None:
    assert figures(remade) == figures(ROOT / "docs" / "paper.md")
    page = remade.read_text(encoding="utf-8")
    assert all(f"(figures/paper/{name})" in page for name in figures(remade))


def made_up(results: Results, plan: Plan, job: Job, *, level: float, failed: int = 0) -> None:
    """Write a result whose runs end near a level, and curves of all series."""
    generator = np.random.default_rng([len(job.name), *job.name.encode()])
    params = plan.spec(job, choice(job, results))
    searched = {"alpha": 30.0, "learning_rate": 1e-4} if job.role == "search" else {}
    values = level + generator.normal(0, 2, job.n_trials)
    runs = [
        Run(
            number=number,
            seed=(100 if job.role == "select" else job.part) + number,
            state="FAIL" if number < failed else "COMPLETE",
            value=None if number < failed else float(value),
            params=searched,
            attempts=1,
            seconds=60.0,
        )
        for number, value in enumerate(values)
    ]
    machine = {"cpu": "a processor", "cores": 2, "blas": ["openblas"]}
    result = Result(name=job.name, spec=params, versions={"torch": "2"}, machine=machine, runs=runs)
    rows = [
        (run.number, name, step, float(value + generator.normal()))
        for run, value in zip(runs, values, strict=True)
        for name in (EACH, "losses/entropy", "losses/approx_kl", "losses/explained_variance")
        + (TRACES if "adam" not in job.arm else ())
        for step in STEPS
    ]
    columns = zip(*rows, strict=True)
    table = pa.table([pa.array(column) for column in columns], names=SCHEMA.names).cast(SCHEMA)
    results.write(result, table if job.role == "report" else None)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results of every study: Adam at 100, AlphaGrad at 200; two runs of an arm failed."""
    results = Results(tmp_path_factory.mktemp("complete"))
    for plan in PLANS.values():
        for job in plan.jobs():
            level = 100 if "adam" in job.arm else 200
            made_up(results, plan, job, level=level, failed=2 if job.arm == "k2" else 0)
    (results.folder / THEORY).write_bytes((RESULTS / THEORY).read_bytes())
    return results


def test_complete_results_give_a_complete_report(complete: Results, tmp_path: Path) -> None:
    made = report(tmp_path / "complete", complete)
    page = made.read_text(encoding="utf-8")
    assert not any(said in page for said in ("**not run**", "run yet", "to the end yet"))
    assert "8 + 2 failed" in page
    for plan in PLANS.values():
        assert all(f"| {arm.label} |" in page for arm in plan.arms.values())
    assert len(figures(made)) == 16


def judged(results: Results, wanted: str) -> Judged:
    tasks = {task: {a.name: a for a in arm_results(plan, results)} for task, plan in PLANS.items()}
    (found,) = [
        one for one in judge(OF_PAPER + OF_PROTOTYPE, tasks) if one.claim.startswith(wanted)
    ]
    return found


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("Each α is far above Adam", "confirmed"),
        ("Adam ends higher than each α", "refuted"),
        ("α = 98 goes above 3,000", "refuted"),
        ("Adam stays near 1,500", "refuted"),
        ("k between 1 and 3 is a good start", "confirmed"),
        ("One seed in four escapes", "refuted"),
        ("k = 0.3 beats Adam", "confirmed"),
    ],
)
def test_claims_are_decided_by_intervals(complete: Results, claim: str, verdict: str) -> None:
    found = judged(complete, claim)
    assert found.verdict == verdict
    assert found.numbers


def test_a_claim_whose_runs_are_missing_waits_for_them(tmp_path: Path) -> None:
    found = judged(Results(tmp_path), "Each α is far above Adam")
    assert (found.verdict, found.numbers) == (
        "not run",
        "no complete run of alpha98, alpha196, alpha294, adam",
    )


def test_verdicts_are_counted() -> None:
    claims = [Judged("6", "a claim", verdict, "") for verdict in ("refuted", "not run", "refuted")]
    assert counts_table({"of the paper": claims}).splitlines() == [
        "| claims | confirmed | refuted | not decided | not run |",
        "| --- | --- | --- | --- | --- |",
        "| of the paper | 0 | 2 | 0 | 1 |",
    ]


def td3(folder: Path, *, levels: dict[str, float], failed: int = 0) -> Results:
    """Results of TD3's studies, at the level of their arm, or 100; all of α = 250 may fail."""
    results, plan = Results(folder), PLANS["td3"]
    for job in plan.jobs():
        level = levels.get(job.arm, 100)
        made_up(results, plan, job, level=level, failed=failed if job.arm == "alpha250" else 0)
    (folder / THEORY).write_bytes((RESULTS / THEORY).read_bytes())
    return results


def test_an_arm_whose_runs_all_failed_is_named_and_decides_nothing(tmp_path: Path) -> None:
    page = report(tmp_path / "docs", td3(tmp_path, levels={}, failed=1)).read_text(encoding="utf-8")
    assert "All runs failed of: α = 250." in page
    assert "no complete run of alpha250" in page


def test_what_does_not_come_near_adam_is_not_called_smooth(tmp_path: Path) -> None:
    low = {"alpha100": 10.0, "alpha250": 10.0}
    found = judged(td3(tmp_path, levels=low), "It is smoother than Adam")
    assert found.verdict == "not decided"
    assert found.numbers.startswith("α = 100 does not come near: 0.1")
    numbers = judged(td3(tmp_path, levels={"alpha250": 10.0}), "It is smoother than Adam").numbers
    assert numbers.startswith("P(drawdown as a share of the peak lower with α = 100 than Adam) = ")
    assert "; α = 250 does not come near: 0.1" in numbers


def test_too_few_runs_are_said_to_be_too_few(tmp_path: Path) -> None:
    results = td3(tmp_path, levels={"alpha457": 10.0})
    found = judged(results, "α = 457 fails")
    assert (found.verdict, "too few" in found.numbers) == ("confirmed", False)
    [job] = [j for j in PLANS["td3"].jobs() if j.name == "paper-td3-adam-run-1"]
    made_up(results, PLANS["td3"], job, level=100.0, failed=1)
    found = judged(results, "α = 457 fails")
    assert (found.verdict, "too few runs to decide" in found.numbers) == ("not decided", True)


def test_a_layer_whose_saturation_was_not_told_is_blank_there_in_the_map(tmp_path: Path) -> None:
    results, plan = td3(tmp_path, levels={}), PLANS["td3"]
    job = next(j for j in plan.jobs() if j.name == "paper-td3-k03-run-2")
    curves = results.curves(job.name)
    layer = "saturation/a.weight"
    assert layer in TRACES
    told = pc.or_(pc.not_equal(curves["series"], layer), pc.less(curves["step"], STEPS[-1]))
    results.write(results[job.name], curves.filter(told))
    arm = {arm.name: arm for arm in arm_results(plan, results)}["k03"]
    steps, rows = saturation_table(arm)
    assert steps.tolist() == list(STEPS)
    row = rows[arm.layers.index(layer.removeprefix("saturation/"))]
    assert np.isnan(row).tolist() == [False] * (len(STEPS) - 1) + [True]
    assert np.isnan(rows).sum() == 1


def test_a_search_without_finals_says_what_became_of_its_trials(tmp_path: Path) -> None:
    page = report(tmp_path / "docs", td3(tmp_path, levels={})).read_text(encoding="utf-8")
    said = "of 20 trials, 0 pruned and 0 failed, the best: **30, 0.0001: 10"
    assert f"| α and η by 20 trials of TPE | {said}" in page


def test_a_finalists_run_that_the_search_had_does_not_count_again(tmp_path: Path) -> None:
    results, plan = Results(tmp_path), PLANS["dqn"]
    jobs = [job for job in plan.jobs() if job.arm == "tuned"]
    for job in jobs:
        made_up(results, plan, job, level=100)
    reported = jobs[-1]
    search, first = results[reported.search], results[reported.after[0]]
    lucky = replace(first.runs[0], seed=search.runs[0].seed, value=1e6)
    results.write(replace(first, runs=[lucky, *first.runs[1:]]), None)
    expected = np.mean([run.value for run in first.runs[1:]])
    means = {result.name: mean for result, mean in judged_studies(reported, results)}
    assert means[first.name] == pytest.approx(expected)


def test_runs_that_are_studies_of_their_own_are_one_arm_once_all_are_there(tmp_path: Path) -> None:
    results, plan = td3(tmp_path, levels={"soft": 300.0}), PLANS["td3"]
    soft = {arm.name: arm for arm in arm_results(plan, results)}["soft"]
    jobs = [job for job in plan.jobs() if job.arm == "soft" and job.role == "report"]
    assert [run.number for run in soft.result.runs] == [0, 1, 2, 3, 4]
    assert [run.seed for run in soft.result.runs] == [0, 1, 2, 3, 4]
    assert soft.values.tolist() == [results[job.name].values[0] for job in jobs]
    lasts = soft.returns[1][:, -1]
    assert np.abs(lasts - soft.values).max() < 5
    assert len(set(lasts)) == 5
    (tmp_path / f"{jobs[3].name}.json").unlink()
    assert "soft" not in {arm.name for arm in arm_results(plan, results)}


def test_of_two_arms_of_adam_that_are_one_the_larger_is_the_reference() -> None:
    arms = {arm.name: arm for arm in arm_results(PLANS["ppo"], Results(RESULTS))}
    assert arms["adam"].params == arms["adam-chosen"].params
    assert adam_of(arms) is arms["adam"]
    arms = {arm.name: arm for arm in arm_results(PLANS["dqn"], Results(RESULTS))}
    assert adam_of(arms) is arms["adam-chosen"]


def test_without_matplotlib_the_report_says_what_to_install(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['matplotlib'] = None; sys.argv[1:] = ['paper', 'report', "
        f"{str(tmp_path / 'paper.md')!r}]; from alphagrad.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    expected = "alphagrad: matplotlib is missing: pip install 'alphagrad[bench]'\n"
    assert (done.returncode, done.stderr) == (1, expected)

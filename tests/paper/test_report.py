"""The report: the committed one from the committed results, and one of made-up complete results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from alphagrad.paper.arms import arm_results
from alphagrad.paper.choice import choice
from alphagrad.paper.claims import Judged, counts_table, judge
from alphagrad.paper.claims_of_ours import OF_PROTOTYPE
from alphagrad.paper.claims_of_paper import OF_PAPER
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
            seed=number,
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


def test_complete_results_give_a_complete_report_twice(complete: Results, tmp_path: Path) -> None:
    first, second = (report(tmp_path / name, complete) for name in ("first", "second"))
    page = first.read_text(encoding="utf-8")
    assert not any(said in page for said in ("**not run**", "run yet", "to the end yet"))
    assert "8 + 2 failed" in page
    for plan in PLANS.values():
        assert all(f"| {arm.label} |" in page for arm in plan.arms.values())
    assert second.read_text(encoding="utf-8") == page
    assert figures(first) == figures(second)
    assert len(figures(first)) == 13


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
    assert (found.verdict, found.numbers) == ("not run", "left: alpha98, alpha196, alpha294, adam")


def test_verdicts_are_counted() -> None:
    claims = [Judged("6", "a claim", verdict, "") for verdict in ("refuted", "not run", "refuted")]
    assert counts_table({"of the paper": claims}).splitlines() == [
        "| claims | confirmed | refuted | not decided | not run |",
        "| --- | --- | --- | --- | --- |",
        "| of the paper | 0 | 2 | 0 | 1 |",
    ]


def test_without_matplotlib_the_report_says_what_to_install(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['matplotlib'] = None; sys.argv[1:] = ['paper', 'report', "
        f"{str(tmp_path / 'paper.md')!r}]; from alphagrad.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    expected = "alphagrad: matplotlib is missing: pip install 'alphagrad[bench]'\n"
    assert (done.returncode, done.stderr) == (1, expected)

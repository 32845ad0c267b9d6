"""A small plan run on a real service, stopped, and gone on with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from alphagrad.client import Client
from alphagrad.local_service import LocalService
from alphagrad.paper.choice import choice, is_done
from alphagrad.paper.plan import Plan
from alphagrad.paper.progress import Shown
from alphagrad.paper.results import EACH, Results
from alphagrad.paper.run import OPEN_STUDIES, PlanError, Standing, due, run

PLAN = Plan.model_validate(
    {
        "task": "dqn",
        "title": "A short DQN",
        "seeds": 2,
        "selection_seeds": 1,
        "params": {
            "total_timesteps": 600,
            "learning_starts": 100,
            "eval_interval": 200,
            "eval_episodes": 1,
        },
        "arms": {
            "adam": {
                "label": "Adam",
                "group": "paper",
                "params": {"optimizer": "adam", "learning_rate": 1e-3},
            },
            "saturation": {
                "label": "SaturationScheduler",
                "group": "question",
                "params": {"alpha_rule": "saturation"},
                "learning_rates": [1e-4, 1e-3],
            },
            "finals": {
                "label": "TPE, and the better of its best two",
                "group": "question",
                "search": {
                    "n_trials": 3,
                    "finalists": 2,
                    "params": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2}},
                },
            },
            "tuned": {
                "label": "TPE",
                "group": "question",
                "search": {
                    "n_trials": 3,
                    "params": {
                        "alpha": {"type": "float", "low": 1.0, "high": 300.0},
                        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2},
                    },
                },
            },
        },
    }
)
JOBS = {job.name: job for job in PLAN.jobs()}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    service = LocalService(tmp_path_factory.mktemp("service"))
    url = service.start()
    try:
        with Client(url, service.key) as opened:
            yield opened
    finally:
        service.stop()


@pytest.fixture(scope="module")
def results(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Of a run that was stopped after its first result, and gone on with."""
    found = Results(tmp_path_factory.mktemp("results"))

    def stop(standing: Standing) -> None:
        if standing.studies_done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(client, [PLAN], found, on_progress=stop, look_seconds=0.3)
    run(client, [PLAN], found, look_seconds=0.3)
    return found


def test_every_study_has_a_result_and_no_run_is_left_out(results: Results) -> None:
    for name, job in JOBS.items():
        result = results[name]
        assert [run.number for run in result.runs] == list(range(job.n_trials))
        assert {run.state for run in result.runs} == {"COMPLETE"}
        assert result.spec["params"]["total_timesteps"] == 600
        assert {"python", "torch", "numpy"} <= result.versions.keys()
        assert result.machine["blas"]
        assert all(run.seconds is not None and run.seconds > 0 for run in result.runs)


def test_arms_are_reported_on_the_same_seeds_and_chosen_on_others(results: Results) -> None:
    seeds = {
        role: {
            tuple(run.seed for run in results[n].runs)
            for n, job in JOBS.items()
            if job.role == role
        }
        for role in ("report", "select", "search")
    }
    assert len(seeds["report"]) == 1
    reported = set(next(iter(seeds["report"])))
    assert not reported & {seed for role in ("select", "search") for s in seeds[role] for seed in s}


def test_the_better_learning_rate_is_chosen(results: Results) -> None:
    job = JOBS["paper-dqn-saturation"]
    means = {
        results[n].spec["params"]["learning_rate"]: results[n].values.mean() for n in job.after
    }
    chosen = results[job.name].spec["params"]["learning_rate"]
    assert means[chosen] == max(means.values())


def test_the_best_run_of_a_search_is_chosen(results: Results) -> None:
    search, report = results["paper-dqn-tuned-search"], results["paper-dqn-tuned"]
    assert search.ranked[0].value == search.values.max()
    for name, value in search.ranked[0].params.items():
        assert report.spec["params"][name] == value
    assert set(search.ranked[0].params) == {"alpha", "learning_rate"}


def test_the_best_of_a_search_are_trained_again_and_the_better_is_chosen(results: Results) -> None:
    first, second, report = (
        results[f"paper-dqn-finals{end}"] for end in ("-final-1", "-final-2", "")
    )
    ranked = results["paper-dqn-finals-search"].ranked
    rates = [one.spec["params"]["learning_rate"] for one in (first, second)]
    assert rates == [run.params["learning_rate"] for run in ranked[:2]]
    assert ranked[0].value is not None
    assert ranked[0].value >= (ranked[1].value or 0.0)
    better = first if first.values.mean() >= second.values.mean() else second
    assert report.spec["params"]["learning_rate"] == better.spec["params"]["learning_rate"]


def test_a_pruned_run_of_a_search_is_written_down_but_not_chosen(
    client: Client, tmp_path: Path
) -> None:
    tuned = PLAN.arms["tuned"]
    assert tuned.search is not None
    pruner = {"type": "percentile", "percentile": 1.0, "n_startup_trials": 2}
    search = tuned.search.model_copy(update={"n_trials": 6, "pruner": pruner})
    arms = {"pruned": tuned.model_copy(update={"search": search})}
    found = Results(tmp_path)
    run(client, [PLAN.model_copy(update={"arms": arms, "seeds": 1})], found, look_seconds=0.3)

    result, report = found["paper-dqn-pruned-search"], found["paper-dqn-pruned"]
    assert {one.state for one in result.runs} == {"COMPLETE", "PRUNED"}
    assert result.failed == 0
    assert result.ranked[0].value == max(o.value or 0 for o in result.runs if o.state == "COMPLETE")
    assert report.spec["params"]["alpha"] == result.ranked[0].params["alpha"]


def test_curves_hold_every_evaluation_and_thinned_traces(results: Results) -> None:
    curves = results.curves("paper-dqn-saturation")
    series = set(curves["series"].to_pylist())
    assert {EACH, "charts/episodic_return", "losses/td_loss"} <= series
    assert any(name.startswith("saturation/") for name in series)
    rows = [row for row in curves.to_pylist() if row["series"] == EACH and row["number"] == 0]
    assert [row["step"] for row in rows] == [200, 400, 600]
    value = sum(row["value"] for row in rows) / 3  # the window of ten holds all of them
    assert results["paper-dqn-saturation"].runs[0].value == pytest.approx(value)


def test_studies_by_which_something_is_chosen_have_no_curves(results: Results) -> None:
    with pytest.raises(FileNotFoundError):
        results.curves("paper-dqn-tuned-search")


def test_what_has_a_result_is_not_run_again(client: Client, results: Results) -> None:
    assert list(due([PLAN], results)) == []
    before = sum(1 for _ in client.studies())
    run(client, [PLAN], results, look_seconds=0.3)
    assert sum(1 for _ in client.studies()) == before


def test_a_result_is_written_again_from_the_database(
    client: Client, results: Results, tmp_path: Path
) -> None:
    again = Results(tmp_path)
    run(client, [PLAN], again, look_seconds=0.3)
    for name in JOBS:
        file = f"{name}.json"
        assert (tmp_path / file).read_bytes() == (results.folder / file).read_bytes()


def test_another_study_of_the_same_name_is_not_taken_for_it(client: Client, tmp_path: Path) -> None:
    other = PLAN.model_copy(update={"params": PLAN.params | {"total_timesteps": 700}})
    with pytest.raises(PlanError, match="total_timesteps=600 where the plan has 700"):
        run(client, [other], Results(tmp_path), look_seconds=0.3)


def test_more_runs_than_its_study_had_are_asked_for_by_name(
    client: Client, results: Results, tmp_path: Path
) -> None:
    copied = Results(shutil.copytree(results.folder, tmp_path / "results"))
    rates = (1e-4, 1e-3, 3e-3)
    changed = PLAN.arms["saturation"].model_copy(update={"learning_rates": rates})
    more = PLAN.arms["adam"].model_copy(update={"seeds": 3})
    plan = PLAN.model_copy(update={"arms": {"adam": more, "saturation": changed}})
    with pytest.raises(PlanError, match="'paper-dqn-adam' has ended with 2 of the 3 trials"):
        run(client, [plan], copied, look_seconds=0.3)
    assert "paper-dqn-saturation-at-0.003" in copied  # what could be run was


def test_a_cancelled_study_is_no_result(client: Client, tmp_path: Path) -> None:
    arms = {"gone": PLAN.arms["adam"]}
    plan = PLAN.model_copy(update={"arms": arms})
    (job,) = plan.jobs()
    study = client.submit(plan.spec(job, {}))
    study.cancel()
    study.wait()
    with pytest.raises(PlanError, match="'paper-dqn-gone' has been cancelled: delete it"):
        run(client, [plan], Results(tmp_path), look_seconds=0.3)
    assert job.name not in Results(tmp_path)


def test_paused_studies_are_named_and_keep_no_other_from_running(
    client: Client, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As many are paused as may run at once; each goes on when it is resumed."""
    names = ("a", "b", "c", "d")
    plan = PLAN.model_copy(update={"arms": dict.fromkeys(names, PLAN.arms["adam"]), "seeds": 1})
    *paused, last = plan.jobs()
    for job in paused:
        client.submit(plan.spec(job, {})).pause()
    found = Results(tmp_path)

    def resume(standing: Standing) -> None:
        with Shown() as shown:
            shown.update(standing)
        if last.name in found:
            for study in standing.running:
                if study["state"] == "PAUSED":
                    client.study(study["name"]).resume()

    assert len(paused) == OPEN_STUDIES
    run(client, [plan], found, on_progress=resume, look_seconds=0.3)
    assert all(job.name in found for job in plan.jobs())
    said = capfd.readouterr().err
    assert all(f"{job.name} (paused: alphagrad resume {job.name})" in said for job in paused)
    assert f"{last.name} (paused" not in said


@pytest.mark.parametrize("failed", ["all", "one"])
def test_a_learning_rate_with_failed_runs_is_not_chosen(
    tmp_path: Path, results: Results, failed: str
) -> None:
    job = JOBS["paper-dqn-saturation"]
    changed = Results(tmp_path)
    for name in job.after:
        document = json.loads((results.folder / f"{name}.json").read_text())
        if document["spec"]["params"]["learning_rate"] == 1e-4:
            for one in document["runs"]:
                one |= {"value": None, "state": "FAIL"}
            if failed == "one":
                document["runs"].append(document["runs"][0] | {"value": 1e9, "state": "COMPLETE"})
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    assert choice(job, changed) == {"learning_rate": 1e-3}


def test_an_arm_is_due_again_when_an_added_learning_rate_is_better(
    tmp_path: Path, results: Results
) -> None:
    arm = PLAN.arms["saturation"]
    rates = (*(arm.learning_rates or ()), 1e-2)
    arms = PLAN.arms | {"saturation": arm.model_copy(update={"learning_rates": rates})}
    plan = PLAN.model_copy(update={"arms": arms})
    (job,) = [job for job in plan.jobs() if job.name == "paper-dqn-saturation"]
    found = Results(tmp_path)
    for name in (*JOBS[job.name].after, job.name):
        (tmp_path / f"{name}.json").write_bytes((results.folder / f"{name}.json").read_bytes())
    assert is_done(job, found)  # nothing says yet that it is not the best

    document = json.loads((results.folder / f"{job.after[0]}.json").read_text())
    document["spec"]["params"]["learning_rate"] = 1e-2
    for value, again in ((-1.0, False), (1e6, True)):
        for one in document["runs"]:
            one["value"] = value
        (tmp_path / "paper-dqn-saturation-at-0.01.json").write_text(json.dumps(document))
        assert is_done(job, found) is not again
        assert (job.name in [one.name for _, one in due([plan], found)]) is again


def test_an_arm_is_due_again_when_it_is_to_have_more_seeds(results: Results) -> None:
    plan = PLAN.model_copy(update={"seeds": 3})
    assert {job.name for _, job in due([plan], results)} == {
        job.name for job in plan.jobs() if job.role == "report"
    }

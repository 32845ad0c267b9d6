"""Stacks: several trials of a study in one process, each still a trial of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from alphagrad.tuner import StudySpec, parse_spec, run_study
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import SpecError
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.metrics import read_metrics
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.traces import read_trace
from tests.marks import on_sqlite

RunScript = Callable[..., Any]

SMALL_PPO = {
    "env_id": "InvertedPendulum-v5",
    "total_timesteps": 1024,
    "num_steps": 256,
    "num_minibatches": 4,
    "eval_interval": 512,
    "eval_episodes": 1,
    "checkpoint_interval": 512,
}
ALPHA = {"type": "float", "low": 1.0, "high": 300.0, "log": True}


def ppo(name: str, **changes: Any) -> StudySpec:
    body = {
        "name": name,
        "task": "ppo",
        "n_trials": 4,
        "parallelism": 4,
        "seed": 1,
        "sampler": {"type": "random"},
        "params": {**SMALL_PPO, "alpha": ALPHA},
    }
    return parse_spec(body | changes)


@on_sqlite
def test_a_stacked_study_has_the_results_of_the_same_study_unstacked(
    database: Database, settings: TunerSettings
) -> None:
    one_slot = settings.model_copy(update={"slots": 1})
    run_study(ppo("apart"), one_slot)
    status = run_study(ppo("stacked", stack=3), one_slot)
    assert status.trials == {"COMPLETE": 4}
    apart, stacked = list_trials(database, "apart"), list_trials(database, "stacked")
    assert [trial.params for trial in stacked] == [trial.params for trial in apart]
    assert [trial.value for trial in stacked] == [trial.value for trial in apart]
    assert len({trial.value for trial in stacked}) > 1
    for one, other in zip(apart, stacked, strict=True):
        first, second = read_trace(database, one), read_trace(database, other)
        assert first.layers == second.layers
        assert first.steps == second.steps
        np.testing.assert_array_equal(first.alpha, second.alpha)
        np.testing.assert_array_equal(first.saturation, second.saturation)
        losses = [read_metrics(database, trial, ["losses/value_loss"]) for trial in (one, other)]
        steps, values = losses[0]["losses/value_loss"]
        assert len(steps) == 4
        np.testing.assert_array_equal(values, losses[1]["losses/value_loss"][1])
    # Three trials shared a process, the fourth was alone.
    logs = [settings.log_path("stacked", number).read_text() for number in range(4)]
    assert "stacked with [1, 2]" in logs[0]
    assert "stacked with [0, 1]" in logs[2]
    assert "stacked" not in logs[3].replace("stacked/3", "")
    assert all("COMPLETE" in log for log in logs)


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"stack": 5}, "", "stack=5 needs a parallelism of at least 5, got 4"),
        (
            {"stack": 2, "task": "digits", "params": {"alpha": ALPHA}},
            "stack",
            "digits cannot train several trials in one process",
        ),
        (
            {"stack": 2, "params": {"gamma": {"type": "float", "low": 0.9, "high": 0.99}}},
            "params.gamma",
            "must be the same in all trials of a stack",
        ),
    ],
    ids=["parallelism", "task", "parameter"],
)
def test_a_stack_that_cannot_be_is_refused(
    changes: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        ppo("s", **changes)
    [error] = caught.value.errors
    assert error.field == field
    assert message in error.message


STACKS = """
def together(trials):
    for trial in trials:
        if trial.attempt == 1 and trial.params["kind"] == "kill":
            trial.save_checkpoint({"pid": os.getpid()})
            os.kill(os.getpid(), signal.SIGKILL)
    left = dict(enumerate(trials))
    for step in range(1, 21):
        for place, trial in list(left.items()):
            trial.report(trial.params["x"], step)
            if trial.should_prune():
                del left[place]
                yield place, TrialPruned("said so")
        if trials[0].params["kind"] == "raise" and step == 2:
            yield left.popitem()[0], 0.5
            raise RuntimeError("out of luck")
        if trials[0].params["kind"] == "forget" and step == 2:
            return
        time.sleep(0.1 if trials[0].params["kind"] == "slow" else 0)
    for place, trial in left.items():
        trial.log("by its own log")
        yield place, trial.params["x"] if trial.params["kind"] != "nan" else math.nan

@task("many", stack=together, stack_params=["x"])
def alone(trial):
    for _, value in together([trial]):
        if isinstance(value, TrialPruned):
            raise value
        return value

def body(kind, **changes):
    params = {"kind": kind, "x": {"type": "float", "low": 0.0, "high": 1.0}}
    return {"task": "many", "params": params, "n_trials": 4, "parallelism": 4, "stack": 4,
            "sampler": {"type": "random"}} | changes
"""


@on_sqlite
def test_each_trial_of_a_stack_has_its_own_end(run_script: RunScript) -> None:
    threshold = {"type": "threshold", "upper": 0.2}
    source = f"""
def main():
    return run_studies({{
        "prune": body("plain", pruner={threshold}),
        "raise": body("raise"),
        "forget": body("forget"),
        "nan": body("nan"),
        "kill": body("kill"),
    }})
"""
    ended = run_script(STACKS + source)
    states = [(state, value) for state, value, _, _ in ended["prune"]]
    assert {state for state, _ in states} == {"COMPLETE", "PRUNED"}
    assert all((value > 0.2) == (state == "PRUNED") for state, value in states)
    assert sorted(state for state, *_ in ended["raise"]) == ["COMPLETE", "FAIL", "FAIL", "FAIL"]
    assert {error for _, _, error, _ in ended["raise"]} == {None, "RuntimeError: out of luck"}
    ends = [(state, error) for state, _, error, _ in ended["forget"]]
    assert ends == [("FAIL", "the task ended without a result")] * 4
    ends = [(state, error) for state, _, error, _ in ended["nan"]]
    assert ends == [("FAIL", "the task returned nan; a finite number is needed")] * 4
    # The process of all four was killed: without retries that is the end of each.
    ends = [(state, error) for state, _, error, _ in ended["kill"]]
    assert ends == [("FAIL", "the trial's process was killed by signal 9 without a result")] * 4


@on_sqlite
def test_a_killed_stack_is_tried_again(run_script: RunScript) -> None:
    source = """
def main():
    return run_studies({"again": body("kill", retries=1)})
"""
    ended = run_script(STACKS + source)
    assert [(state, attempt) for state, _, _, attempt in ended["again"]] == [("COMPLETE", 2)] * 4


@on_sqlite
def test_a_stack_goes_on_without_a_trial_whose_lease_was_lost(run_script: RunScript) -> None:
    source = """
from sqlalchemy import text

def main():
    taken = []
    def steal(database):
        # As if another worker had taken the trial over, and finished it.
        trials = list_trials(database, "slow")
        if not taken and len(trials) == 4 and all(t.state == "RUNNING" for t in trials):
            with database.write() as session:
                session.execute(text(
                    "UPDATE alphagrad_trials SET fence = fence + 1, state = 'COMPLETE', value = 7,"
                    " worker = NULL, lease_expires_at = NULL WHERE slot = 1"
                ))
            taken.append(True)
    return run_studies({"slow": body("slow")}, on_tick=steal)
"""
    ended = run_script(STACKS + source)
    assert [state for state, *_ in ended["slow"]] == ["COMPLETE"] * 4
    assert [attempt for *_, attempt in ended["slow"]] == [1] * 4
    values = [value for _, value, _, _ in ended["slow"]]
    assert values[1] == 7
    assert all(0 <= value <= 1 for value in values[:1] + values[2:])

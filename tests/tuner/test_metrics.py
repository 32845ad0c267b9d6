"""Metrics in SQL: stored, replaced, thinned and read back, on both databases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, select

from alphagrad.tuner import Trial, lease_ends, leases, metric_buffer
from alphagrad.tuner.channel import NullChannel
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import StaleFenceError
from alphagrad.tuner.leases import Claim
from alphagrad.tuner.messages import FromTrial, Metrics
from alphagrad.tuner.metrics import append_metrics, read_metrics
from alphagrad.tuner.models import MetricRow, StudyRow, TrialRow
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_store import get_trial
from tests.marks import on_sqlite

NAN, INF = math.nan, math.inf


@pytest.fixture
def running(database: Database, submit: Callable[..., StudyRow]) -> Claim:
    submit(n_trials=1)
    return take(database)


def take(database: Database) -> Claim:
    claimed = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    assert claimed is not None
    return claimed


def take_again(database: Database, claimed: Claim) -> Claim:
    lease_ends.give_back(database, trial_id=claimed.trial.id, fence=claimed.fence)
    again = take(database)
    assert (again.trial.id, again.fence) == (claimed.trial.id, claimed.fence + 1)
    return again


def attempt_of(database: Database, claimed: Claim) -> Trial:
    """A trial whose messages are stored as its worker would."""

    class Stored(NullChannel):
        def send(self, message: FromTrial) -> None:
            assert isinstance(message, Metrics)
            where = {"trial_id": claimed.trial.id, "fence": claimed.fence}
            append_metrics(database, **where, batch=message)

    return Trial(params={}, channel=Stored())


def read(database: Database, claimed: Claim, *names: str, **options: int) -> dict[str, Any]:
    """Steps and values by name, as lists."""
    with database.read() as session:
        row = session.scalars(select(TrialRow).where(TrialRow.id == claimed.trial.id)).one()
    found = read_metrics(database, row, names or None, **options)
    return {name: (steps.tolist(), values.tolist()) for name, (steps, values) in found.items()}


def test_values_come_back_as_they_were(database: Database, running: Claim) -> None:
    trial = attempt_of(database, running)
    odd = [0.1, NAN, INF, -INF, 5e-324, 0.0, 1.7976931348623157e308]
    for step, value in enumerate(odd):
        trial.record({"odd": value}, step=step)
    trial.record({"α": 1.0}, step=2**31 - 1)
    trial.close()
    with database.read() as session:
        row = session.scalars(select(TrialRow)).one()
    found = read_metrics(database, row)
    assert list(found) == row.metrics == ["odd", "α"]
    steps, values = found["odd"]
    assert steps.dtype == np.int64
    assert steps.tolist() == list(range(len(odd)))
    assert values.tobytes() == np.array(odd).tobytes()
    assert found["α"][0].tolist() == [2**31 - 1]


def test_metrics_are_apart_and_keep_their_order(database: Database, running: Claim) -> None:
    trial = attempt_of(database, running)
    # Two episodes that end at one step, and a batch that starts with another name.
    for step, values in ((1, {"a": 1}), (1, {"a": 2}), (3, {"b": 3, "a": 4})):
        trial.record(values, step=step)
    trial.close()
    trial.record({"b": 5, "c": 6}, step=4)
    trial.close()
    everything = {
        "a": ([1, 1, 3], [1.0, 2.0, 4.0]),
        "b": ([3, 4], [3.0, 5.0]),
        "c": ([4], [6.0]),
    }
    assert read(database, running) == everything
    assert list(read(database, running)) == ["a", "b", "c"]
    assert read(database, running, "c", "a") == {"c": everything["c"], "a": everything["a"]}
    assert read(database, running, "d", "c") == {"d": ([], []), "c": everything["c"]}


def test_a_trial_that_recorded_nothing_has_no_metrics(database: Database, running: Claim) -> None:
    assert read(database, running) == {}
    assert read(database, running, "a") == {"a": ([], [])}


def test_a_later_attempt_replaces_what_came_after_its_checkpoint(
    database: Database, running: Claim
) -> None:
    trial = attempt_of(database, running)
    for step in range(1, 6):
        trial.record({"a": 100 + step, "late": NAN} if step > 3 else {"a": 100 + step}, step=step)
        trial.close()
    second = take_again(database, running)
    trial = attempt_of(database, second)
    trial.record({"new": 0.0, "a": 203}, step=3)
    trial.close()
    trial.record({"a": 202}, step=2)  # a batch later than the first replaces nothing
    trial.close()
    expected = {"a": ([1, 2, 3, 2], [101.0, 102.0, 203.0, 202.0]), "new": ([3], [0.0])}
    assert read(database, second) == expected
    third = take_again(database, second)
    trial = attempt_of(database, third)
    trial.record({"a": 302}, step=2)
    trial.close()
    assert read(database, third) == {"a": ([1, 2], [101.0, 302.0])}


def test_an_attempt_that_lost_its_lease_changes_nothing(
    database: Database, running: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long the lease takes to change hands, the values wait for `close`.
    monkeypatch.setattr(metric_buffer, "FLUSH_SECONDS", INF)
    old = attempt_of(database, running)
    old.record({"a": 1.0}, step=1)
    old.close()
    second = take_again(database, running)
    old.record({"a": 2.0, "b": 2.0}, step=2)
    with pytest.raises(StaleFenceError, match="fence 1 is lost"):
        old.close()
    assert read(database, second) == {"a": ([1], [1.0])}


def test_a_batch_is_stored_once_however_often_it_comes(database: Database, running: Claim) -> None:
    # The answer to a commit may be lost with the connection; the worker then writes again.
    where = {"trial_id": running.trial.id, "fence": running.fence}
    for first in (0, 0, 2, 2):
        batch = Metrics(first, ["b", "a"], [1, 0], [first, first], [1.0, 2.0])
        append_metrics(database, **where, batch=batch)
    assert read(database, running) == {"b": ([0, 2], [2.0, 2.0]), "a": ([0, 2], [1.0, 1.0])}


def test_metrics_of_two_trials_are_apart_and_go_with_their_study(
    database: Database, submit: Callable[..., StudyRow]
) -> None:
    submit(n_trials=2, parallelism=2)
    one, two = take(database), take(database)
    for claimed, names in ((one, "ab"), (two, "ba")):
        trial = attempt_of(database, claimed)
        trial.record(dict.fromkeys(names, claimed.trial.slot), step=7)
        trial.close()
    assert read(database, one) == {"a": ([7], [0.0]), "b": ([7], [0.0])}
    assert list(read(database, two).items()) == [("b", ([7], [1.0])), ("a", ([7], [1.0]))]
    with database.write() as session:
        session.execute(delete(StudyRow))
    with database.read() as session:
        assert session.scalars(select(MetricRow)).all() == []


@pytest.mark.parametrize("most", [2, 3, 10, 99])
def test_thinning_keeps_first_and_last(database: Database, running: Claim, most: int) -> None:
    trial = attempt_of(database, running)
    for step in range(1, 101):
        trial.record({"long": -step} | ({"short": step} if step < 3 else {}), step=step)
        if step == 60:
            trial.close()
    trial.close()
    found = read(database, running, max_steps=most)
    assert found["short"] == ([1, 2], [1.0, 2.0])
    steps, values = found["long"]
    assert len(steps) == most
    assert (steps[0], steps[-1]) == (1, 100)
    assert max(np.diff(steps)) <= math.ceil(99 / (most - 1))
    assert values == [-step for step in steps]


def test_metrics_that_fit_are_not_thinned(database: Database, running: Claim) -> None:
    trial = attempt_of(database, running)
    for step in range(100):
        trial.record({"a": 0.0}, step=step)
    trial.close()
    assert read(database, running, max_steps=100)["a"][0] == list(range(100))


RECORDS = """
import torch

@task("records")
def records(trial: Trial) -> float:
    done = (trial.load_checkpoint() or {"step": 0})["step"]
    for step in range(done + 1, 11):
        if step == 7:
            time.sleep(0.3)  # the batch goes out with this step's values
        loss = torch.tensor(100.0 * trial.attempt + step, requires_grad=True)
        trial.record({"losses/td": loss, "odd": [math.nan, math.inf][step % 2]}, step)
        if step in (3, 6) and trial.attempt == 1:
            trial.record({"once": step}, step)
        if step == 4:
            trial.save_checkpoint({"step": step})
        if step == 8 and trial.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    if trial.study == "prunes":
        raise TrialPruned
    return 1.0

def main():
    one = {"task": "records", "retries": 1}
    return run_studies({"returns": one, "prunes": one})
"""


@on_sqlite
def test_a_task_that_is_killed_goes_on_with_its_metrics(
    run_script: Callable[..., Any], settings: TunerSettings
) -> None:
    ended = run_script(RECORDS)
    assert [ended[name][0][0] for name in ("returns", "prunes")] == ["COMPLETE", "PRUNED"]
    database = Database(settings.url)
    for study in ended:
        trial = get_trial(database, study, 0)
        assert (trial.attempt, trial.metrics) == (2, ["losses/td", "odd", "once"])
        found = read_metrics(database, trial)
        steps, losses = found["losses/td"]
        assert steps.tolist() == list(range(1, 11))
        assert losses.tolist() == [101, 102, 103, 104, 205, 206, 207, 208, 209, 210]
        assert np.array_equal(found["odd"][1], [INF, NAN] * 5, equal_nan=True)
        assert found["once"][0].tolist() == [3]  # that of step 6 was replaced with the rest
    database.dispose()

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from alphagrad.tuner import lease_ends, leases, traces
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import ConflictError
from alphagrad.tuner.leases import Claim
from alphagrad.tuner.messages import Trace
from alphagrad.tuner.models import AttemptRow, StudyRow, TrialRow
from alphagrad.tuner.traces import AlphaTrace, append_trace, read_trace, record_layers


@pytest.fixture
def running(database: Database, submit: Callable[..., StudyRow]) -> Claim:
    submit(n_trials=1)
    return take(database)


def take(database: Database) -> Claim:
    claimed = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    assert claimed is not None
    return claimed


def append(
    database: Database,
    claimed: Claim,
    steps: Sequence[int],
    width: int = 2,
    *,
    first: int | None = None,
) -> None:
    """Store samples whose α tells the attempt and the step; by default they follow the others."""
    if first is None:
        with database.read() as session:
            first = session.get_one(AttemptRow, (claimed.trial.id, claimed.fence)).samples
    alpha = np.array([[100 * claimed.fence + step] * width for step in steps], dtype=np.float32)
    trace = Trace(first, list(steps), alpha, np.zeros_like(alpha))
    append_trace(database, trial_id=claimed.trial.id, fence=claimed.fence, trace=trace)


def read(database: Database, claimed: Claim, **options: Any) -> AlphaTrace:
    with database.read() as session:
        row = session.scalars(select(TrialRow).where(TrialRow.id == claimed.trial.id)).one()
    return read_trace(database, row, **options)


def name_layers(database: Database, claimed: Claim, *names: str) -> None:
    record_layers(database, trial_id=claimed.trial.id, fence=claimed.fence, names=list(names))


def test_a_trace_comes_back_bit_for_bit(database: Database, running: Claim) -> None:
    name_layers(database, running, "w", "b", "c")
    odd = [[np.nan, np.inf, 1e-45], [0.1, -0.0, np.finfo(np.float32).max]]
    alpha = np.array(odd, dtype=np.float32)
    saturation = np.array([[np.nan] * 3, [0.25, 0.0, 1.0]], dtype=np.float32)
    trace = Trace(0, [1, 2**40], alpha, saturation)
    append_trace(database, trial_id=running.trial.id, fence=running.fence, trace=trace)
    found = read(database, running)
    assert (found.layers, found.steps) == (["w", "b", "c"], [1, 2**40])
    assert found.alpha.dtype == found.saturation.dtype == np.float32
    assert found.alpha.tobytes() == alpha.tobytes()
    assert found.saturation.tobytes() == saturation.tobytes()


def test_a_trial_without_a_trace_has_an_empty_one(database: Database, running: Claim) -> None:
    found = read(database, running)
    assert (found.layers, found.steps, found.alpha.shape) == ([], [], (0, 0))


def test_a_later_attempt_replaces_the_trace_from_where_it_resumed(
    database: Database, running: Claim
) -> None:
    name_layers(database, running, "w", "b")
    append(database, running, [1, 2, 3])
    append(database, running, [4, 5])
    lease_ends.give_back(database, trial_id=running.trial.id, fence=running.fence)
    second = take(database)
    assert second.fence == 2
    append(database, second, [3, 4])
    append(database, second, [4, 6])  # two optimizer steps at one step of training: both stay
    found = read(database, second)
    assert found.steps == [1, 2, 3, 4, 4, 6]
    assert found.alpha[:, 0].tolist() == [101, 102, 203, 204, 204, 206]


def test_samples_that_come_again_are_stored_once(database: Database, running: Claim) -> None:
    name_layers(database, running, "w", "b")
    append(database, running, [1, 2, 3])
    append(database, running, [1, 2, 3], first=0)
    append(database, running, [3, 4, 5], first=2)  # with more behind them
    append(database, running, [2], first=1)
    assert read(database, running).steps == [1, 2, 3, 4, 5]
    with pytest.raises(ConflictError, match="first=6, but 5 samples of this attempt are stored"):
        append(database, running, [7], first=6)
    lease_ends.give_back(database, trial_id=running.trial.id, fence=running.fence)
    second = take(database)
    append(database, second, [3, 4], first=0)
    append(database, second, [3, 4], first=0)
    assert read(database, second).steps == [1, 2, 3, 4]


def test_what_was_thinned_out_does_not_come_back(
    database: Database, running: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "MOST_ROWS", 4)
    name_layers(database, running, "w", "b")
    append(database, running, range(1, 6))
    assert read(database, running).steps == [1, 3, 5]
    append(database, running, range(1, 7), first=0)
    assert read(database, running).steps == [1, 3, 5, 6]


def test_traces_of_two_trials_are_apart(
    database: Database, submit: Callable[..., StudyRow]
) -> None:
    submit(n_trials=2, parallelism=2)
    one, two = take(database), take(database)
    for claimed in (one, two):
        name_layers(database, claimed, "w", "b")
        append(database, claimed, [1, 2])
    lease_ends.give_back(database, trial_id=one.trial.id, fence=one.fence)
    append(database, take(database), [1])
    assert read(database, one).steps == [1]
    assert read(database, two).steps == [1, 2]


@pytest.mark.parametrize("most", [2, 10, 99])
def test_thinning_keeps_first_and_last(database: Database, running: Claim, most: int) -> None:
    name_layers(database, running, "w", "b")
    append(database, running, range(1, 101))
    found = read(database, running, max_steps=most)
    assert len(found.steps) == len(found.alpha) == len(found.saturation) == most
    assert (found.steps[0], found.steps[-1]) == (1, 100)
    assert max(np.diff(found.steps)) <= np.ceil(99 / (most - 1))
    assert found.alpha[:, 0].tolist() == [100 + step for step in found.steps]


def test_a_trace_that_fits_is_not_thinned(database: Database, running: Claim) -> None:
    name_layers(database, running, "w", "b")
    append(database, running, range(1, 101))
    assert read(database, running, max_steps=100).steps == list(range(1, 101))


def test_rows_from_before_a_further_optimizer_are_filled_up(
    database: Database, running: Claim
) -> None:
    name_layers(database, running, "w")
    append(database, running, [1], width=1)
    name_layers(database, running, "w", "b", "c")
    append(database, running, [2], width=3)
    found = read(database, running)
    expected = np.array([[101, np.nan, np.nan], [102, 102, 102]])
    assert np.array_equal(found.alpha, expected, equal_nan=True)
    assert found.saturation.shape == (2, 3)


def test_rows_of_an_attempt_with_more_layers_are_cut(database: Database, running: Claim) -> None:
    name_layers(database, running, "w", "b")
    append(database, running, [1], width=2)
    name_layers(database, running, "w")
    append(database, running, [2], width=1)
    assert read(database, running).alpha.tolist() == [[101], [102]]


def test_a_trace_that_grows_too_long_is_halved(
    database: Database, running: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "MOST_ROWS", 8)
    name_layers(database, running, "w", "b")
    append(database, running, range(1, 9))
    assert read(database, running).steps == list(range(1, 9))
    append(database, running, [9])
    assert read(database, running).steps == [1, 3, 5, 7, 9]
    append(database, running, range(10, 14))
    found = read(database, running)
    assert found.steps == [1, 5, 9, 11, 13]
    assert found.alpha[:, 0].tolist() == [100 * running.fence + step for step in found.steps]
    append(database, running, range(14, 40))
    steps = read(database, running).steps
    assert len(steps) <= 8
    assert (steps[0], steps[-1]) == (1, 39)

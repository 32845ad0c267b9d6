import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from alphagrad.tuner import lease_ends, leases, results
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import ConflictError, SpecError, StaleFenceError
from alphagrad.tuner.knobs import list_knobs, open_commands, record_answer, request_knob
from alphagrad.tuner.leases import Claim
from alphagrad.tuner.messages import KnobAnswer, KnobCommand, Trace
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.traces import append_trace


@pytest.fixture
def running(database: Database, submit: Callable[..., StudyRow]) -> Claim:
    submit(parallelism=2)
    claimed = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    assert claimed is not None
    return claimed


def states(database: Database, trial_id: int) -> list[tuple[str, int | None, str | None]]:
    return [(knob.state, knob.step, knob.reason) for knob in list_knobs(database, trial_id)]


def test_a_request_waits_for_its_answer(database: Database, running: Claim) -> None:
    trial = running.trial
    first = request_knob(database, trial, layers="actor.*", alpha=50.0, pin=True)
    second = request_knob(database, trial, pin=False)
    assert (first.state, first.answered_at) == ("requested", None)
    assert open_commands(database, [trial.id]) == [
        (trial.id, KnobCommand(first.id, "actor.*", 50.0, True)),
        (trial.id, KnobCommand(second.id, "*", None, False)),
    ]
    assert open_commands(database, [trial.id + 1]) == []
    held = {"trial_id": trial.id, "fence": running.fence}
    record_answer(database, KnobAnswer(id=first.id, applied=True, step=12), **held)
    no = KnobAnswer(id=second.id, applied=False, step=13, reason="why not")
    record_answer(database, no, **held)
    assert states(database, trial.id) == [("applied", 12, None), ("rejected", 13, "why not")]
    assert open_commands(database, [trial.id]) == []
    answered = list_knobs(database, trial.id)[0].answered_at
    assert answered is not None
    assert answered >= first.requested_at


@pytest.mark.parametrize(
    "change", [{}, {"alpha": 0.0}, {"alpha": -1.0}, {"alpha": math.nan}, {"alpha": math.inf}]
)
def test_a_change_without_sense_is_refused(
    database: Database, running: Claim, change: dict[str, Any]
) -> None:
    with pytest.raises(SpecError) as caught:
        request_knob(database, running.trial, **change)
    assert [error.field for error in caught.value.errors] == ["alpha"]
    assert list_knobs(database, running.trial.id) == []


def test_a_trial_that_does_not_run_takes_no_requests(database: Database, running: Claim) -> None:
    lease_ends.give_back(database, trial_id=running.trial.id, fence=running.fence)
    with pytest.raises(ConflictError, match="is WAITING"):
        request_knob(database, running.trial, alpha=1.0)


def test_what_was_applied_at_steps_that_are_made_anew_is_asked_for_again(
    database: Database, running: Claim
) -> None:
    def turn(alpha: float, step: int, fence: int) -> None:
        knob = request_knob(database, running.trial, alpha=alpha)
        answer = KnobAnswer(id=knob.id, applied=True, step=step)
        record_answer(database, answer, trial_id=running.trial.id, fence=fence)

    def sample(step: int, fence: int) -> None:
        alpha = np.ones((1, 1), np.float32)
        trace = Trace(first=0, steps=[step], alpha=alpha, saturation=alpha)
        append_trace(database, trial_id=running.trial.id, fence=fence, trace=trace)

    turn(1.0, 5, 1)
    turn(2.0, 12, 1)
    sample(1, 1)  # of this attempt's own commands none is asked for again
    assert [state for state, *_ in states(database, running.trial.id)] == ["applied"] * 2
    lease_ends.give_back(database, trial_id=running.trial.id, fence=1)
    again = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    assert again is not None
    turn(3.0, 11, again.fence)
    sample(10, again.fence)  # it goes on from a checkpoint after step 9
    assert states(database, running.trial.id) == [
        ("applied", 5, None),
        ("requested", None, None),
        ("applied", 11, None),
    ]
    [(_, command)] = open_commands(database, [running.trial.id])
    assert command.alpha == 2.0


def test_what_is_open_at_the_end_is_rejected(database: Database, running: Claim) -> None:
    trial = running.trial
    done = request_knob(database, trial, alpha=1.0)
    answer = KnobAnswer(id=done.id, applied=True, step=1)
    record_answer(database, answer, trial_id=trial.id, fence=running.fence)
    request_knob(database, trial, alpha=2.0)
    other = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    assert other is not None
    request_knob(database, other.trial, alpha=3.0)
    results.finish(database, trial_id=trial.id, fence=running.fence, state="COMPLETE", value=1.0)
    assert states(database, trial.id) == [
        ("applied", 1, None),
        ("rejected", None, "the trial has ended"),
    ]
    assert states(database, other.trial.id) == [("requested", None, None)]
    with pytest.raises(ConflictError, match="is COMPLETE"):
        request_knob(database, trial, alpha=1.0)


def test_an_open_request_outlives_a_lost_worker(database: Database, running: Claim) -> None:
    knob = request_knob(database, running.trial, alpha=2.0)
    lease_ends.give_back(database, trial_id=running.trial.id, fence=running.fence)
    assert [command.id for _, command in open_commands(database, [running.trial.id])] == [knob.id]


def test_the_answer_of_an_attempt_that_lost_its_lease_is_refused(
    database: Database, running: Claim
) -> None:
    trial = running.trial
    knob = request_knob(database, trial, alpha=2.0)
    lease_ends.give_back(database, trial_id=trial.id, fence=running.fence)
    again = leases.claim(database, worker="other", lease_seconds=60, tasks=["digits"])
    assert again is not None
    answer = KnobAnswer(id=knob.id, applied=True, step=3)
    with pytest.raises(StaleFenceError, match="fence 1 is lost"):
        record_answer(database, answer, trial_id=trial.id, fence=running.fence)
    assert states(database, trial.id) == [("requested", None, None)]
    record_answer(database, answer, trial_id=trial.id, fence=again.fence)
    # The answer that was lost on its way back, or a second one, changes nothing.
    second = KnobAnswer(id=knob.id, applied=False, step=4)
    record_answer(database, second, trial_id=trial.id, fence=again.fence)
    assert states(database, trial.id) == [("applied", 3, None)]

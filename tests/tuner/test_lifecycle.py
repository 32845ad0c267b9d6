"""Pause, resume, edits, priorities, points to try next, retries: the life of a study in SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from optuna.trial import FrozenTrial
from sqlalchemy import select, text

from alphagrad.tuner import StudySpec, lease_ends, leases, results
from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import ConflictError, SpecError
from alphagrad.tuner.leases import Claim
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settling import settle
from alphagrad.tuner.study_changes import (
    cancel_study,
    enqueue_trial,
    pause_study,
    resume_study,
    stop_study,
    update_study,
)
from alphagrad.tuner.study_store import create_study, get_study
from alphagrad.tuner.telling import end_studies, tell_optuna
from tests.tuner.by_hand import play

Submit = Callable[..., StudyRow]
Spec = Callable[..., StudySpec]


def claim(database: Database, worker: str = "w", **options: Any) -> Claim | None:
    defaults: dict[str, Any] = {"lease_seconds": 60.0, "tasks": ["digits"]}
    return leases.claim(database, worker=worker, **defaults | options)


def must_claim(database: Database, worker: str = "w", **options: Any) -> Claim:
    claimed = claim(database, worker, **options)
    assert claimed is not None
    return claimed


def finish(database: Database, claimed: Claim, state: str = "COMPLETE", **options: Any) -> bool:
    identity: Any = {"trial_id": claimed.trial.id, "fence": claimed.fence, "state": state}
    return results.finish(database, **identity, value=None if state == "FAIL" else 1.0, **options)


def state(database: Database, name: str = "s") -> str:
    return get_study(database, name).row.state


def test_a_paused_study_starts_nothing_until_it_is_resumed(
    database: Database, submit: Submit
) -> None:
    submit(n_trials=3, parallelism=3)
    running = must_claim(database)
    assert pause_study(database, "s").row.state == "PAUSED"
    assert claim(database) is None
    assert finish(database, running)
    assert [*settle(database)] == []
    assert resume_study(database, "s").row.state == "RUNNING"
    assert must_claim(database).trial.slot == 1


def test_a_study_paused_before_its_first_trial_is_queued_again(
    database: Database, submit: Submit
) -> None:
    submit()
    pause_study(database, "s")
    pause_study(database, "s")
    assert resume_study(database, "s").row.state == "QUEUED"
    assert resume_study(database, "s").row.state == "QUEUED"
    assert get_study(database, "s").trials == {"QUEUED": 3}


def test_a_trial_lost_while_its_study_is_paused_waits(database: Database, submit: Submit) -> None:
    submit(n_trials=1)
    must_claim(database, lease_seconds=-1)
    pause_study(database, "s")
    lease_ends.reap(database)
    assert get_study(database, "s").trials == {"WAITING": 1, "QUEUED": 0}
    assert claim(database) is None
    resume_study(database, "s")
    assert must_claim(database).trial.attempt == 2


def test_a_paused_study_with_nothing_left_to_run_ends(database: Database, submit: Submit) -> None:
    submit(n_trials=1)
    running = must_claim(database)
    pause_study(database, "s")
    finish(database, running)
    settle(database)
    assert state(database) == "COMPLETED"


@pytest.mark.parametrize("close", [stop_study, cancel_study])
def test_what_is_closed_is_not_changed(
    database: Database, submit: Submit, close: Callable[[Database, str], object]
) -> None:
    submit()
    must_claim(database)
    pause_study(database, "s")
    close(database, "s")
    changes: list[Callable[[], object]] = [
        lambda: pause_study(database, "s"),
        lambda: resume_study(database, "s"),
        lambda: update_study(database, "s", {"n_trials": 9}),
        lambda: enqueue_trial(database, "s", {"alpha": 3.0}),
    ]
    for change in changes:
        with pytest.raises(ConflictError, match="only one that is QUEUED, RUNNING, PAUSED"):
            change()


def test_an_edit_holds_for_trials_that_start_later(database: Database, submit: Submit) -> None:
    submit(n_trials=2, parallelism=1)
    must_claim(database)
    assert claim(database) is None
    pruner = {"type": "median", "n_startup_trials": 2}
    changes = {"n_trials": 4, "parallelism": 3, "priority": 7, "pruner": pruner, "timeout": 60.0}
    row = update_study(database, "s", changes).row
    assert (row.n_trials, row.parallelism, row.priority) == (4, 3, 7)
    spec = StudySpec.model_validate(row.spec)
    assert (spec.n_trials, spec.parallelism, spec.timeout) == (4, 3, 60.0)
    assert spec.pruner.model_dump()["n_startup_trials"] == 2
    assert [must_claim(database).trial.slot for _ in range(2)] == [1, 2]
    update_study(database, "s", {"n_trials": 3, "timeout": None})
    assert claim(database) is None
    assert get_study(database, "s").spec.timeout is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_trials": 1}, "n_trials: 2 trials were started and 1 more are enqueued (got 1)"),
        ({"n_trials": 2}, "2 trials were started"),
        ({"n_trials": 0}, "n_trials: Input should be greater than or equal to 1 (got 0)"),
        ({"parallelism": 0}, "parallelism: Input should be greater than or equal to 1"),
        ({"priority": 2000}, "priority: Input should be less than or equal to 1000"),
        ({"pruner": {"type": "no"}}, "pruner.type: Input tag 'no'"),
        ({"seed": 4}, "seed: cannot be changed after submission; what can: n_trials"),
        ({"params": {}, "name": "t"}, "name: cannot be changed"),
    ],
)
def test_an_edit_that_does_not_fit_changes_nothing(
    database: Database, submit: Submit, changes: dict[str, Any], message: str
) -> None:
    submit(n_trials=4, parallelism=2)
    for _ in range(2):
        must_claim(database)
    before = enqueue_trial(database, "s", {"alpha": 2.0}).row
    with pytest.raises(SpecError) as error:
        update_study(database, "s", changes)
    assert message in str(error.value)
    after = get_study(database, "s").row
    assert (after.spec, after.n_trials, after.priority) == (before.spec, 4, 0)


def test_the_highest_priority_comes_first(database: Database, submit: Submit) -> None:
    submit(name="low", priority=-1)
    submit(name="high", priority=5, n_trials=2, parallelism=2)
    submit(name="mid")
    names = [must_claim(database).study.name for _ in range(4)]
    assert names == ["high", "high", "mid", "low"]
    update_study(database, "low", {"priority": 9, "parallelism": 2})
    assert must_claim(database).study.name == "low"


def test_equals_share_fairly(database: Database, submit: Submit) -> None:
    submit(name="one", n_trials=9, parallelism=9)
    submit(name="two", n_trials=9, parallelism=9)
    taken = [must_claim(database) for _ in range(6)]
    assert [c.study.name for c in taken] == ["one", "two"] * 3
    finish(database, taken[1])
    finish(database, taken[3])
    assert [must_claim(database).study.name for _ in range(3)] == ["two", "two", "one"]


def test_studies_of_another_engine_are_left_to_it(database: Database, submit: Submit) -> None:
    submit()
    assert claim(database, engine="ray") is None
    assert claim(database) is not None


def test_points_are_tried_in_their_order_and_the_rest_is_drawn(
    database: Database, submit: Submit, optuna_storage: OptunaStorage, spec: Spec
) -> None:
    params = {"epochs": 1, "alpha": {"type": "float", "low": 1.0, "high": 9.0}}
    params["batch_size"] = {"type": "categorical", "choices": [64, 128]}
    options = {"n_trials": 4, "parallelism": 4, "params": params}
    row = submit(**options, enqueue=[{"alpha": 2.5}, {"batch_size": 128, "alpha": 9.0}])
    enqueue_trial(database, "s", {"alpha": 1.0})
    drawn = []
    for slot in range(4):
        claimed = must_claim(database)
        assert claimed.trial.slot == slot
        asked = optuna_storage.ask(
            spec(**options),
            optuna_study_id=row.optuna_study_id or 0,
            slot=slot,
            resumed=False,
            fixed_params=claimed.trial.fixed_params,
        )
        drawn.append(asked.params)
    assert [point["alpha"] for point in drawn[:3]] == [2.5, 9.0, 1.0]
    assert drawn[1]["batch_size"] == 128
    assert all(point["batch_size"] in (64, 128) for point in drawn)
    assert drawn[3]["alpha"] not in (2.5, 9.0, 1.0)
    assert get_study(database, "s").row.queue == []


def test_a_point_stays_with_its_trial(database: Database, submit: Submit) -> None:
    submit(n_trials=2, enqueue=[{"alpha": 3.0}])
    first = must_claim(database)
    lease_ends.give_back(database, trial_id=first.trial.id, fence=first.fence)
    again = must_claim(database)
    assert (again.trial.slot, again.trial.fixed_params) == (0, {"alpha": 3.0})


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"alpha": 0.5}, "alpha = 0.5 is not within {'type': 'float', 'low': 1.0, 'high': 100.0"),
        ({"alpha": "3"}, "alpha = '3' is not within"),
        ({"alpha": True}, "alpha = True is not within"),
        ({"epochs": 1}, "'epochs' is not searched; searched are ['alpha']"),
        ({"x": 1}, "'x' is not searched"),
    ],
)
def test_a_point_outside_the_space_is_refused(
    database: Database, submit: Submit, point: dict[str, Any], message: str
) -> None:
    submit()
    with pytest.raises(SpecError) as error:
        enqueue_trial(database, "s", point)
    assert message in str(error.value)
    with pytest.raises(SpecError) as error:
        submit(name="t", enqueue=[point])
    assert message in str(error.value)


def test_no_more_points_than_trials(database: Database, submit: Submit) -> None:
    submit(n_trials=2)
    must_claim(database)
    enqueue_trial(database, "s", {"alpha": 2})
    with pytest.raises(ConflictError, match="raise n_trials=2 first"):
        enqueue_trial(database, "s", {"alpha": 3})
    with pytest.raises(SpecError, match="enqueue has 2 points for 1 trials"):
        submit(name="t", n_trials=1, enqueue=[{}, {}])


def test_each_attempt_is_recorded(database: Database, submit: Submit) -> None:
    submit(n_trials=1, retries=1)
    lost = must_claim(database, "a", lease_seconds=-1)
    lease_ends.reap(database)
    back = must_claim(database, "b")
    lease_ends.give_back(database, trial_id=back.trial.id, fence=back.fence)
    assert not finish(database, must_claim(database, "c"), "FAIL", error="bad\0luck", retries=1)
    assert finish(database, must_claim(database, "d"), "PRUNED")
    found = list_attempts(database, lost.trial.id)
    assert [(a.attempt, a.worker, a.outcome, a.error) for a in found] == [
        (1, "a", "LOST", None),
        (2, "b", "GIVEN_BACK", None),
        (3, "c", "FAIL", "bad\\x00luck"),
        (4, "d", "PRUNED", None),
    ]
    times = [(a.started_at, a.finished_at) for a in found]
    assert all(begin <= (end or 0.0) for begin, end in times)


def test_the_attempt_under_way_has_no_outcome(database: Database, submit: Submit) -> None:
    submit()
    running = must_claim(database)
    [attempt] = list_attempts(database, running.trial.id)
    assert (attempt.outcome, attempt.finished_at, attempt.worker) == (None, None, "w")


def test_a_retry_waits_twice_as_long_each_time(database: Database, submit: Submit) -> None:
    submit(n_trials=1, retries=3, retry_delay=100.0)
    pauses = []
    for _ in range(3):
        claimed = must_claim(database)
        finish(database, claimed, "FAIL", error="e", retries=3, retry_delay=100.0)
        assert claim(database) is None
        with database.write() as session:
            [trial] = session.query(TrialRow)
            [ended] = [a for a in list_attempts(database, trial.id) if a.attempt == trial.attempt]
            assert trial.not_before is not None
            assert ended.finished_at is not None
            pauses.append(trial.not_before - ended.finished_at)
            session.execute(text("UPDATE alphagrad_trials SET not_before = 1"))
    assert pauses == pytest.approx([100.0, 200.0, 400.0], abs=1.0)
    assert must_claim(database).trial.not_before is None


def test_a_pause_before_a_retry_has_an_end(
    database: Database, submit: Submit, until: Callable[..., Any]
) -> None:
    submit(n_trials=1)
    finish(database, must_claim(database), "FAIL", retries=1, retry_delay=2.0)
    assert claim(database) is None
    assert until(lambda: claim(database)).trial.attempt == 2


def test_a_failure_keeps_its_reason_when_the_study_is_stopped_before_the_retry(
    database: Database, submit: Submit
) -> None:
    submit(n_trials=1)
    claimed = must_claim(database)
    stop_study(database, "s")
    finish(database, claimed, "FAIL", error="boom", retries=1)
    with database.read() as session:
        trial = session.get_one(TrialRow, claimed.trial.id)
    assert (trial.state, trial.error) == ("FAIL", "boom; the study was stopped")


def test_too_many_failures_end_a_study(database: Database, submit: Submit) -> None:
    submit(n_trials=9, parallelism=3, max_failed_trials=1)
    good, bad, last = (must_claim(database) for _ in range(3))
    finish(database, good)
    finish(database, bad, "FAIL", error="e")
    settle(database)
    assert state(database) == "RUNNING"
    finish(database, must_claim(database), "FAIL", error="e")
    settle(database)
    assert state(database) == "STOPPING"
    assert claim(database) is None
    finish(database, last)
    assert [status.row.state for status in settle(database)] == ["FAILED"]
    assert get_study(database, "s").trials == {"COMPLETE": 2, "FAIL": 2}


@pytest.mark.parametrize("most", [2**31, 2**63, 10**400], ids=["2**31", "2**63", "10**400"])
def test_a_stored_limit_beyond_what_is_allowed_now_keeps_no_study_from_its_end(
    database: Database, optuna_storage: OptunaStorage, submit: Submit, most: int
) -> None:
    submit(n_trials=2)
    with database.write() as session:
        row = session.scalars(select(StudyRow)).one()
        row.spec = row.spec | {"max_failed_trials": most}
    finish(database, must_claim(database), "FAIL")
    end_studies(database, optuna_storage)
    assert state(database) == "RUNNING"
    finish(database, must_claim(database))
    end_studies(database, optuna_storage)
    assert state(database) == "COMPLETED"


def test_an_end_that_optuna_was_never_told_of_is_told(
    database: Database,
    optuna_storage: OptunaStorage,
    spec: Spec,
    optuna_trials: Callable[[Database, str], list[FrozenTrial]],
) -> None:
    create_study(database, optuna_storage, spec(n_trials=1))
    play(database, optuna_storage, ["COMPLETE"])
    [before] = optuna_trials(database, "s")
    with database.write() as session:  # as an earlier version left it, which died in between
        session.execute(text("UPDATE alphagrad_trials SET told = false"))
        session.execute(text("UPDATE trials SET state = 'RUNNING', datetime_complete = NULL"))
        session.execute(text("DELETE FROM trial_values"))
    for _ in range(2):
        tell_optuna(database)
        assert results.untold(database) == []
        [after] = optuna_trials(database, "s")
        assert (after.state, after.values) == (before.state, before.values)

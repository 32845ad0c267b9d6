"""Each change of a fact is one event, in the transaction of the change, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from alphagrad.tuner import (
    event_retention,
    events,
    knobs,
    lease_ends,
    leases,
    results,
    study_changes,
)
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import ConflictError, StaleFenceError
from alphagrad.tuner.messages import KnobAnswer, Metrics, Report, Trace
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.progress import Progress, announce
from alphagrad.tuner.retention import delete_study
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_store import get_trial
from tests.tuner.by_hand import play, play_one

Submit = Callable[..., StudyRow]


def told(database: Database, *, after: int = 0, study: str | None = None) -> list[tuple[Any, ...]]:
    """The events as (kind, trial, data)."""
    found = events.read(database, after=after, study=study)
    assert [event.id for event in found] == sorted({event.id for event in found})
    return [(event.kind, event.trial, event.data) for event in found]


def test_a_studys_way_is_told_from_its_submission_to_its_deletion(
    database: Database, settings: TunerSettings, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=2)
    first, second = play(database, optuna_storage, ["COMPLETE", "FAIL"])
    delete_study(database, settings, "s")
    started = [{"attempt": 1, "params": one.trial.params} for one in (first, second)]
    assert told(database) == [
        ("study.submitted", None, {"state": "QUEUED"}),
        ("study.changed", None, {"state": "RUNNING", "finished": False}),
        ("trial.started", 0, started[0]),
        ("trial.ended", 0, ended("COMPLETE", value=0.5)),
        ("trial.started", 1, started[1]),
        ("trial.ended", 1, ended("FAIL", error='a "quoted", reason\nof two lines')),
        ("study.changed", None, {"state": "COMPLETED", "finished": True}),
        ("study.deleted", None, {}),
    ]
    assert {event.study for event in events.read(database, after=0)} == {"s"}
    assert events.has_events(database, "s")
    assert not events.has_events(database, "t")


def ended(state: str, **changes: Any) -> dict[str, Any]:
    return {"state": state, "value": None, "values": None, "error": None, "attempt": 1} | changes


def test_changes_by_hand_are_told_and_what_changes_nothing_is_not(
    database: Database, submit: Submit
) -> None:
    submit(n_trials=2)
    study_changes.pause_study(database, "s")
    study_changes.pause_study(database, "s")
    study_changes.resume_study(database, "s")
    study_changes.update_study(database, "s", {"priority": 3})
    study_changes.update_study(database, "s", {"priority": 3})
    study_changes.enqueue_trial(database, "s", {"alpha": 2.0})
    study_changes.cancel_study(database, "s")
    with pytest.raises(ConflictError):
        study_changes.stop_study(database, "s")
    assert [(data["state"], data["finished"]) for _, _, data in told(database, after=1)] == [
        ("PAUSED", False),
        ("QUEUED", False),
        ("QUEUED", False),
        ("QUEUED", False),
        ("CANCELLED", True),
    ]


def test_further_attempts_are_told_and_a_trial_that_was_never_asked_is_not(
    database: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=2, parallelism=2)
    claimed = play_one(database, optuna_storage, None)
    unasked = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    assert unasked is not None
    lease_ends.give_back(database, trial_id=unasked.trial.id, fence=1)
    before = events.newest(database)
    results.finish(
        database, trial_id=claimed.trial.id, fence=1, state="FAIL", error="a\0b" * 999, retries=1
    )
    again = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    assert again is not None
    lease_ends.lose(database, trial_id=claimed.trial.id, fence=2, error="gone")
    with pytest.raises(StaleFenceError):
        lease_ends.lose(database, trial_id=claimed.trial.id, fence=2, error="gone")
    study_changes.stop_study(database, "s")
    retried, started, lost, over, changed = told(database, after=before)
    assert retried[0] == "trial.retried"
    assert retried[2]["outcome"] == "FAIL"
    assert retried[2]["error"].startswith("a\\x00ba")
    assert len(retried[2]["error"]) == events.SHOWN_ERROR + 1
    assert started == ("trial.started", 0, {"attempt": 2, "params": again.trial.params})
    assert lost == ("trial.retried", 0, {"attempt": 2, "outcome": "LOST", "error": "gone"})
    assert over == ("trial.ended", 0, ended("FAIL", attempt=2, error="the study was stopped"))
    assert changed[2] == {"state": "STOPPING", "finished": False}


def test_a_knob_is_told_when_it_is_asked_for_and_when_it_is_answered(
    database: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=1)
    trial_id = play_one(database, optuna_storage, None).trial.id
    before = events.newest(database)
    knob = knobs.request_knob(database, get_trial(database, "s", 0), alpha=2.0)
    knobs.request_knob(database, get_trial(database, "s", 0), layers="w", pin=True)
    for _ in range(2):  # the second time as if the first one's answer was lost
        answer = KnobAnswer(id=knob.id, applied=True, step=7, reason=None)
        knobs.record_answer(database, answer, trial_id=trial_id, fence=1)
    results.finish(database, trial_id=trial_id, fence=1, state="COMPLETE", value=1.0)
    found = told(database, after=before)
    shown = [
        (trial, *(data["knob"][name] for name in ("layers", "alpha", "pin", "state", "step")))
        for kind, trial, data in found[:-1]
        if kind == "trial.knob"
    ]
    assert shown == [
        (0, "*", 2.0, None, "requested", None),
        (0, "w", None, True, "requested", None),
        (0, "*", 2.0, None, "applied", 7),
        (0, "w", None, True, "rejected", None),
    ]
    assert found[-1][0] == "trial.ended"


def test_what_is_rolled_back_was_never_told(database: Database, submit: Submit) -> None:
    row = submit()

    def fails() -> None:
        with database.write() as session:
            events.emit(session, "study.changed", study_id=row.id, state="PAUSED", finished=False)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    with database.write() as session:
        events.emit(session, "study.changed", study_id=row.id, state="PAUSED", finished=False)
        session.rollback()
    assert len(told(database)) == 1


def test_an_event_of_an_unknown_kind_or_with_other_data_is_refused(
    database: Database, submit: Submit
) -> None:
    row = submit()
    wrong: list[tuple[str, dict[str, Any]]] = [("study.exploded", {}), ("study.changed", {})]
    with database.write() as session:
        for kind, data in wrong:
            with pytest.raises(ValueError, match=kind):
                events.emit(session, kind, study_id=row.id, **data)


def test_numbers_that_json_has_not_are_null(
    database: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=1)
    trial_id = play_one(database, optuna_storage, None).trial.id
    progress = Progress()
    progress.reported(Report(step=3, value=float("inf")))
    announce(database, {(trial_id, 1): progress, (trial_id, 9): progress})
    assert told(database)[-1] == (
        "trial.progress", 0, {"step": 3, "value": None, "saturation": None}
    )  # fmt: skip


def test_progress_is_told_while_the_lease_holds(
    database: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=1)
    trial_id = play_one(database, optuna_storage, None).trial.id
    before = events.newest(database)
    progress = Progress()
    progress.reported(Report(step=3, value=0.5))
    announce(database, {(trial_id, 9): progress})
    results.finish(database, trial_id=trial_id, fence=1, state="COMPLETE", value=1.0)
    announce(database, {(trial_id, 1): progress})
    assert [kind for kind, _, _ in told(database, after=before)] == ["trial.ended"]


def test_progress_is_due_once_a_second_and_only_with_news() -> None:
    progress = Progress()
    assert not progress.is_due(100.0)
    saturation = np.array([[0.5, 0.5], [0.25, np.nan]], dtype=np.float32)
    progress.sampled(Trace(first=0, steps=[1, 9], alpha=saturation, saturation=saturation))
    assert progress.is_due(100.0)
    assert progress.data() == {"step": 9, "value": None, "saturation": 0.25}
    progress.was_announced(100.0)
    assert not progress.is_due(200.0)
    progress.reported(Report(step=2, value=0.5))
    assert not progress.is_due(100.9)
    assert progress.is_due(101.0)
    progress.recorded(Metrics(first=0, names=["a"], which=[0], steps=[40], values=[1.0]))
    assert progress.data() == {"step": 2, "value": 0.5, "saturation": 0.25}


def test_pages_follow_each_other_and_go_by_study(database: Database, submit: Submit) -> None:
    for name in ("a", "b", "c"):
        submit(name=name)
    study_changes.pause_study(database, "b")
    page = events.read_page(database, after=0, limit=3)
    assert ([event.id for event in page.events], page.last) == ([1, 2, 3], 3)
    page = events.read_page(database, after=page.last, limit=3)
    assert ([event.id for event in page.events], page.last) == ([4], 4)
    assert events.read_page(database, after=4) == events.EventPage([], 4)
    of_a = events.read_page(database, after=0, limit=3, study="a")
    assert ([event.id for event in of_a.events], of_a.last) == ([1], 4)
    of_b = events.read_page(database, after=0, limit=1, study="b")
    assert ([event.id for event in of_b.events], of_b.last) == ([2], 2)
    assert events.newest(database) == 4


def test_old_events_go_and_their_ids_are_not_given_again(
    database: Database, submit: Submit, optuna_storage: OptunaStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(event_retention, "TRIMMED", 2)
    submit(n_trials=1)
    trial_id = play_one(database, optuna_storage, None).trial.id
    for step in range(5):
        progress = Progress()
        progress.reported(Report(step=step, value=0.5))
        announce(database, {(trial_id, 1): progress})
    assert event_retention.trim_events(database, older_than_days=1) == 0
    age(
        database,
        "WHERE kind <> 'trial.ended' AND id <= 6",
        seconds=event_retention.PROGRESS_SECONDS + 9,
    )
    assert event_retention.trim_events(database, older_than_days=1) == 3
    assert [event.id for event in events.read(database, after=0)] == [1, 2, 3, 7, 8]
    age(database, "WHERE id <= 2", seconds=2 * 86_400)
    assert event_retention.trim_events(database) == 0
    assert event_retention.trim_events(database, older_than_days=1) == 2
    monkeypatch.setattr(event_retention, "MOST_EVENTS", 1)
    assert event_retention.trim_events(database) == 2
    monkeypatch.setattr(event_retention, "MOST_EVENTS", 0)
    assert event_retention.trim_events(database) == 1
    assert events.newest(database) == 0
    study_changes.pause_study(database, "s")
    assert [event.id for event in events.read(database, after=0)] == [9]


def age(database: Database, where: str, *, seconds: float) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(f"UPDATE alphagrad_events SET at = at - {seconds} {where}"))

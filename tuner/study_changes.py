"""Changes to a submitted study: pause, resume, stop, cancel, edit, enqueue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from alphagrad.tuner import lease_ends
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import ConflictError, FieldError, SpecError, field_errors
from alphagrad.tuner.models import OPEN_STUDY, StudyRow
from alphagrad.tuner.samplers import grid_of
from alphagrad.tuner.space import check_point
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.study_store import (
    ENDED_STUDY,
    StudyStatus,
    by_name,
    say_changed,
    status_of,
)

EDITABLE = ("n_trials", "parallelism", "priority", "pruner", "timeout", "max_failed_trials")
"""Fields of a specification that can be changed while the study is open."""


def pause_study(database: Database, name: str) -> StudyStatus:
    """Start no more trials until the study is resumed; those that run go on to their end.

    Raises:
        StudyNotFoundError: no study has this name.
        ConflictError: the study is not open.
    """

    def pause(session: Session, row: StudyRow) -> None:
        _must_be_open(row)
        row.state = "PAUSED"

    return _change(database, name, pause)


def resume_study(database: Database, name: str) -> StudyStatus:
    """Let a paused study go on; one that is not paused stays as it is.

    Raises:
        StudyNotFoundError: no study has this name.
        ConflictError: the study is not open.
    """

    def resume(session: Session, row: StudyRow) -> None:
        _must_be_open(row)
        row.state = "QUEUED" if row.started_at is None else "RUNNING"

    return _change(database, name, resume)


def stop_study(database: Database, name: str) -> StudyStatus:
    """Start no more trials; those that run go on to their end.

    Raises:
        StudyNotFoundError: no study has this name.
        ConflictError: the study has ended.
    """
    return _close(database, name, state="STOPPING", error="the study was stopped")


def cancel_study(database: Database, name: str) -> StudyStatus:
    """Start no more trials and kill those that run; they end as FAIL.

    Raises:
        StudyNotFoundError: no study has this name.
        ConflictError: the study has ended.
    """
    return _close(database, name, state="CANCELLED", error="the study was cancelled")


def update_study(database: Database, name: str, changes: Mapping[str, Any]) -> StudyStatus:
    """Edit an open study.

    Trials that start from now on follow; a pruner judges those that run as before.

    Args:
        database: the database.
        name: the study's name.
        changes: new values of some of ``EDITABLE``; n_trials not below the number of trials
            started so far.

    Raises:
        StudyNotFoundError: no study has this name.
        ConflictError: the study is not open.
        SpecError: a field cannot be changed, or its value is not allowed.
    """
    if fixed := sorted(set(changes) - set(EDITABLE)):
        message = f"cannot be changed after submission; what can: {', '.join(EDITABLE)}"
        raise SpecError([FieldError(field, changes[field], message) for field in fixed])

    def update(session: Session, row: StudyRow) -> None:
        _must_be_open(row)
        spec = _checked({**row.spec, **changes})
        waiting = len(row.queue or ())
        if spec.n_trials < row.next_slot + waiting:
            message = f"{row.next_slot} trials were started and {waiting} more are enqueued"
            raise SpecError([FieldError("n_trials", spec.n_trials, message)])
        row.spec = spec.model_dump(mode="json")
        row.n_trials, row.parallelism = spec.n_trials, spec.parallelism
        row.priority = spec.priority

    return _change(database, name, update)


def enqueue_trial(database: Database, name: str, params: Mapping[str, Any]) -> StudyStatus:
    """Let the next trial that is started try some parameters; the sampler draws the rest.

    Args:
        database: the database.
        name: the study's name.
        params: values of some of the parameters that are searched.

    Raises:
        StudyNotFoundError: no study has this name.
        ConflictError: the study is not open, or all its trials are started or spoken for.
        SpecError: a parameter is not searched, or its value could not be drawn.
    """

    def enqueue(session: Session, row: StudyRow) -> None:
        _must_be_open(row)
        spec = StudySpec.model_validate(row.spec)
        try:
            check_point(spec.params, params)
        except ValueError as error:
            raise SpecError([FieldError("params", dict(params), str(error))]) from None
        if grid_of(spec.sampler, spec.params) is not None:
            message = f"the study's sampler is {spec.sampler.type}, whose points are all given"
            raise SpecError([FieldError("params", dict(params), message)])
        queue = [*(row.queue or ()), dict(params)]
        if row.next_slot + len(queue) > row.n_trials:
            raise ConflictError(
                f"study {name!r} has no trial left for it: raise n_trials={row.n_trials} first"
            )
        row.queue = queue

    return _change(database, name, enqueue)


def _change(
    database: Database, name: str, change: Callable[[Session, StudyRow], None]
) -> StudyStatus:
    with database.write() as session:
        row = by_name(session, name, lock=True)
        before = _facts(row)
        change(session, row)
        session.flush()
        session.refresh(row)
        if _facts(row) != before:
            say_changed(session, row)
        return status_of(session, row)


def _facts(row: StudyRow) -> tuple[Any, ...]:
    return row.state, row.finished_at, row.spec, row.queue


def _close(database: Database, name: str, *, state: str, error: str) -> StudyStatus:
    def close(session: Session, row: StudyRow) -> None:
        if row.state in ENDED_STUDY:
            raise ConflictError(f"study {name!r} is {row.state} already")
        row.state = state
        if state in ENDED_STUDY and row.next_slot == 0:
            row.finished_at = db_now()  # else settle() does, when what runs has ended
        lease_ends.give_up_waiting(session, row, error=error)

    return _change(database, name, close)


def _must_be_open(row: StudyRow) -> None:
    if row.state not in OPEN_STUDY:
        raise ConflictError(
            f"study {row.name!r} is {row.state}: only one that is {', '.join(OPEN_STUDY)} can "
            "be changed"
        )


def _checked(data: Mapping[str, Any]) -> StudySpec:
    try:
        return StudySpec.model_validate(dict(data))
    except ValidationError as error:
        raise SpecError(field_errors(error.errors())) from None

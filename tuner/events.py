"""The events of all studies, in one sequence: what happened, in the order it was committed.

Whoever changes a fact says so in the same transaction, so an event is there exactly when its fact
is. Ids are given in order, but PostgreSQL commits transactions in any order: id 7 may be seen
before id 6 is there, and a reader that goes on from 7 would miss it. So a writer holds a lock in
common with other writers from its ids to its commit, which are its last statements, and a reader
goes no further than the ids it saw before the lock was free for a moment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    String,
    Table,
    bindparam,
    event,
    func,
    select,
    text,
)
from sqlalchemy.orm import Session

from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.models import EventRow, StudyRow, TrialRow
from alphagrad.tuner.text import clean_text

KINDS: dict[str, tuple[str, ...]] = {
    "study.submitted": ("state",),
    "study.changed": ("state", "finished"),
    "study.deleted": (),
    "trial.started": ("attempt", "params"),
    "trial.progress": ("step", "value", "saturation"),
    "trial.knob": ("knob",),
    "trial.ended": ("state", "value", "values", "error", "attempt"),
    "trial.retried": ("attempt", "outcome", "error"),
}
"""The kinds of events, and what each says beside its study, its trial and its time."""
PAGE = 500
SHOWN_ERROR = 500
"""Characters of an error that an event repeats."""

_PENDING = "alphagrad.events"
_LOCK = {"key": 0x616C706A}
# Whoever vanishes with the lock in hand, its machine cut off, must not stop the others for long.
_WRITER = text(
    "SELECT set_config('idle_in_transaction_session_timeout', '10s', true),"
    " pg_advisory_xact_lock_shared(:key)"
)
_READER = text("SELECT set_config('lock_timeout', '5s', true), pg_advisory_xact_lock(:key)")


_TABLE: Table = EventRow.__table__  # type: ignore[assignment]
_VALUES: tuple[Any, ...] = (
    bindparam("kind", type_=String),
    bindparam("data", type_=JSON),
    db_now(),
)
# Built once, since building one takes longer than to execute it.
_OF_A_NAME = _TABLE.insert().values(
    study=bindparam("study"), kind=_VALUES[0], data=_VALUES[1], at=db_now()
)
_OF_A_STUDY = _TABLE.insert().from_select(
    ["study", "kind", "data", "at"],
    select(StudyRow.name, *_VALUES).where(StudyRow.id == bindparam("study_id")),
)
_OF_A_TRIAL = _TABLE.insert().from_select(
    ["study", "trial", "kind", "data", "at"],
    select(StudyRow.name, TrialRow.number, *_VALUES)
    .join(TrialRow, TrialRow.study_id == StudyRow.id)
    .where(TrialRow.id == bindparam("trial_id"), TrialRow.number.is_not(None)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        id: its place in the sequence.
        kind: one of ``KINDS``.
        study: the study's name.
        trial: the trial's number, if it is about one.
        at: seconds since 1970 by the database's clock.
        data: what the kind says.
    """

    id: int
    kind: str
    study: str
    trial: int | None
    at: float
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in their order, and the id to go on after: those up to it are all seen."""

    events: list[Event]
    last: int


def emit(
    session: Session,
    kind: str,
    *,
    study_id: int,
    trial_id: int | None = None,
    study: str | None = None,
    **data: Any,
) -> None:
    """Say that something happened, in the transaction in which it does.

    Nothing is written before the transaction's end, and nothing at all if it fails. A trial without
    a number, which nobody has seen, has no events.

    Args:
        session: a transaction of the caller's.
        kind: one of ``KINDS``.
        study_id: the study's row id.
        trial_id: the trial's row id.
        study: the study's name, if its row will be gone at the transaction's end.
        data: what the kind says; numbers that are not finite become null.

    Raises:
        ValueError: an unknown kind, or data that it does not have.
    """
    if kind not in KINDS or set(data) != set(KINDS[kind]):
        raise ValueError(f"event {kind!r} with {sorted(data)}; known are {KINDS}")
    values: dict[str, Any] = {"kind": kind, "data": _finite(data)}
    if study is not None:
        pending = (_OF_A_NAME, values | {"study": study})
    elif trial_id is None:
        pending = (_OF_A_STUDY, values | {"study_id": study_id})
    else:
        pending = (_OF_A_TRIAL, values | {"trial_id": trial_id})
    session.info.setdefault(_PENDING, []).append(pending)


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    if session.in_nested_transaction() or not (pending := session.info.pop(_PENDING, None)):
        return
    session.flush()  # what is still to be written comes before, so the lock is held for a moment
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_WRITER, _LOCK)
    connection = session.connection()
    for statement, values in pending:
        connection.execute(statement, values)


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop(_PENDING, None)


def shortened(error: str | None) -> str | None:
    """An error as events repeat it: its beginning."""
    return None if error is None else clean_text(error, most=SHOWN_ERROR)


def read(
    database: Database, *, after: int, limit: int = PAGE, study: str | None = None
) -> list[Event]:
    """Events behind one, in their order.

    Args:
        database: the database.
        after: start behind the event of this id.
        limit: at most so many.
        study: those of one study alone.
    """
    return read_page(database, after=after, limit=limit, study=study).events


def read_page(
    database: Database, *, after: int, limit: int = PAGE, study: str | None = None
) -> EventPage:
    """Like :func:`read`, with the id up to which all was looked at."""
    if database.is_sqlite:
        with database.read() as session:
            return _page(session.connection(), after, _largest(session.connection()), limit, study)
    # Each statement by itself, so the lock is let go as soon as it was had.
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        bound = _largest(connection)
        if bound > after:
            connection.execute(_READER, _LOCK)
        return _page(connection, after, bound, limit, study)


def newest(database: Database) -> int:
    """The id of the latest event, 0 without any; all that commit from now on have larger ones."""
    return read_page(database, after=-1, limit=0).last


def has_events(database: Database, study: str) -> bool:
    """Whether there are events of a study, which may be gone."""
    with database.read() as session:
        found = select(EventRow.id).where(EventRow.study == study).limit(1)
        return session.scalar(found) is not None


def _largest(connection: Connection) -> int:
    return connection.scalar(select(func.max(EventRow.id))) or 0


def _page(
    connection: Connection, after: int, bound: int, limit: int, study: str | None
) -> EventPage:
    if bound <= after or limit == 0:
        return EventPage([], max(after, bound))
    query = select(_TABLE).where(_TABLE.c.id > after, _TABLE.c.id <= bound)
    if study is not None:
        query = query.where(_TABLE.c.study == study)
    rows = connection.execute(query.order_by(_TABLE.c.id).limit(limit)).mappings()
    events = [Event(**row) for row in rows]
    return EventPage(events, events[-1].id if len(events) == limit else bound)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list) else value

"""Whether a database is sound: its files, its schema, and our tables beside Optuna's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Select, and_, func, or_, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import newest_revision, revision
from alphagrad.tuner.models import FINISHED, StudyRow, TrialRow
from alphagrad.tuner.optuna_tables import STUDIES, TRIALS, VALUES

SHOWN = 20
"""So many faults of one kind are listed; of more only the number."""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def check_database(database: Database) -> list[str]:
    """Everything that is wrong with a database, in lines for people; an empty list if nothing is.

    It only reads, and may run beside workers. Checked are the file (SQLite: ``integrity_check`` and
    ``foreign_key_check``; PostgreSQL: broken indexes and unchecked constraints), the schema's
    revision, and that our tables agree with Optuna's: every trial that was told has the same state
    and value there, no trial runs without a lease, no study has more or fewer trials than slots,
    and those that have ended have nothing unfinished.

    Args:
        database: the database.
    """
    found: list[str] = []
    try:
        for lines in _found(database):
            found += lines
    except DatabaseError as error:
        if (said := damage(error)) is None:
            raise
        found.append(said)  # nothing behind it can be read
    return found


def damage(error: BaseException | None) -> str | None:
    """What SQLite says of a damaged file, whatever its error became; ``None`` of other errors."""
    while error is not None:
        # What is above the lowest byte tells more of the same.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
            return f"the database is damaged: {error}"
        error = error.__cause__
    return None


def _found(database: Database) -> Iterator[list[str]]:
    with database.read() as session:
        yield _sqlite(session) if database.is_sqlite else _postgresql(session)
    current, newest = revision(database), newest_revision()
    if current != newest:
        yield [f"schema revision {current}, not {newest}: run alphagrad db upgrade"]
        return
    with database.read() as session:
        for title, query in _FAULTS.items():
            yield _faults(session, title, query)


def _sqlite(session: Session) -> list[str]:
    integrity = session.execute(text("PRAGMA integrity_check")).scalars()
    found = [f"integrity_check: {line}" for line in integrity if line != "ok"]
    for table, row, parent, _ in session.execute(text("PRAGMA foreign_key_check")):
        found.append(f"foreign_key_check: row {row} of {table} names a missing row of {parent}")
    return _shortened("foreign keys and integrity", found)


def _postgresql(session: Session) -> list[str]:
    broken = session.execute(
        text(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid AND indrelid IN "
            "(SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)"
        )
    ).scalars()
    unchecked = session.execute(
        text(
            "SELECT conname FROM pg_constraint WHERE NOT convalidated "
            "AND connamespace = current_schema()::regnamespace"
        )
    ).scalars()
    return [
        *(f"index {name} is not valid: REINDEX it" for name in broken),
        *(f"constraint {name} was never checked: VALIDATE it" for name in unchecked),
    ]


def _faults(session: Session, title: str, query: Select[*tuple[Any, ...]]) -> list[str]:
    rows = session.execute(query).all()
    return _shortened(title, [f"{'/'.join(str(part) for part in row)}: {title}" for row in rows])


def _shortened(title: str, lines: list[str]) -> list[str]:
    more = len(lines) - SHOWN
    return lines if more <= 0 else [*lines[:SHOWN], f"and {more} more: {title}"]


_FINISHED = TrialRow.state.in_(FINISHED)
_TRIALS: Select[*tuple[Any, ...]] = (
    select(StudyRow.name, TrialRow.slot)
    .join(TrialRow, TrialRow.study_id == StudyRow.id)
    .order_by(StudyRow.id, TrialRow.slot)
)
_BESIDE = _TRIALS.outerjoin(TRIALS, TRIALS.c.trial_id == TrialRow.optuna_trial_id).where(
    _FINISHED, TrialRow.told.is_(True), TrialRow.optuna_trial_id.is_not(None)
)
_COUNTED = (
    select(StudyRow.name)
    .outerjoin(TrialRow, TrialRow.study_id == StudyRow.id)
    .group_by(StudyRow.id, StudyRow.name, StudyRow.next_slot, StudyRow.n_trials)
    .order_by(StudyRow.id)
)

_FAULTS: dict[str, Select[*tuple[Any, ...]]] = {
    "the study is not in Optuna's tables": select(StudyRow.name)
    .outerjoin(STUDIES, STUDIES.c.study_id == StudyRow.optuna_study_id)
    .where(
        StudyRow.optuna_study_id.is_not(None),
        or_(STUDIES.c.study_id.is_(None), STUDIES.c.study_name != StudyRow.name),
    ),
    "the trial is told, but not in Optuna's tables": _BESIDE.where(TRIALS.c.trial_id.is_(None)),
    "the trial has another number in Optuna's tables": _BESIDE.where(
        TRIALS.c.number != TrialRow.number
    ),
    "the trial has another state in Optuna's tables": _BESIDE.where(
        or_(
            *(
                and_(TrialRow.state == state, TRIALS.c.state != TrialState[state])
                for state in FINISHED
            )
        )
    ),
    "the trial has another value in Optuna's tables": _BESIDE.outerjoin(
        VALUES, and_(VALUES.c.trial_id == TRIALS.c.trial_id, VALUES.c.objective == 0)
    ).where(
        # A pruned trial's value is its last report here, there that of the highest step.
        TrialRow.state == "COMPLETE",
        TrialRow.value.is_not(None),
        or_(VALUES.c.value.is_(None), VALUES.c.value != TrialRow.value),
    ),
    "the trial runs without a lease": _TRIALS.where(
        TrialRow.state == "RUNNING",
        or_(TrialRow.worker.is_(None), TrialRow.lease_expires_at.is_(None)),
    ),
    "the trial is finished without a time, or still leased": _TRIALS.where(
        _FINISHED,
        or_(TrialRow.finished_at.is_(None), TrialRow.lease_expires_at.is_not(None)),
    ),
    "the study's trials are not one per slot": _COUNTED.having(
        or_(
            func.count(TrialRow.id) != StudyRow.next_slot,
            func.max(TrialRow.slot) + 1 != StudyRow.next_slot,
        )
    ),
    "the study has started more than n_trials": select(StudyRow.name).where(
        StudyRow.next_slot > StudyRow.n_trials
    ),
    "the study has ended, but not this trial": _TRIALS.where(
        StudyRow.finished_at.is_not(None), or_(~_FINISHED, TrialRow.told.is_(False))
    ),
    "the study has ended, but Optuna has a trial of it that runs": select(
        StudyRow.name, TRIALS.c.number
    )
    .join(TRIALS, TRIALS.c.study_id == StudyRow.optuna_study_id)
    .where(StudyRow.finished_at.is_not(None), TRIALS.c.state == TrialState.RUNNING),
}

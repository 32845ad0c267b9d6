"""What is deleted, and when: studies, files of finished trials, details of old studies."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages._rdb.models import BaseModel as OptunaBase
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from alphagrad.tuner import events
from alphagrad.tuner.access_models import AuditRow
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import ConflictError
from alphagrad.tuner.event_retention import EVENT_DAYS, trim_events
from alphagrad.tuner.idempotency import forget_old
from alphagrad.tuner.models import FINISHED, MetricRow, StudyRow, TraceRow, TrialRow
from alphagrad.tuner.optuna_tables import TRIALS
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_store import by_name

CHUNK = 2000
"""Trials deleted in one transaction: other writers wait about a tenth of a second for it."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How much was removed: folders of checkpoints, bytes in them, folders of logs, and rows.

    ``audit`` is rows of the audit log, which ``rows`` leaves out.
    """

    checkpoints: int
    bytes: int
    logs: int
    rows: int
    audit: int = 0


def delete_study(database: Database, settings: TunerSettings, name: str) -> None:
    """Delete a study that has ended: its rows, Optuna's, its checkpoints and logs.

    It is deleted in parts, the study itself last. What was cut short is finished by a second call.

    Args:
        database: the database.
        settings: the folder of checkpoints and logs; those in other machines' folders stay until
            :func:`prune` is called there.
        name: the study's name.

    Raises:
        StudyNotFoundError: no study has this name.
        ConflictError: the study has not ended, or one of its trials still runs.
    """
    with database.write() as session:
        row = by_name(session, name, lock=True)
        if row.finished_at is None:
            raise ConflictError(
                f"study {name!r} is {row.state} and has not ended: cancel it first, and wait"
            )
    while database.retry(lambda session: _delete_trials(session, row)):
        pass
    # The files before the row: a new study may get this one's id, and with it its folder.
    shutil.rmtree(settings.checkpoint_dir(row.id, 0).parent, ignore_errors=True)
    shutil.rmtree(settings.log_path(name, 0).parent, ignore_errors=True)

    def end(session: Session) -> None:
        for table in reversed(OptunaBase.metadata.sorted_tables):
            if "study_id" in table.c and table is not TRIALS:
                session.execute(delete(table).where(table.c.study_id == row.optuna_study_id))
        if _delete_rows(session, StudyRow, StudyRow.id == row.id):
            events.emit(session, "study.deleted", study_id=row.id, study=name)

    database.retry(end)


def prune(
    database: Database, settings: TunerSettings, *, details_after_days: float | None = None
) -> Pruned:
    """Remove what nobody needs: checkpoints of finished trials, files of studies that are gone.

    Events go too when they are older than ``event_retention.EVENT_DAYS``, and of the audit log
    what is older than ``settings.audit_days``.

    Args:
        database: the database.
        settings: the folder of checkpoints and logs.
        details_after_days: of studies that ended so many days ago also delete the α traces, the
            metrics and the logs; trials, parameters, values and reports stay. By default of none.

    Returns:
        How much was removed.
    """
    forget_old(database)
    checkpoints, freed = _prune_checkpoints(database, settings)
    logs = _prune_logs(database, settings)
    rows = trim_events(database, older_than_days=EVENT_DAYS)
    if details_after_days is not None:
        for study in _ended_before(database, details_after_days):
            rows += _delete_details(database, study.id)
            folder = settings.log_path(study.name, 0).parent
            logs += folder.is_dir()
            shutil.rmtree(folder, ignore_errors=True)
    audit = _prune_audit(database, settings.audit_days)
    return Pruned(checkpoints=checkpoints, bytes=freed, logs=logs, rows=rows, audit=audit)


def _delete_trials(session: Session, study: StudyRow) -> bool:
    """Delete some trials of a study, ours and Optuna's; says whether there were any."""
    theirs = TRIALS.c.study_id == study.optuna_study_id
    their_ids = _some(session, select(TRIALS.c.trial_id).where(theirs))
    for table in reversed(OptunaBase.metadata.sorted_tables):
        if "trial_id" in table.c:
            session.execute(delete(table).where(table.c.trial_id.in_(their_ids)))
    our_ids = _some(session, select(TrialRow.id).where(TrialRow.study_id == study.id))
    _delete_rows(session, TrialRow, TrialRow.id.in_(our_ids))  # the rest goes with them
    return bool(their_ids or our_ids)


def _some(session: Session, query: Any) -> Sequence[int]:
    found: Sequence[int] = session.scalars(query.limit(CHUNK)).all()
    return found


def _delete_rows(session: Session, table: Any, condition: ColumnElement[bool]) -> int:
    options = {"synchronize_session": False, "preserve_rowcount": True}
    done = session.execute(delete(table).where(condition), execution_options=options)
    return int(done.rowcount)  # type: ignore[attr-defined]


def _ended_before(database: Database, days: float) -> Sequence[StudyRow]:
    with database.read() as session:
        long_ago = StudyRow.finished_at < db_now() - days * 86_400
        return session.scalars(select(StudyRow).where(long_ago)).all()


def _delete_details(database: Database, study_id: int) -> int:
    with database.read() as session:
        trial_ids = session.scalars(select(TrialRow.id).where(TrialRow.study_id == study_id)).all()
    rows = 0
    # A long trial has 100,000 metrics, so few trials at a time.
    for first in range(0, len(trial_ids), 20):
        some = trial_ids[first : first + 20]
        for table in (TraceRow, MetricRow):
            with database.write() as session:
                rows += _delete_rows(session, table, table.trial_id.in_(some))
    return rows


def _prune_checkpoints(database: Database, settings: TunerSettings) -> tuple[int, int]:
    folders = freed = 0
    for of_study in _folders(settings.checkpoint_dir(0, 0).parent.parent):
        if not of_study.name.isdecimal():
            continue
        slots = _folders(of_study)  # before the query: what is made after it is somebody's
        with database.read() as session:
            study = session.get(StudyRow, int(of_study.name))
            if study is not None and study.finished_at is None and study.spec.get("population"):
                continue  # its members take over each other's checkpoints
            unfinished = select(TrialRow.slot).where(
                TrialRow.study_id == int(of_study.name), TrialRow.state.not_in(FINISHED)
            )
            needed = {str(slot) for slot in session.scalars(unfinished)}
        for folder in slots:
            if folder.name not in needed:
                freed += sum(_size(file) for file in folder.rglob("*"))
                shutil.rmtree(folder, ignore_errors=True)
                folders += 1
        with suppress(OSError):  # it is not empty
            of_study.rmdir()
    return folders, freed


def _size(file: Path) -> int:
    """Bytes of a file; 0 of what is none, or was deleted by somebody else."""
    with suppress(FileNotFoundError):
        return file.stat().st_size if file.is_file() else 0
    return 0


def _prune_audit(database: Database, days: float) -> int:
    rows = 0
    while True:
        with database.write() as session:
            old = select(AuditRow.id).where(AuditRow.at < db_now() - days * 86_400)
            some = _some(session, old.order_by(AuditRow.id))
            rows += _delete_rows(session, AuditRow, AuditRow.id.in_(some))
        if len(some) < CHUNK:
            return rows


def _prune_logs(database: Database, settings: TunerSettings) -> int:
    gone = 0
    for folder in _folders(settings.log_path("x", 0).parent.parent):
        with database.read() as session:
            known = session.scalar(select(StudyRow.id).where(StudyRow.name == folder.name))
        if known is None:
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []

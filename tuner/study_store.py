"""Studies and trials in SQL: submit, list, read, stop, cancel."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from alphagrad.tuner import leases
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import (
    ConflictError,
    DuplicateStudyError,
    StudyNotFoundError,
    TrialNotFoundError,
)
from alphagrad.tuner.models import FINISHED, OPEN_STUDY, UNFINISHED, StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.spec import NAME_PATTERN, StudySpec

ENDED_STUDY = ("COMPLETED", "FAILED", "CANCELLED")
RECORDED_PACKAGES = ("alphagrad", "gymnasium", "mujoco", "numpy", "optuna", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """A study as it stands.

    Attributes:
        row: its row.
        trials: number of trials by state, those not started yet under "QUEUED".
        best: the best complete trial, if there is one.
        eta_seconds: the time to the last trial's end at the pace so far; ``None`` if unknown.
    """

    row: StudyRow
    trials: Mapping[str, int]
    best: TrialRow | None
    eta_seconds: float | None

    @property
    def spec(self) -> StudySpec:
        """The study's specification."""
        return StudySpec.model_validate(self.row.spec)

    @property
    def finished_trials(self) -> int:
        """How many trials have ended, whatever their end."""
        return _finished(self.trials)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.row.state in ENDED_STUDY


def create_study(database: Database, optuna_storage: OptunaStorage, spec: StudySpec) -> StudyRow:
    """Store a study; workers take it up from there.

    Raises:
        DuplicateStudyError: the name is taken, by a study of ours or one of plain Optuna.
    """
    if optuna_storage.has_study(spec.name):
        raise DuplicateStudyError(spec.name)
    with database.write() as session:
        row = StudyRow(
            name=spec.name,
            spec=spec.model_dump(mode="json"),
            versions=_versions(),
            state="QUEUED",
            n_trials=spec.n_trials,
            parallelism=spec.parallelism,
            next_slot=0,
        )
        row.created_at = db_now()
        session.add(row)
        try:
            session.flush()
        except IntegrityError:
            raise DuplicateStudyError(spec.name) from None
        session.refresh(row)
    ensure_optuna_study(database, optuna_storage, row, spec)
    return row


def ensure_optuna_study(
    database: Database, optuna_storage: OptunaStorage, row: StudyRow, spec: StudySpec
) -> int:
    """Create Optuna's study if a crash came between our row and it; returns Optuna's id."""
    if row.optuna_study_id is None:
        row.optuna_study_id = optuna_storage.create_study(spec)
        with database.write() as session:
            session.get_one(StudyRow, row.id).optuna_study_id = row.optuna_study_id
    return row.optuna_study_id


def get_study(database: Database, name: str) -> StudyStatus:
    """One study.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    with database.read() as session:
        row = _by_name(session, name)
        return _status(session, row)


def list_studies(database: Database, *, after: int = 0, limit: int = 100) -> list[StudyStatus]:
    """Studies in the order of submission.

    Args:
        database: the database.
        after: start behind the study with this row id.
        limit: at most so many.
    """
    with database.read() as session:
        rows = session.scalars(
            select(StudyRow).where(StudyRow.id > after).order_by(StudyRow.id).limit(limit)
        ).all()
        return [_status(session, row) for row in rows]


def list_trials(
    database: Database, study: str, *, after: int = -1, limit: int = 100
) -> list[TrialRow]:
    """A study's trials by number; a slot whose trial has no number yet is left out.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    with database.read() as session:
        row = _by_name(session, study)
        return list(
            session.scalars(
                select(TrialRow)
                .where(TrialRow.study_id == row.id, TrialRow.number > after)
                .order_by(TrialRow.number)
                .limit(limit)
            )
        )


def get_trial(database: Database, study: str, number: int) -> TrialRow:
    """One trial.

    Raises:
        StudyNotFoundError: no study has this name.
        TrialNotFoundError: the study has no trial of this number.
    """
    with database.read() as session:
        row = _by_name(session, study)
        trial = session.scalar(
            select(TrialRow).where(TrialRow.study_id == row.id, TrialRow.number == number)
        )
        if trial is None:
            raise TrialNotFoundError(study, number)
        return trial


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


def _close(database: Database, name: str, *, state: str, error: str) -> StudyStatus:
    with database.write() as session:
        row = _by_name(session, name, lock=True)
        if row.state in ENDED_STUDY:
            raise ConflictError(f"study {name!r} is {row.state} already")
        row.state = state
        if state in ENDED_STUDY and row.next_slot == 0:
            row.finished_at = db_now()  # else settle() does, when what runs has ended
        leases.give_up_waiting(session, row, error=error)
        session.flush()
        session.refresh(row)
        return _status(session, row)


def settle(database: Database) -> list[StudyStatus]:
    """End the studies that have nothing left to run, and stop those out of time.

    A study ends when all its trials are finished and Optuna knows of each: COMPLETED if one
    trial at least gave a value, FAILED if all failed.

    Returns:
        The studies that ended now.
    """

    def attempt(session: Session) -> list[StudyStatus]:
        ended = []
        for row in session.scalars(
            select(StudyRow)
            .where(
                StudyRow.state.in_((*OPEN_STUDY, "STOPPING", "CANCELLED")),
                StudyRow.finished_at.is_(None),
            )
            .order_by(StudyRow.id)
            .with_for_update()
        ).all():
            timeout = row.spec["timeout"]
            now = session.scalar(select(db_now())) or 0.0
            if row.state == "RUNNING" and timeout and now > (row.started_at or now) + timeout:
                row.state = "STOPPING"
                leases.give_up_waiting(session, row, error="the study ran out of time")
            if row.state in OPEN_STUDY and row.next_slot < row.n_trials:
                continue
            of_study = TrialRow.study_id == row.id
            open_ = (TrialRow.state.in_(UNFINISHED)) | (TrialRow.told.is_(False))
            if session.scalar(select(TrialRow.id).where(of_study, open_).limit(1)) is not None:
                continue
            if row.state != "CANCELLED":
                good = select(TrialRow.id).where(
                    of_study, TrialRow.state.in_(("COMPLETE", "PRUNED"))
                )
                gave_value = session.scalar(good.limit(1)) is not None
                row.state = "COMPLETED" if gave_value or row.next_slot == 0 else "FAILED"
            row.finished_at = now
            session.flush()
            ended.append(_status(session, row))
        return ended

    return database.retry(attempt)


def study_states(database: Database, ids: set[int]) -> dict[int, str]:
    """The states of some studies, by row id."""
    with database.read() as session:
        rows = session.execute(select(StudyRow.id, StudyRow.state).where(StudyRow.id.in_(ids)))
        return {row.id: row.state for row in rows}


def _by_name(session: Session, name: str, *, lock: bool = False) -> StudyRow:
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise StudyNotFoundError(name)  # PostgreSQL would not even take some of these as text
    query = select(StudyRow).where(StudyRow.name == name)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise StudyNotFoundError(name)
    return row


def _status(session: Session, row: StudyRow) -> StudyStatus:
    of_study = TrialRow.study_id == row.id
    by_state = select(TrialRow.state, func.count()).where(of_study).group_by(TrialRow.state)
    counts = {state: count for state, count in session.execute(by_state)}  # noqa: C416
    if row.state in OPEN_STUDY:
        counts["QUEUED"] = row.n_trials - row.next_slot
    order = TrialRow.value.desc() if row.spec["direction"] == "maximize" else TrialRow.value.asc()
    best = session.scalar(
        select(TrialRow).where(of_study, TrialRow.state == "COMPLETE").order_by(order).limit(1)
    )
    finished = _finished(counts)
    eta = None
    if row.state in OPEN_STUDY and row.started_at is not None and finished:
        now = session.scalar(select(db_now())) or row.started_at
        eta = (now - row.started_at) / finished * (row.n_trials - finished)
    return StudyStatus(row=row, trials=counts, best=best, eta_seconds=eta)


def _finished(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in FINISHED)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        package: version(package) for package in RECORDED_PACKAGES
    }

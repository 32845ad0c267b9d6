"""Studies and trials in SQL: submit, list, read, end."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from alphagrad.tuner import events, quotas
from alphagrad.tuner.best_trials import best_trials
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import (
    DuplicateStudyError,
    StudyNotFoundError,
    TrialNotFoundError,
)
from alphagrad.tuner.migrate import alone
from alphagrad.tuner.models import FINISHED, OPEN_STUDY, StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.spec import NAME_PATTERN, StudySpec
from alphagrad.tuner.warm_start import check_sources

ENDED_STUDY = ("COMPLETED", "FAILED", "CANCELLED")
RECORDED_PACKAGES = ("alphagrad", "gymnasium", "mujoco", "numpy", "optuna", "torch")

# Built once, since building one takes longer than to execute it.
_BY_NAME = select(StudyRow).where(StudyRow.name == bindparam("name"))
_BY_STATE = (
    select(TrialRow.state, func.count(), db_now())
    .where(TrialRow.study_id == bindparam("study"))
    .group_by(TrialRow.state)
)
_counts = (
    select(TrialRow.study_id, TrialRow.state, func.count().label("trials"))
    .where(
        TrialRow.study_id
        == select(StudyRow.id).where(StudyRow.name == bindparam("name")).scalar_subquery()
    )
    .group_by(TrialRow.study_id, TrialRow.state)
    .subquery()
)
# At once, since on a busy machine each answer of PostgreSQL is waited for.
_WITH_COUNTS = (
    select(StudyRow, _counts.c.state, _counts.c.trials, db_now())
    .outerjoin(_counts, _counts.c.study_id == StudyRow.id)
    .where(StudyRow.name == bindparam("name"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """A study as it stands.

    Attributes:
        row: its row.
        trials: number of trials by state, those not started yet under "QUEUED".
        best: the best complete and feasible trial, if there is one; ``None`` with several
            objectives.
        best_trials: as Optuna says it, the Pareto front: complete and feasible trials that no other
            one beats, at most 100, by number.
        eta_seconds: the time to the last trial's end at the pace so far; ``None`` if unknown.
    """

    row: StudyRow
    trials: Mapping[str, int]
    best: TrialRow | None
    best_trials: list[TrialRow]
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


def create_study(
    database: Database,
    optuna_storage: OptunaStorage,
    spec: StudySpec,
    *,
    owner: str | None = None,
    max_open: int | None = None,
) -> StudyRow:
    """Store a study; workers take it up from there.

    Args:
        database: the database.
        optuna_storage: Optuna's tables in it.
        spec: the study.
        owner: the name of the API key that submits it.
        max_open: how many open studies the owner may have with it; ``None`` is any number.

    Raises:
        DuplicateStudyError: the name is taken, by a study of ours or one of plain Optuna.
        QuotaError: the owner has as many open studies as it may.
        SpecError: a study to start from does not exist, or does not fit.
    """
    if optuna_storage.has_study(spec.name):
        raise DuplicateStudyError(spec.name)
    if spec.warm_start:
        check_sources(database, spec)
    with database.write() as session:
        row = StudyRow(
            name=spec.name,
            spec=spec.model_dump(mode="json"),
            versions=_versions(),
            state="QUEUED",
            n_trials=spec.n_trials,
            parallelism=spec.parallelism,
            priority=spec.priority,
            queue=spec.enqueue or None,
            next_slot=0,
            owner=owner,
        )
        if owner is not None and max_open is not None:
            quotas.check_open_studies(session, owner, most=max_open)
        row.created_at = db_now()
        session.add(row)
        try:
            session.flush()
        except IntegrityError:
            raise DuplicateStudyError(spec.name) from None
        session.refresh(row)
        events.emit(session, "study.submitted", study_id=row.id, state=row.state)
    try:
        ensure_optuna_study(database, optuna_storage, row, spec)
    except SQLAlchemyError:
        raise  # a worker that claims from it will do it
    except Exception:
        # No worker could do it either: all its trials would fail.
        optuna_storage.delete_study(spec.name)
        with database.write() as session:
            session.execute(delete(StudyRow).where(StudyRow.id == row.id))
            events.emit(session, "study.deleted", study_id=row.id, study=row.name)
        raise
    return row


def ensure_optuna_study(
    database: Database, optuna_storage: OptunaStorage, row: StudyRow, spec: StudySpec
) -> int:
    """Create Optuna's study if a crash came between our row and it; returns Optuna's id.

    What the study starts from is in it when this returns.
    """
    if row.optuna_study_id is None:
        optuna_study_id = optuna_storage.create_study(spec)
        if spec.warm_start:
            # Alone, since who submits the study and a worker that claims from it may both be here.
            with alone(database, "warm_start"):
                optuna_storage.add_observations(spec, optuna_study_id=optuna_study_id)
        row.optuna_study_id = optuna_study_id
        with database.write() as session:
            session.get_one(StudyRow, row.id).optuna_study_id = row.optuna_study_id
    return row.optuna_study_id


def get_study(database: Database, name: str) -> StudyStatus:
    """One study.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    _must_be_a_name(name)
    with database.read() as session:
        found = session.execute(_WITH_COUNTS, {"name": name}).all()
        if not found:
            raise StudyNotFoundError(name)
        counts = {state: count for _, state, count, _ in found if state is not None}
        return _status(session, found[0][0], counts, now=found[0][3])


def get_trial(database: Database, study: str, number: int) -> TrialRow:
    """One trial.

    Raises:
        StudyNotFoundError: no study has this name.
        TrialNotFoundError: the study has no trial of this number.
    """
    with database.read() as session:
        row = by_name(session, study)
        trial = session.scalar(
            select(TrialRow).where(TrialRow.study_id == row.id, TrialRow.number == number)
        )
        if trial is None:
            raise TrialNotFoundError(study, number)
        return trial


def list_best(database: Database, study: str, *, most: int) -> list[TrialRow]:
    """The best trials of a study, as :func:`alphagrad.tuner.best_trials.best_trials`.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    with database.read() as session:
        return best_trials(session, by_name(session, study), most=most)


def study_states(database: Database, ids: set[int]) -> dict[int, str]:
    """The states of some studies, by row id."""
    with database.read() as session:
        rows = session.execute(select(StudyRow.id, StudyRow.state).where(StudyRow.id.in_(ids)))
        return {row.id: row.state for row in rows}


def by_name(session: Session, name: str, *, lock: bool = False) -> StudyRow:
    """The row of a study, in a transaction of the caller's; locked if it is to be changed.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    _must_be_a_name(name)
    row = session.scalar(_BY_NAME.with_for_update() if lock else _BY_NAME, {"name": name})
    if row is None:
        raise StudyNotFoundError(name)
    return row


def say_changed(session: Session, row: StudyRow) -> None:
    """Emit that a study is in another state, or was edited, in a transaction of the caller's."""
    events.emit(
        session,
        "study.changed",
        study_id=row.id,
        state=row.state,
        finished=row.finished_at is not None,
    )


def status_of(session: Session, row: StudyRow) -> StudyStatus:
    """A study as it stands, in a transaction of the caller's."""
    by_state = session.execute(_BY_STATE, {"study": row.id}).all()
    counts = {state: count for state, count, _ in by_state}
    return _status(session, row, counts, now=by_state[0][2] if by_state else 0.0)


def _status(session: Session, row: StudyRow, counts: dict[str, int], *, now: float) -> StudyStatus:
    if row.state in OPEN_STUDY:
        counts["QUEUED"] = row.n_trials - row.next_slot
    best = best_trials(session, row)
    finished = _finished(counts)
    eta = None
    if row.state in OPEN_STUDY and row.started_at is not None and finished:
        eta = (now - row.started_at) / finished * (row.n_trials - finished)
    return StudyStatus(
        row=row,
        trials=counts,
        best=best[0] if best and not row.spec.get("directions") else None,
        best_trials=best,
        eta_seconds=eta,
    )


def _must_be_a_name(name: str) -> None:
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise StudyNotFoundError(name)  # PostgreSQL would not even take some of these as text


def _finished(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in FINISHED)


@cache  # those of this process: what is installed meanwhile is not what it has imported
def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {
        package: version(package) for package in RECORDED_PACKAGES
    }

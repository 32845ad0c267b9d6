"""Leases: who works on which trial, and the proof that a result is the rightful one.

A claim takes a free slot of a study (or a trial that waits for another attempt), sets the lease's
end and raises the fence. Every later write on behalf of the trial shows the fence; when the lease
ran out and another worker claimed the trial, the fence has grown and the write is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from alphagrad.tuner import attempts, events, queueing
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import StaleFenceError
from alphagrad.tuner.models import CLAIMABLE_STUDY, StudyRow, TrialRow
from alphagrad.tuner.resources import Room


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed trial: its row and its study's, as they stood at the claim.

    It is ``first`` if nobody has begun the trial in this database.
    """

    trial: TrialRow
    study: StudyRow
    first: bool = False

    @property
    def fence(self) -> int:
        """The fence to show with every write."""
        return self.trial.fence


def claim(
    database: Database,
    *,
    worker: str,
    lease_seconds: float,
    tasks: Collection[str],
    study: str | None = None,
    engine: str = "optuna",
    room: Room | None = None,
    quota: int | None = None,
    without: Collection[int] = (),
) -> Claim | None:
    """Claim a trial to run.

    Studies of the highest priority come first, among equals the one with the fewest running trials,
    then the oldest.

    Args:
        database: the database.
        worker: the claimer's name, unique among all workers.
        lease_seconds: how long the claim holds unless renewed.
        tasks: the tasks that the worker knows; studies of others are left to others.
        study: claim from this study alone.
        engine: claim from studies of this engine alone.
        room: claim what fits into it; by default whatever comes next.
        quota: how many trials of one API key run at a time, where the key has no quota of its own.
        without: row ids of studies to leave alone.

    Returns:
        The claim, or ``None`` if there is nothing to do now.
    """
    for study_id in queueing.candidates(
        database,
        tasks=tasks,
        study=study,
        engine=engine,
        room=room,
        quota=quota,
        without=without,
    ):
        with database.write() as session:
            # Locking the study's row makes claims of one study wait for each other: two workers
            # cannot both see the last free slot. (SQLite's transaction locks everything already.)
            row = session.get(StudyRow, study_id, with_for_update=True)
            if row is None:
                continue  # it was deleted meanwhile
            claimable = row.state in CLAIMABLE_STUDY
            trial = queueing.next_trial(session, row, quota=quota) if claimable else None
            if trial is None:
                continue  # another worker was faster
            return take(session, row, trial, worker=worker, lease_seconds=lease_seconds)
    return None


def take(
    session: Session, study: StudyRow, trial: TrialRow, *, worker: str, lease_seconds: float
) -> Claim:
    """Begin an attempt at a trial, in a transaction of the caller's that has locked both rows."""
    now = session.scalar(select(db_now()))
    assert now is not None
    trial.state = "RUNNING"
    trial.worker = worker
    trial.fence += 1
    trial.attempt += 1
    trial.lease_expires_at = now + lease_seconds
    trial.not_before = None
    first = trial.started_at is None
    trial.started_at = trial.started_at or now
    if study.state != "RUNNING":
        events.emit(session, "study.changed", study_id=study.id, state="RUNNING", finished=False)
    study.state = "RUNNING"
    study.started_at = study.started_at or now
    session.flush()
    attempts.begin(session, trial, worker=worker, now=now)
    if trial.params is not None:  # else see record_ask
        events.emit(
            session,
            "trial.started",
            study_id=study.id,
            trial_id=trial.id,
            attempt=trial.attempt,
            params=trial.params,
        )
    return Claim(trial=trial, study=study, first=first)


def renew(
    database: Database,
    believed: Collection[tuple[int, int]],
    *,
    worker: str,
    lease_seconds: float,
) -> set[tuple[int, int]]:
    """Renew the leases of a worker's running trials, given as (trial row id, fence).

    Without any it writes all the same, so that the caller knows that the database can be written.

    Returns:
        Those that it still holds; the others are lost.
    """

    def attempt(session: Session) -> set[tuple[int, int]]:
        renewed = session.execute(
            update(TrialRow)
            .where(
                TrialRow.id.in_([trial_id for trial_id, _ in believed]),
                TrialRow.worker == worker,
                TrialRow.state == "RUNNING",
            )
            .values(lease_expires_at=db_now() + lease_seconds)
            .returning(TrialRow.id, TrialRow.fence)
            .execution_options(synchronize_session=False)
        )
        return {(row.id, row.fence) for row in renewed} & set(believed)

    return database.retry(attempt)


def remote_studies() -> Select[int]:
    """Row ids of the unended studies whose trials are run by whoever asks over HTTP."""
    return select(StudyRow.id).where(
        StudyRow.spec["engine"].as_string() == "remote", StudyRow.finished_at.is_(None)
    )


def held(session: Session, trial_id: int, fence: int) -> TrialRow:
    """The trial's row, locked, if the fence still holds.

    Raises:
        StaleFenceError: the lease was lost, or the trial has ended.
    """
    trial = session.scalar(
        select(TrialRow)
        .where(TrialRow.id == trial_id, TrialRow.fence == fence, TrialRow.state == "RUNNING")
        .with_for_update()
    )
    if trial is None:
        raise _stale(trial_id, fence)
    return trial


def must_hold(trial: TrialRow, fence: int) -> None:
    """The same for a row that is locked already.

    Raises:
        StaleFenceError: the lease was lost, or the trial has ended.
    """
    if trial.fence != fence or trial.state != "RUNNING":
        raise _stale(trial.id, fence)


def _stale(trial_id: int, fence: int) -> StaleFenceError:
    return StaleFenceError(f"trial row {trial_id}: the lease with fence {fence} is lost")


def check(database: Database, *, trial_id: int, fence: int) -> None:
    """Make sure that a lease still holds, before a write elsewhere.

    Raises:
        StaleFenceError: it was lost.
    """
    with database.read() as session:
        state = select(TrialRow.state).where(TrialRow.id == trial_id, TrialRow.fence == fence)
        if session.scalar(state) != "RUNNING":
            raise _stale(trial_id, fence)

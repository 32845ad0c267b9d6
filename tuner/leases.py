"""Leases: who works on which trial, and the proof that a result is the rightful one.

A claim takes a free slot of a study (or a trial that waits for another attempt), sets the lease's
end and raises the fence. Every later write on behalf of the trial shows the fence; when the lease
ran out and another worker claimed the trial, the fence has grown and the write is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from alphagrad.tuner import attempts, best_trials, events, optuna_ends, queueing
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import StaleFenceError
from alphagrad.tuner.knobs import reject_open_knobs
from alphagrad.tuner.messages import FinalState
from alphagrad.tuner.models import CLAIMABLE_STUDY, OPEN_STUDY, StudyRow, TrialRow
from alphagrad.tuner.resources import Room
from alphagrad.tuner.text import clean_text

MAX_LOSSES = 20
"""A trial whose worker died so often is given up: it may be what kills the workers."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed trial: its row and its study's, as they stood at the claim."""

    trial: TrialRow
    study: StudyRow

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

    Returns:
        The claim, or ``None`` if there is nothing to do now.
    """
    for study_id in queueing.candidates(
        database, tasks=tasks, study=study, engine=engine, room=room, quota=quota
    ):
        with database.write() as session:
            # Locking the study's row makes claims of one study wait for each other: two workers
            # cannot both see the last free slot. (SQLite's transaction locks everything already.)
            row = session.get_one(StudyRow, study_id, with_for_update=True)
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
    trial.started_at = trial.started_at or now
    if study.state != "RUNNING":
        events.emit(session, "study.changed", study_id=study.id, state="RUNNING", finished=False)
    study.state = "RUNNING"
    study.started_at = study.started_at or now
    session.flush()
    attempts.begin(session, trial, worker=worker, now=now)
    if trial.number is not None:  # else it has no parameters yet: see record_ask
        events.emit(
            session,
            "trial.started",
            study_id=study.id,
            trial_id=trial.id,
            attempt=trial.attempt,
            params=trial.params,
        )
    return Claim(trial=trial, study=study)


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


def reap(
    database: Database, *, remote: bool = False, only_if: Callable[[], bool] = lambda: True
) -> int:
    """Free the trials whose lease ran out, for another attempt.

    Leases of engine ``remote`` are renewed through a server, so a worker knows nothing of their
    holders: while no server answers, nobody may be taken for dead.

    Args:
        database: the database.
        remote: free trials of engine ``remote``, and no others; by default all others.
        only_if: asked when the database has let us write; if it says no, nothing is freed.

    Returns:
        How many were freed or, after too many losses, given up.
    """

    def attempt(session: Session) -> int:
        session.connection()  # begins: here SQLite waits for another writer
        if not only_if():
            return 0
        expired = session.scalars(
            select(TrialRow)
            .where(
                TrialRow.state == "RUNNING",
                TrialRow.lease_expires_at < db_now(),
                TrialRow.study_id.in_(remote_studies())
                if remote
                else TrialRow.study_id.not_in(remote_studies()),
            )
            .with_for_update(skip_locked=True)
        ).all()
        for trial in expired:
            _lost(session, trial)
        return len(expired)

    return database.retry(attempt)


def remote_studies() -> Select[int]:
    """Row ids of the unended studies whose trials are run by whoever asks over HTTP."""
    return select(StudyRow.id).where(
        StudyRow.spec["engine"].as_string() == "remote", StudyRow.finished_at.is_(None)
    )


def lose(database: Database, *, trial_id: int, fence: int, error: str) -> None:
    """Free a trial whose machine or process is known to be gone, before its lease runs out.

    Args:
        database: the database.
        trial_id: our row's id.
        fence: the fence of the claim.
        error: what became of it.

    Raises:
        StaleFenceError: the lease was lost before.
    """
    database.retry(lambda session: _lost(session, held(session, trial_id, fence), error=error))


def _lost(session: Session, trial: TrialRow, *, error: str | None = None) -> None:
    trial.losses += 1
    if trial.losses > MAX_LOSSES:
        why = f"lost its worker {trial.losses} times"
        end(session, trial, "FAIL", error=why if error is None else f"{why}, at last: {error}")
    else:
        release(session, trial, outcome="LOST", error=error)


def release(
    session: Session,
    trial: TrialRow,
    *,
    outcome: attempts.Outcome,
    error: str | None = None,
    delay: float = 0.0,
) -> None:
    """Give a trial back: it waits for its next attempt, unless its study is over.

    Args:
        session: a transaction of the caller's.
        trial: the trial.
        outcome: how the attempt ended.
        error: what went wrong in it.
        delay: seconds until the next one may start.
    """
    # Locked against a stop or cancellation at this moment, which ends the trials that wait.
    study = session.get_one(StudyRow, trial.study_id, with_for_update={"read": True})
    attempts.end(session, trial, outcome, error=error)
    if study.state in OPEN_STUDY:
        trial.state = "WAITING"
        trial.worker = None
        trial.lease_expires_at = None
        trial.not_before = session.scalar(select(db_now() + delay)) if delay else None
        events.emit(
            session,
            "trial.retried",
            study_id=trial.study_id,
            trial_id=trial.id,
            attempt=trial.attempt,
            outcome=outcome,
            error=events.shortened(error),
        )
    else:
        end(session, trial, "FAIL", error=f"the study was {_ENDED.get(study.state, 'over')}")


_ENDED = {"CANCELLED": "cancelled", "STOPPING": "stopped"}


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


def give_back(
    database: Database,
    *,
    trial_id: int,
    fence: int,
    error: str | None = None,
    delay: float = 0.0,
) -> None:
    """Free a trial before its lease runs out: its worker stops, or cannot run it now.

    Args:
        database: the database.
        trial_id: our row's id.
        fence: the fence of the claim.
        error: what was in the way.
        delay: seconds until the next attempt may start.

    Raises:
        StaleFenceError: the lease was lost before.
    """

    def attempt(session: Session) -> None:
        trial = held(session, trial_id, fence)
        release(session, trial, outcome="GIVEN_BACK", error=error, delay=delay)

    database.retry(attempt)


def end(
    session: Session,
    trial: TrialRow,
    state: FinalState,
    *,
    value: float | list[float] | None = None,
    constraints: Mapping[str, float] | None = None,
    error: str | None = None,
) -> None:
    """End a trial, in a transaction of the caller's."""
    attempts.end(session, trial, state, error=error)
    trial.state = state
    if isinstance(value, list):
        trial.objective_values = value
    else:
        trial.value = value
    trial.constraints = None if constraints is None else dict(constraints)
    trial.feasible = all(value <= 0 for value in (constraints or {}).values())
    if state == "COMPLETE" and trial.feasible and trial.objective_values is not None:
        best_trials.join_front(session, trial)
    trial.error = None if error is None else clean_text(error)
    trial.worker = None
    trial.lease_expires_at = None
    trial.finished_at = db_now()
    trial.told = True
    if trial.optuna_trial_id is not None:
        optuna_ends.write_end(session, trial)
    reject_open_knobs(session, trial)
    events.emit(
        session,
        "trial.ended",
        study_id=trial.study_id,
        trial_id=trial.id,
        state=state,
        value=trial.value,
        values=trial.objective_values,
        error=events.shortened(trial.error),
        attempt=trial.attempt,
    )


def give_up_waiting(session: Session, study: StudyRow, *, error: str) -> None:
    """End all trials of a study that wait for another attempt."""
    waiting = select(TrialRow).where(TrialRow.study_id == study.id, TrialRow.state == "WAITING")
    for trial in session.scalars(waiting.with_for_update()).all():
        end(session, trial, "FAIL", error=error)

"""How leases end: lost, given back, or with the trial itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from alphagrad.tuner import attempts, best_trials, events, optuna_ends
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.knobs import reject_open_knobs
from alphagrad.tuner.leases import held, remote_studies
from alphagrad.tuner.messages import FinalState
from alphagrad.tuner.models import OPEN_STUDY, StudyRow, TrialRow
from alphagrad.tuner.text import clean_text

MAX_LOSSES = 20
"""A trial whose worker died so often is given up: it may be what kills the workers."""
_ENDED = {"CANCELLED": "cancelled", "STOPPING": "stopped"}


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
        over = f"the study was {_ENDED.get(study.state, 'over')}"
        end(session, trial, "FAIL", error=f"{error}; {over}" if outcome == "FAIL" else over)


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
    optuna_ends.write_end_of(session, trial)
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

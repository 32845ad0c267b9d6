"""What became of a trial: parameters, end, and Optuna's knowledge of it, each written once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session

from alphagrad.tuner import events, lease_ends, leases
from alphagrad.tuner.asked_trial import AskedTrial, CreatedTrial
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import StaleFenceError
from alphagrad.tuner.messages import FinalState
from alphagrad.tuner.models import UNFINISHED, TrialRow
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.text import clean_text

logger = logging.getLogger(__name__)

MAX_RETRY_DELAY = 3600.0


def record_ask(database: Database, claimed: leases.Claim, asked: CreatedTrial) -> None:
    """Write down what the sampler said, so that a later attempt runs the same trial.

    Where it could not draw, the trial has its number and no parameters, and is asked for again.

    Raises:
        StaleFenceError: the lease was lost meanwhile.
    """
    params = asked.params if isinstance(asked, AskedTrial) else None

    def attempt(session: Session) -> None:
        held = leases.held(session, claimed.trial.id, claimed.fence)
        if held.params is None:  # else by the run before this one, whose answer was lost
            events.emit(
                session,
                "trial.started",
                study_id=held.study_id,
                trial_id=held.id,
                attempt=held.attempt,
                params=params or {},
            )
        for trial in (held, claimed.trial):
            trial.number = asked.number
            trial.optuna_trial_id = asked.optuna_trial_id
            trial.seed = asked.seed
            trial.params = params

    database.retry(attempt)


def finish(
    database: Database,
    *,
    trial_id: int,
    fence: int,
    state: FinalState,
    value: float | list[float] | None = None,
    constraints: Mapping[str, float] | None = None,
    error: str | None = None,
    retries: int = 0,
    retry_delay: float = 0.0,
) -> bool:
    """Record the end of an attempt, once.

    Args:
        database: the database.
        trial_id: our row's id.
        fence: the fence of the claim.
        state: how the attempt ended.
        value: the objective, or a list of several, with COMPLETE; the last report, with PRUNED.
        constraints: by name; all of them at most 0 is feasible.
        error: what went wrong, with FAIL.
        retries: how many failed attempts are tried again.
        retry_delay: seconds before the first retry, doubled for each further one.

    Returns:
        Whether the trial is over (else it waits for its next attempt).

    Raises:
        StaleFenceError: the lease was lost; the result is not recorded.
    """

    def attempt(session: Session) -> bool:
        trial = session.get(TrialRow, trial_id, with_for_update=True)
        if trial is None:
            raise StaleFenceError(f"trial row {trial_id}: its study was deleted")
        if trial.fence == fence and trial.state == state and trial.worker is None:
            return True  # recorded by the run before this one, whose answer was lost
        leases.must_hold(trial, fence)
        if state == "FAIL":
            trial.failures += 1
            trial.error = None if error is None else clean_text(error)
            if trial.failures <= retries:
                delay = min(retry_delay * 2.0 ** (trial.failures - 1), MAX_RETRY_DELAY)
                lease_ends.release(session, trial, outcome="FAIL", error=error, delay=delay)
                return trial.state == "FAIL"
        lease_ends.end(session, trial, state, value=value, constraints=constraints, error=error)
        return True

    return database.retry(attempt)


def untold(database: Database) -> list[int]:
    """Row ids of finished trials that Optuna has not been told of."""
    with database.read() as session:
        # Few trials are not told, and an index has those alone. Asked for the finished states,
        # or for another order, SQLite would look through all that are finished instead.
        query = select(TrialRow.id).where(
            TrialRow.told.is_(False), TrialRow.state.not_in(UNFINISHED)
        )
        return list(session.scalars(query.order_by(TrialRow.study_id, TrialRow.id)))


def fail_start(
    database: Database, claimed: leases.Claim, error: Exception, *, spec: StudySpec
) -> None:
    """Record that an attempt could not begin; a lease that was lost meanwhile is somebody else's.

    Args:
        database: the database.
        claimed: the claim.
        error: what was in the way.
        spec: the study's specification.
    """
    study, trial = claimed.study, claimed.trial
    logger.error("%s: slot %d could not start", study.name, trial.slot, exc_info=error)
    with suppress(StaleFenceError):
        finish(
            database,
            trial_id=trial.id,
            fence=claimed.fence,
            state="FAIL",
            error=f"{type(error).__name__}: {error}",
            retries=spec.retries,
            retry_delay=spec.retry_delay,
        )

"""Asking for a trial of engine ``remote``: the client's own again, or the study's next."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from alphagrad.tuner import leases, queueing, results, study_store
from alphagrad.tuner.asking import Asking
from alphagrad.tuner.attempts import Stored, stored
from alphagrad.tuner.database import Database, db_now, is_outage
from alphagrad.tuner.errors import ConflictError, StaleFenceError
from alphagrad.tuner.lease_keeper import kept
from alphagrad.tuner.models import CLAIMABLE_STUDY, StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.remote_turns import AskTurns
from alphagrad.tuner.spec import StudySpec

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
IDLE_SECONDS = 5.0
"""When to ask again: soon while trials run elsewhere, later while the study is paused or over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The answer to a client that asked for a trial.

    Attributes:
        claim: the trial, or ``None`` if there is none now.
        stored: what the attempt has stored so far, if it goes on.
        study_state: the study's state.
        retry_after: in so many seconds it is worth asking again.
    """

    claim: leases.Claim | None
    stored: Stored
    study_state: str
    retry_after: float = 0.0


class RemoteAsks:
    """Gives trials to clients.

    Args:
        database: a migrated database.
        optuna_storage: Optuna's tables in the same database.
        lease_seconds: how long a client may be silent until its trial is given to another.
        quota: how many trials of one API key run at a time, where the key does not say.
    """

    def __init__(
        self,
        database: Database,
        optuna_storage: OptunaStorage,
        *,
        lease_seconds: float,
        quota: int | None = None,
    ) -> None:
        self._database = database
        self._lease = lease_seconds
        self._quota = quota
        self._asking = Asking(database, optuna_storage)
        self._turns = AskTurns(database)

    def ask(self, study: str, *, client: str) -> Asked:
        """Give a client a trial.

        Args:
            study: the study's name.
            client: the client's name, unique among all clients of the study.

        Raises:
            StudyNotFoundError: no study has this name.
            ConflictError: its engine is another.
        """
        with self._turns.turn() as has_turn:
            if not has_turn:
                return self._nothing(study)
            worker = worker_name(client)
            claimed, is_new = self._claim(study, worker=worker)
            if claimed is None or not self._ensure_params(claimed, worker, is_new=is_new):
                return self._nothing(study)
        with self._database.read() as session:
            so_far = stored(session, claimed.trial)
        return Asked(claim=claimed, stored=so_far, study_state=claimed.study.state)

    def _claim(self, study: str, *, worker: str) -> tuple[leases.Claim | None, bool]:
        """Find the worker's trial, or claim one; says whether it is a new claim."""

        def attempt(session: Session) -> tuple[leases.Claim | None, bool]:
            # Locked, so that a request that comes twice at once claims one trial.
            row = study_store.by_name(session, study, lock=True)
            must_be_remote(row)
            pending = session.scalar(
                select(TrialRow)
                .where(
                    TrialRow.study_id == row.id,
                    TrialRow.state == "RUNNING",
                    TrialRow.worker == worker,
                )
                .order_by(TrialRow.id)
                .limit(1)
                .with_for_update()
            )
            if pending is not None and row.state != "CANCELLED":
                pending.lease_expires_at = session.scalar(select(db_now() + self._lease))
                return leases.Claim(trial=pending, study=row), False
            claimable = row.state in CLAIMABLE_STUDY
            trial = queueing.next_trial(session, row, quota=self._quota) if claimable else None
            if trial is None:
                return None, False
            claimed = leases.take(session, row, trial, worker=worker, lease_seconds=self._lease)
            return claimed, True

        return self._database.retry(attempt)

    def _ensure_params(self, claimed: leases.Claim, worker: str, *, is_new: bool) -> bool:
        """Draw the trial's parameters if it has none; says whether it can run."""
        trial, spec = claimed.trial, StudySpec.model_validate(claimed.study.spec)
        if trial.params is not None:
            return True
        try:
            # A sampler may draw, or another server be waited for, longer than a lease.
            with kept(self._database, claimed, worker=worker, lease_seconds=self._lease):
                self._draw(claimed, spec, resumed=trial.attempt > 1 or not is_new)
        except StaleFenceError as error:
            logger.warning("%s: slot %d: %s", claimed.study.name, trial.slot, error)
            return False
        except Exception as error:
            if isinstance(error, DBAPIError) and is_outage(error):
                raise  # the client asks again, and gets the same trial
            # A sampler that cannot work.
            results.fail_start(self._database, claimed, error, spec=spec)
            return False
        return True

    def _draw(self, claimed: leases.Claim, spec: StudySpec, *, resumed: bool) -> None:
        trial = claimed.trial
        with self._turns.alone(trial.id):
            with self._database.read() as session:
                now = session.get_one(TrialRow, trial.id)
                if now.fence == trial.fence:  # another server may have drawn them meanwhile
                    for name in ("number", "optuna_trial_id", "seed", "params"):
                        setattr(trial, name, getattr(now, name))
            if trial.params is None:
                self._asking.ask(claimed, spec, resumed=resumed)

    def _nothing(self, study: str) -> Asked:
        with self._database.read() as session:
            row = study_store.by_name(session, study)
            must_be_remote(row)
        pause = RETRY_SECONDS if row.state in CLAIMABLE_STUDY else IDLE_SECONDS
        return Asked(claim=None, stored=Stored(), study_state=row.state, retry_after=pause)


def worker_name(client: str) -> str:
    """What the history of attempts calls a client."""
    return f"client:{client}"


def must_be_remote(study: StudyRow) -> None:
    """Make sure that a study's trials are run by clients.

    Raises:
        ConflictError: workers run them.
    """
    engine = study.spec.get("engine", "optuna")
    if engine != "remote":
        raise ConflictError(
            f"study {study.name!r} has engine {engine!r}: workers run its trials; only with engine "
            "'remote' can they be asked for"
        )

"""What goes on without a worker: studies of engine ``remote`` are looked after by the server."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from alphagrad.tuner import lease_ends, leases, results
from alphagrad.tuner.contact import Contact
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import StaleFenceError
from alphagrad.tuner.event_retention import trim_events
from alphagrad.tuner.models import AttemptRow, StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.telling import end_studies

logger = logging.getLogger(__name__)

TURN_SECONDS = 0.5
TRIM_SECONDS = 600.0
"""How often events that nobody needs any more are deleted."""


class Housekeeper:
    """A thread that frees and ends what the clients of engine ``remote`` leave behind.

    Any number of them may run, in several servers, and beside workers.

    Args:
        database: a migrated database.
        optuna_storage: Optuna's tables in the same database.
        lease_seconds: the length of a lease.
    """

    def __init__(
        self, database: Database, optuna_storage: OptunaStorage, *, lease_seconds: float
    ) -> None:
        self._database = database
        self._optuna = optuna_storage
        self._lease = lease_seconds
        # Nobody could renew a lease while no server answered: each has one more lease to do so.
        self._contact = Contact(lease_seconds, steady_after=lease_seconds)
        self._turned_at = self._next_trim = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alphagrad-housekeeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, when what it does at the moment is done."""
        self._stop.set()
        self._thread.join()

    def turn(self) -> None:
        """Look once after all that is open."""
        now = time.monotonic()
        if now > self._turned_at + max(self._lease / 3, 2 * TURN_SECONDS):
            # This process was stopped, or starved, and nobody could renew a lease meanwhile.
            self._contact = Contact(self._lease, steady_after=self._lease)
        self._turned_at = now
        with self._database.read() as session:
            studies = list(session.scalars(leases.remote_studies()))
        if not studies:
            return
        if now >= self._next_trim:
            self._next_trim = now + TRIM_SECONDS
            trim_events(self._database)
            self._optuna.forget_ended()
        with self._contact.made():
            lease_ends.reap(self._database, remote=True, only_if=self._contact.is_steady)
        self._end_attempts()
        end_studies(self._database, self._optuna, studies=studies)

    def _run(self) -> None:
        while not self._stop.wait(TURN_SECONDS):
            try:
                self.turn()
            except DBAPIError as error:
                logger.warning("remote trials were not looked after: %s", error.orig)
            except Exception:
                # Whatever it was, the next turn may do: without this thread no study would end.
                logger.exception("remote trials were not looked after")

    def _end_attempts(self) -> None:
        """Fail the attempts of cancelled studies, and those that take too long."""
        query = (
            select(TrialRow, StudyRow, AttemptRow.started_at, db_now())
            .join(StudyRow, StudyRow.id == TrialRow.study_id)
            .join(
                AttemptRow,
                (AttemptRow.trial_id == TrialRow.id) & (AttemptRow.attempt == TrialRow.attempt),
            )
            .where(TrialRow.state == "RUNNING", TrialRow.study_id.in_(leases.remote_studies()))
        )
        with self._database.read() as session:
            running = session.execute(query).all()
        for trial, study, started_at, now in running:
            spec = study.spec  # as it is stored: one that cannot be read must be ended too
            limit = spec.get("trial_timeout")
            if study.state == "CANCELLED":
                error, retries = "the study was cancelled", 0
            elif limit is not None and now > started_at + limit:
                error, retries = f"ran longer than trial_timeout={limit}", spec.get("retries", 0)
            else:
                continue
            with suppress(StaleFenceError):  # it has ended, or somebody else was faster
                results.finish(
                    self._database,
                    trial_id=trial.id,
                    fence=trial.fence,
                    state="FAIL",
                    error=error,
                    retries=retries,
                    retry_delay=spec.get("retry_delay", 0.0),
                )

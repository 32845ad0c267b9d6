"""Trials of engine ``remote``: asked for, kept alive, reported on and told by their clients.

All state is in the database, so the next call may come to another server, or to this one after it
was killed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from alphagrad.tuner import knobs, leases, results, study_store
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import FieldError, SpecError, StaleFenceError, TrialNotFoundError
from alphagrad.tuner.messages import Finished, KnobCommand
from alphagrad.tuner.models import AttemptRow, StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.outcomes import with_constraints
from alphagrad.tuner.remote_asks import Asked, RemoteAsks, must_be_remote, worker_name
from alphagrad.tuner.remote_news import RemoteNews
from alphagrad.tuner.remote_reports import Said, write_down
from alphagrad.tuner.spec import StudySpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a running trial stands.

    Attributes:
        prune_reason: why the pruner wants it stopped, by its latest report; ``None`` if it does
            not.
        knobs: the commands that it has not answered yet, oldest first.
        study_state: the study's state.
    """

    prune_reason: str | None
    knobs: list[KnobCommand]
    study_state: str


class RemoteTrials:
    """What a server does for its clients.

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
        self.lease_seconds = lease_seconds
        self._database = database
        self._optuna = optuna_storage
        self._news = RemoteNews(database)
        self._asks = RemoteAsks(database, optuna_storage, lease_seconds=lease_seconds, quota=quota)

    def ask(self, study: str, *, client: str) -> Asked:
        """Give a client a trial: the one that it has already, or the study's next.

        Args:
            study: the study's name.
            client: the client's name, unique among all clients of the study.

        Raises:
            StudyNotFoundError: no study has this name.
            ConflictError: its engine is another.
        """
        return self._asks.ask(study, client=client)

    def heartbeat(
        self, study: str, number: int, *, fence: int, client: str | None = None
    ) -> Standing:
        """Renew a trial's lease.

        Raises:
            StudyNotFoundError: no study has this name.
            TrialNotFoundError: the study has no trial of this number.
            ConflictError: the study's engine is another.
            StaleFenceError: the lease was lost, or the study was cancelled.
        """
        claimed = self._renew(study, number, fence, client)
        self._news.heard(claimed)
        return self._standing(claimed)

    def report(
        self, study: str, number: int, *, fence: int, client: str | None = None, said: Said
    ) -> Standing:
        """Write down what a trial says, judge it, and renew its lease; safe to do twice.

        Raises:
            StudyNotFoundError: no study has this name.
            TrialNotFoundError: the study has no trial of this number.
            ConflictError: the study's engine is another, or what was said before is missing.
            SpecError: something in it does not fit the trial.
            StaleFenceError: the lease was lost, the study was cancelled, or the trial has failed
                by what it said.
        """
        claimed = self._renew(study, number, fence, client)
        write_down(self._database, self._optuna, claimed, said)
        self._news.heard(claimed, said)
        return self._standing(claimed)

    def tell(
        self,
        study: str,
        number: int,
        *,
        fence: int,
        client: str | None = None,
        end: Finished,
        constraints: Mapping[str, float],
    ) -> TrialRow:
        """Record the end of an attempt, once; telling it again changes nothing.

        Args:
            study: the study's name.
            number: the trial's number.
            fence: the fence of the claim.
            client: the name by which it was asked for, where that is known.
            end: how it ended; a pruned one takes the value of its latest report.
            constraints: those that the trial set, by name.

        Raises:
            StudyNotFoundError: no study has this name.
            TrialNotFoundError: the study has no trial of this number.
            ConflictError: the study's engine is another.
            SpecError: the study does not have one of the constraints.
            StaleFenceError: the lease was lost, or the study was cancelled.
        """
        with self._database.read() as session:
            claimed = _find(session, study, number)
        spec = StudySpec.model_validate(claimed.study.spec)
        if unknown := sorted(constraints.keys() - set(spec.constraints)):
            message = f"the study has no such constraint; it has: {spec.constraints or 'none'}"
            errors = [
                FieldError(f"constraints.{key}", constraints[key], message) for key in unknown
            ]
            raise SpecError(errors)
        completed = with_constraints(end, constraints, spec.constraints)
        assert isinstance(completed, Finished)
        try:
            self._finish(claimed, fence, client, completed, spec)
        except StaleFenceError:
            if not self._has_ended(claimed.trial.id, fence, client, completed.state):
                raise
        self._news.over(claimed.trial.id, fence)
        return study_store.get_trial(self._database, study, number)

    def _renew(self, study: str, number: int, fence: int, client: str | None) -> leases.Claim:
        def attempt(session: Session) -> leases.Claim:
            found = _find(session, study, number)
            _must_go_on(found.study)
            trial = leases.held(session, found.trial.id, fence)
            _must_be_asked_by(client, trial.worker, number)
            trial.lease_expires_at = session.scalar(select(db_now() + self.lease_seconds))
            return leases.Claim(trial=trial, study=found.study)

        return self._database.retry(attempt)

    def _standing(self, claimed: leases.Claim) -> Standing:
        trial = claimed.trial
        with self._database.read() as session:
            attempt = session.get(AttemptRow, (trial.id, trial.attempt))
            state = session.get_one(StudyRow, trial.study_id).state
        commands = knobs.open_commands(self._database, [trial.id])
        return Standing(
            prune_reason=None if attempt is None else attempt.prune_reason,
            knobs=[command for _, command in commands],
            study_state=state,
        )

    def _finish(
        self,
        claimed: leases.Claim,
        fence: int,
        client: str | None,
        end: Finished,
        spec: StudySpec,
    ) -> None:
        trial = claimed.trial
        _must_go_on(claimed.study)
        with self._database.read() as session:
            attempt = session.get(AttemptRow, (trial.id, fence))  # its number is its fence
        if attempt is None or attempt.outcome is not None:
            raise StaleFenceError(f"trial {trial.number}: no attempt with fence {fence} runs")
        _must_be_asked_by(client, attempt.worker, trial.number)
        pruned = end.state == "PRUNED"
        results.finish(
            self._database,
            trial_id=trial.id,
            fence=fence,
            state=end.state,
            value=(self._optuna.pruned_value(trial.optuna_trial_id or 0) if pruned else end.value),
            constraints=end.constraints,
            error=attempt.prune_reason if pruned else end.error,
            retries=spec.retries if end.retryable else 0,
            retry_delay=spec.retry_delay,
        )
        logger.info(
            "%s/%s %s %s",
            claimed.study.name,
            trial.number,
            end.state,
            end.error or end.value or "",
        )

    def _has_ended(self, trial_id: int, fence: int, client: str | None, state: str) -> bool:
        with self._database.read() as session:
            attempt = session.get(AttemptRow, (trial_id, fence))
        return (
            attempt is not None
            and attempt.outcome == state
            and _is_asked_by(client, attempt.worker)
        )


def _find(session: Session, study: str, number: int) -> leases.Claim:
    row = study_store.by_name(session, study)
    must_be_remote(row)
    trial = session.scalar(
        select(TrialRow).where(TrialRow.study_id == row.id, TrialRow.number == number)
    )
    if trial is None:
        raise TrialNotFoundError(study, number)
    return leases.Claim(trial=trial, study=row)


def _is_asked_by(client: str | None, worker: str | None) -> bool:
    """Whether it is the client's; one that does not say who it is has the fence alone."""
    return client is None or worker == worker_name(client)


def _must_be_asked_by(client: str | None, worker: str | None, number: int | None) -> None:
    if not _is_asked_by(client, worker):
        raise StaleFenceError(f"trial {number}: another client has it, not {client!r}")


def _must_go_on(study: StudyRow) -> None:
    if study.state == "CANCELLED":
        raise StaleFenceError(f"study {study.name!r} was cancelled")

"""Asking Optuna for the parameters of a claimed trial, and writing them down."""

from __future__ import annotations

from alphagrad.tuner import leases, results, study_store
from alphagrad.tuner.asked_trial import SamplingError
from alphagrad.tuner.database import Database
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.spec import StudySpec


class Asking:
    """Draws parameters for claims.

    Args:
        database: a migrated database.
        optuna_storage: Optuna's tables in the same database.
    """

    def __init__(self, database: Database, optuna_storage: OptunaStorage) -> None:
        self._database = database
        self._optuna = optuna_storage
        self._created_at: dict[int, float] = {}

    def recognise(self, study: StudyRow) -> None:
        """Forget what was read of a deleted study, whose id SQLite may have given to this one."""
        study_id = study.optuna_study_id
        if study_id is not None and self._created_at.get(study_id) != study.created_at:
            self._optuna.forget(study_id)
            self._created_at[study_id] = study.created_at

    def ask(self, claimed: leases.Claim, spec: StudySpec, *, resumed: bool) -> None:
        """Draw the parameters of a trial that has none; they are in the claim's row then.

        Args:
            claimed: the claim.
            spec: its study's specification.
            resumed: whether somebody may have asked for this trial before, and died.

        Raises:
            SamplingError: the sampler cannot draw; the claim's row has its number all the same.
            StaleFenceError: the lease was lost meanwhile.
        """
        study_id = study_store.ensure_optuna_study(
            self._database, self._optuna, claimed.study, spec
        )
        self.recognise(claimed.study)
        try:
            asked = self._optuna.ask(
                spec,
                optuna_study_id=study_id,
                slot=claimed.trial.slot,
                fixed_params=claimed.trial.fixed_params,
                resumed=resumed,
            )
        except SamplingError as error:
            # With its number the trial is in the lists, and so is what goes wrong.
            results.record_ask(self._database, claimed, error.created)
            raise
        results.record_ask(self._database, claimed, asked)

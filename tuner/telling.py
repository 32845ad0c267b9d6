"""Telling Optuna how trials ended, and ending studies: what workers and servers do alike."""

from __future__ import annotations

import logging
from collections.abc import Collection

from alphagrad.tuner import results, settling
from alphagrad.tuner.database import Database
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.spec import StudySpec

logger = logging.getLogger(__name__)


def tell_optuna(
    database: Database, optuna_storage: OptunaStorage, *, studies: Collection[int] | None = None
) -> None:
    """Tell Optuna of trials that an earlier version ended and told nobody of; safe to do twice.

    Since then a trial ends in its tables and in ours at once.

    Args:
        database: the database.
        optuna_storage: Optuna's tables in it.
        studies: tell of the trials of these studies alone, given by row id.
    """
    for claimed in results.untold(database, studies=studies):
        trial = claimed.trial
        assert trial.number is not None
        spec = StudySpec.model_validate(claimed.study.spec)
        optuna_storage.tell(
            spec,
            number=trial.number,
            state=trial.state,
            value=trial.value if trial.objective_values is None else trial.objective_values,
            constraints=trial.constraints,
            optuna_study_id=claimed.study.optuna_study_id,
        )
        results.record_told(database, trial.id)


def end_studies(
    database: Database, optuna_storage: OptunaStorage, *, studies: Collection[int] | None = None
) -> None:
    """End the studies that have nothing left to run, and stop those out of time.

    Args:
        database: the database.
        optuna_storage: Optuna's tables in it.
        studies: look at these studies alone, given by row id.
    """
    for status in settling.settle(database, studies=studies):
        optuna_storage.fail_orphans(status.spec)
        logger.info("study %s %s: %s", status.row.name, status.row.state, dict(status.trials))

"""Ending studies, which workers and servers do alike, and telling Optuna of old ends."""

from __future__ import annotations

import logging
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from alphagrad.tuner import optuna_ends, results, settling
from alphagrad.tuner.database import Database
from alphagrad.tuner.models import TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage

logger = logging.getLogger(__name__)


def tell_optuna(database: Database) -> None:
    """Tell Optuna of trials that an earlier version ended and told nobody of; safe to do twice.

    Since then a trial ends in its tables and in ours at once.
    """
    ids = results.untold(database)
    if not ids:
        return

    def attempt(session: Session) -> None:
        rows = select(TrialRow).where(TrialRow.id.in_(ids)).order_by(TrialRow.id)
        for trial in session.scalars(rows.with_for_update()).all():
            optuna_ends.write_end_of(session, trial)

    database.retry(attempt)


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
        optuna_storage.fail_orphans(status.row.name)
        logger.info("study %s %s: %s", status.row.name, status.row.state, dict(status.trials))

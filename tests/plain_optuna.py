"""A study as plain Optuna sees it at the database's URL, without our classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import optuna

from alphagrad.tuner.database import Database


@contextmanager
def plain_study(database: Database, name: str) -> Iterator[optuna.Study]:
    """Opens a study, and closes all connections in the end."""
    storage = optuna.storages.RDBStorage(database.url.render_as_string(hide_password=False))
    try:
        yield optuna.load_study(study_name=name, storage=storage)
    finally:
        storage.scoped_session.remove()
        storage.engine.dispose()

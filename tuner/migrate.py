"""Bringing a database to the newest schema, Optuna's tables and ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from optuna.storages import RDBStorage
from sqlalchemy import text

from alphagrad.tuner.database import Database, engine_options

VERSION_TABLE = "alphagrad_alembic_version"  # Optuna's own Alembic uses the default name
_LOCK_KEY = 0x616C7068  # "alph", the advisory lock of all migrations on one PostgreSQL database


def migrate(database: Database) -> None:
    """Create or upgrade all tables; safe to call from many processes at once."""
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    with _alone(database):
        # Optuna's constructor makes its tables and checks their version.
        storage = RDBStorage(
            database.url.render_as_string(hide_password=False),
            engine_kwargs=engine_options(database.url),
        )
        storage.engine.dispose()
        with database.engine.connect() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()


def revision(database: Database) -> str | None:
    """The schema revision of our tables, ``None`` before the first migration."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return context.get_current_revision()


def newest_revision() -> str | None:
    """The schema revision that this version of the code works with."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "alphagrad.tuner:migrations")
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    if database.is_sqlite:
        with FileLock(f"{database.url.database}.lock"):
            yield
        return
    with database.engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK_KEY})

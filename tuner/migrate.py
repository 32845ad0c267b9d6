"""Bringing a database to the newest schema, Optuna's tables and ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from optuna.storages import RDBStorage
from sqlalchemy import text

from alphagrad.tuner.database import Database, engine_options
from alphagrad.tuner.errors import NewerDatabaseError

VERSION_TABLE = "alphagrad_alembic_version"  # Optuna's own Alembic uses the default name
# The advisory locks on one PostgreSQL database; the first is "alph".
_LOCK_KEYS = {"migration": 0x616C7068, "warm_start": 0x616C7069}


def migrate(database: Database) -> None:
    """Create or upgrade all tables; safe to call from many processes at once.

    Args:
        database: whose tables; made if there is none.

    Raises:
        NewerDatabaseError: a newer version of alphagrad has upgraded it; nothing is changed.
    """
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    with alone(database, "migration"):
        _refuse_newer(database)
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


def _refuse_newer(database: Database) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if (found := revision(database)) is not None and found not in known:
        raise NewerDatabaseError(found, newest_revision())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "alphagrad.tuner:migrations")
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def alone(database: Database, purpose: Literal["migration", "warm_start"]) -> Iterator[None]:
    """Let one process at a time do something to a database; the others wait.

    The lock is free again when its holder has ended, however it did.
    """
    key = {"key": _LOCK_KEYS[purpose]}
    if database.is_sqlite:
        suffix = "" if purpose == "migration" else f".{purpose}"
        with FileLock(f"{database.url.database}{suffix}.lock"):
            yield
        return
    with database.engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)

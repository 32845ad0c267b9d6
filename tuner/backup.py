"""A copy of an SQLite database that is in use."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from alphagrad.tuner.database import BUSY_SECONDS, Database
from alphagrad.tuner.errors import SettingsError


def backup(database: Database, file: Path) -> None:
    """Copy an SQLite database as it is at one moment, while workers write.

    Args:
        database: the database; of PostgreSQL, ``pg_dump`` makes copies.
        file: where the copy is put; it appears when it is whole.

    Raises:
        SettingsError: the database is not SQLite.
        FileExistsError: the file exists.
    """
    if not database.is_sqlite or database.url.database is None:
        raise SettingsError("only SQLite is copied here; for PostgreSQL use pg_dump")
    if file.exists():
        raise FileExistsError(f"{file} exists; choose another name, or move it away")
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.part")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL, 0o600))  # it holds webhooks' secrets
    with (
        closing(sqlite3.connect(database.url.database, timeout=BUSY_SECONDS)) as source,
        closing(sqlite3.connect(unfinished)) as target,
    ):
        # In one go: readers and writers go on beside it (WAL), and it need not start again.
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    unfinished.rename(file)

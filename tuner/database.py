"""One database for all: engines, transactions and the database's clock."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Float, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.sql.functions import FunctionElement

from alphagrad.tuner.errors import SettingsError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
BUSY_SECONDS = 30.0
"""How long a transaction waits for another writer, and how long a lost connection is retried."""
FIRST_PAUSE = 0.05
"""Seconds before a transaction that failed is tried again, doubled each time, up to 2 s."""
ALLOWED_URLS = "allowed are 'sqlite:///FILE' and 'postgresql://USER:PASSWORD@HOST/DATABASE'"


class db_now(FunctionElement[float]):  # noqa: N801  (SQL functions are written in lower case)
    """Seconds since 1970 by the database's clock, as a double."""

    type = Float(53)
    inherit_cache = True


@compiles(db_now, "sqlite")
def _now_in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(db_now, "postgresql")
def _now_in_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    # The time of the statement: now() would be that of the transaction's begin.
    return "cast(extract(epoch from clock_timestamp()) as double precision)"


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite file, whatever is in its name.

    Example:
        >>> parse_url(sqlite_url(Path("/srv/50% or less?/x.db"))).database
        '/srv/50% or less?/x.db'
    """
    return URL.create("sqlite", database=str(file)).render_as_string()


def parse_url(url: str) -> URL:
    """The database's URL with the driver we use.

    Raises:
        SettingsError: neither SQLite in a file nor PostgreSQL; the message hides any password.

    Example:
        >>> parse_url("postgresql://db/alphagrad").drivername
        'postgresql+psycopg'
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        # Not shown: who forgets the scheme may still have written the password.
        raise SettingsError(f"the database URL is not a URL; {ALLOWED_URLS}") from None
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise SettingsError(
        f"database URL {parsed.render_as_string(hide_password=True)!r}: {ALLOWED_URLS}"
    )


def configure_sqlite(engine: Engine, *, reads_only: bool = False) -> None:
    """Begin every transaction IMMEDIATE, but those that say they only read.

    A deferred transaction that turns to writing can fail at once with "database is locked", and two
    of them can both read the same free trial; an immediate one waits for its turn instead.
    """

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("alphagrad_reads_only", reads_only)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


class Database:
    """Our tables' engine, and short transactions on it.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://…``.

    Raises:
        SettingsError: another kind of URL.
    """

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.is_sqlite = self.url.drivername == "sqlite"
        self.engine = create_engine(self.url, **engine_options(self.url))
        if self.is_sqlite:
            configure_sqlite(self.engine)
            self._reader = self.engine.execution_options(alphagrad_reads_only=True)
        else:
            self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that may write; committed at the end of the block."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Statements that only read.

        On SQLite they are one transaction, which never waits for a writer. On PostgreSQL each sees
        what is committed when it begins, as in a transaction there, but without the two round trips
        that begin and end one.
        """
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Statements that only read, all of them what was committed at one moment."""
        reader = self._reader
        if not self.is_sqlite:
            reader = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with Session(reader, expire_on_commit=False) as session:
            yield session

    def retry(self, operation: Callable[[Session], Result]) -> Result:
        """Run ``operation`` in a writing transaction, again if the connection breaks meanwhile.

        A broken connection may hide that the commit went through, so ``operation`` must be safe
        to run twice.

        Raises:
            OperationalError: the database stayed away for 30 seconds.
        """
        return retry_on_disconnect(lambda: self._run(operation))

    def _run(self, operation: Callable[[Session], Result]) -> Result:
        with self.write() as session:
            return operation(session)

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def retry_on_disconnect(operation: Callable[[], Result]) -> Result:
    """Run ``operation`` until it succeeds or the database stayed away for 30 seconds."""
    give_up_at = time.monotonic() + BUSY_SECONDS
    pause = FIRST_PAUSE
    while True:
        try:
            return operation()
        except DBAPIError as error:
            if not is_outage(error) or time.monotonic() > give_up_at:
                raise
            if pause == FIRST_PAUSE:
                logger.warning("the database is away, trying again: %s", error.orig)
            time.sleep(pause)
            pause = min(2 * pause, 2.0)


def is_outage(error: DBAPIError) -> bool:
    """Whether trying again later can help: the server is away, or another writer is too slow."""
    return isinstance(error, OperationalError) or error.connection_invalidated


def engine_options(url: URL) -> dict[str, Any]:
    """Options for ``create_engine``, the same for our engine and Optuna's."""
    if url.drivername == "sqlite":
        return {"poolclass": _Pool, "connect_args": {"timeout": BUSY_SECONDS}}
    # A server that was restarted leaves dead connections in the pool.
    return {"poolclass": _Pool, "pool_pre_ping": True}


class _Pool(QueuePool):
    """A pool in which no connection came free says so as a database does that is away."""

    def _do_get(self) -> ConnectionPoolEntry:
        try:
            return super()._do_get()
        except PoolTimeoutError as error:
            raise OperationalError(None, None, error) from error

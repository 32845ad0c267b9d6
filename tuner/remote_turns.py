"""Whose turn it is to ask: parameters are drawn for one client at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock
from sqlalchemy import text

from alphagrad.tuner.database import Database

TURN_SECONDS = 1.0
"""A client waits so long for its turn before it is told to ask again."""
_LOCKS = 0x616C << 48
"""The advisory locks on a PostgreSQL database, one a trial; "al", and the trial's row id."""


class AskTurns:
    """Keeps two requests from drawing the parameters of one trial.

    In this process one request draws at a time: a sampler is Python, so two would not be faster,
    and those that wait keep no thread from the heartbeats for long. Where several servers are at
    work, a trial is locked against the others: on PostgreSQL in the database, on SQLite by a file
    beside it.

    Args:
        database: the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        file = database.url.database if database.is_sqlite else None
        self._file = None if file is None else FileLock(f"{file}.asks.lock")

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait for the turn in this process; says whether it came in time."""
        has_turn = self._lock.acquire(timeout=TURN_SECONDS)
        try:
            yield has_turn
        finally:
            if has_turn:
                self._lock.release()

    @contextmanager
    def alone(self, trial_id: int) -> Iterator[None]:
        """Keep the other servers from a trial; to be used in one's turn."""
        if self._file is not None:
            with self._file:
                yield
            return
        with self._database.engine.begin() as connection:
            lock = text("SELECT pg_advisory_xact_lock(:key)")
            connection.execute(lock, {"key": _LOCKS + trial_id})
            yield

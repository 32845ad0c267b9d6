"""What is written about requests after their answers: the audit log, and when keys were used."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

from alphagrad.tuner import audit
from alphagrad.tuner.database import Database

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
"""What is this old is in the database, or waits for it; a process that is killed loses no more."""
USE_SECONDS = 60.0
MOST_WAITING = 20_000
"""While the database is away; of more the oldest are given up, and that is logged."""


class Recorder:
    """Writes in batches from a thread of its own, so that no answer waits.

    Args:
        database: a migrated database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: deque[tuple[float, audit.Entry]] = deque()
        self._used: set[int] = set()
        self._noted: dict[int, float] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, entry: audit.Entry) -> None:
        """Record a request."""
        with self._lock:
            self._entries.append((time.monotonic(), entry))
            if len(self._entries) > MOST_WAITING:
                self._entries.popleft()
                logger.error("the database is away: an entry of the audit log is lost")
        self._start()

    def used(self, key_id: int) -> None:
        """Note that a key is in use, once a minute."""
        now = time.monotonic()
        if now - self._noted.get(key_id, float("-inf")) < USE_SECONDS or not key_id:
            return
        with self._lock:
            self._noted[key_id] = now
            self._used.add(key_id)
        self._start()

    def flush(self) -> None:
        """Write what waits; when this returns it can be read.

        Raises:
            DBAPIError: the database is away; what waits goes on waiting.
        """
        with self._writing:
            with self._lock:
                waiting, used = list(self._entries), list(self._used)
            if not waiting and not used:
                return
            now = time.monotonic()
            entries = [replace(entry, age=now - at) for at, entry in waiting]
            audit.append(self._database, entries, used_keys=used)
            with self._lock:
                for one in waiting:
                    if self._entries and self._entries[0] is one:  # it was not given up meanwhile
                        self._entries.popleft()
                self._used.difference_update(used)

    def close(self) -> None:
        """Write what waits and end the thread."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._write()
        if self._entries:
            logger.error("%d entries of the audit log are lost", len(self._entries))

    def _start(self) -> None:
        self._wake.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name="alphagrad-recorder", daemon=True
                    )
                    self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._stopping.wait(PAUSE_SECONDS)
            self._wake.clear()
            if not self._write():
                self._wake.set()

    def _write(self) -> bool:
        try:
            self.flush()
        except DBAPIError as error:
            logger.error("the audit log waits for the database: %s", error.orig)
            return False
        return True

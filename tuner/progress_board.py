"""What is new in trials whose reports come from several threads, until it is told."""

from __future__ import annotations

import threading
import time

from alphagrad.tuner.database import Database
from alphagrad.tuner.progress import Progress, announce
from alphagrad.tuner.remote_reports import Said

FORGET_SECONDS = 60.0
"""What a silent trial said last is forgotten after so long; its pause is over by then."""


class ProgressBoard:
    """Takes note of what is said, and tells it at most once a second for each trial.

    Args:
        database: where it is told.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._news: dict[tuple[int, int], Progress] = {}
        self._heard_at: dict[tuple[int, int], float] = {}

    def note(self, trial_id: int, fence: int, said: Said) -> None:
        """A trial said something, and it was written down."""
        with self._lock:
            progress = self._news.setdefault((trial_id, fence), Progress())
            self._heard_at[trial_id, fence] = time.monotonic()
            if said.trace is not None:
                progress.sampled(said.trace)
            if said.metrics is not None:
                progress.recorded(said.metrics)
            if said.reports:
                progress.reported(said.reports[-1])

    def announce(self) -> None:
        """Emit what is due, for trials that still run; to be called a few times a second."""
        now = time.monotonic()
        with self._lock:
            due = {key: one for key, one in self._news.items() if one.is_due(now)}
            if due:
                announce(self._database, due)
            for progress in due.values():
                progress.was_announced(now)
            for key in [key for key, at in self._heard_at.items() if at < now - FORGET_SECONDS]:
                del self._heard_at[key], self._news[key]

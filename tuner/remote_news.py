"""Events of the progress of remote trials, at most one a second for each."""

from __future__ import annotations

import threading
import time

from alphagrad.tuner import leases
from alphagrad.tuner.database import Database
from alphagrad.tuner.progress import Progress, announce
from alphagrad.tuner.remote_reports import Said

MOST_KEPT = 10_000


class RemoteNews:
    """What is new in trials, as the requests tell; it is told with one of the next requests.

    This is the one thing that a server knows of trials by itself: one that was killed forgets at
    most that there is something new, which the next report says again.

    Args:
        database: the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._news: dict[tuple[int, int], Progress] = {}
        self._lock = threading.Lock()

    def heard(self, claimed: leases.Claim, said: Said | None = None) -> None:
        """A trial said something, or that it is alive; announces what is new if it is time to."""
        key = (claimed.trial.id, claimed.fence)
        now = time.monotonic()
        with self._lock:
            news = self._news.pop(key, None) or Progress()
            self._news[key] = news  # the latest is the last
            if len(self._news) > MOST_KEPT:
                del self._news[next(iter(self._news))]
            if said is not None:
                _note(news, said)
            if not news.is_due(now):
                return
            news.was_announced(now)
        announce(self._database, {key: news})

    def over(self, trial_id: int, fence: int) -> None:
        """An attempt has ended."""
        with self._lock:
            self._news.pop((trial_id, fence), None)


def _note(news: Progress, said: Said) -> None:
    if said.trace is not None:
        news.sampled(said.trace)
    if said.metrics is not None:
        news.recorded(said.metrics)
    if said.reports:
        news.reported(said.reports[-1])

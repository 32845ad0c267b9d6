"""Token buckets: how often something may happen, by whom."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MOST_BUCKETS = 10_000
"""Of more, those used longest ago are forgotten, as if they were full."""


class Buckets:
    """A bucket for each of many, full at first and filled evenly; in this process alone.

    Args:
        clock: seconds, growing.

    Example:
        >>> now = 0.0
        >>> buckets = Buckets(clock=lambda: now)
        >>> [buckets.take("a", per_minute=2) for _ in range(3)]
        [0.0, 0.0, 30.0]
        >>> now = 30.0
        >>> buckets.take("a", per_minute=2)
        0.0
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, whose: Hashable, *, per_minute: int) -> float:
        """Take one token.

        Args:
            whose: the bucket.
            per_minute: how many it holds, and how many come back in a minute.

        Returns:
            0 if there was one; else the seconds until there will be.
        """
        return self._look(whose, per_minute, take=1.0)

    def wait(self, whose: Hashable, *, per_minute: int) -> float:
        """The seconds until there is a token, 0 if there is one now; none is taken."""
        return self._look(whose, per_minute, take=0.0)

    def _look(self, whose: Hashable, per_minute: int, *, take: float) -> float:
        with self._lock:
            now = self._clock()
            tokens, since = self._buckets.get(whose, (float(per_minute), now))
            tokens = min(float(per_minute), tokens + (now - since) * per_minute / 60)
            if tokens < 1:
                return (1 - tokens) * 60 / per_minute
            self._buckets[whose] = (tokens - take, now)
            self._buckets.move_to_end(whose)
            if len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
            return 0.0

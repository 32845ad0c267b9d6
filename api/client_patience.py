"""When to try a request again, and when to give up."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


class Patience:
    """Pauses that grow, until there were enough of them.

    Args:
        seconds: give up so long after the first failure.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """The server answered: count from its next failure."""
        self._tries = 0
        self._give_up_at: float | None = None

    def pause(self, *, asked: float | None = None) -> float | None:
        """Seconds until the next try; ``None`` to give up.

        Args:
            asked: what the server asked for.
        """
        now = time.monotonic()
        if self._give_up_at is None:
            self._give_up_at = now + self._seconds
        wait = asked
        if wait is None:  # not all clients at once
            grown = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._tries)
            wait = grown * random.uniform(0.75, 1.25)
        self._tries += 1
        return wait if now + wait <= self._give_up_at else None


def retry_after(response: httpx.Response) -> float | None:
    """What a server asks for in ``Retry-After``, in seconds; ``None`` if it does not.

    Example:
        >>> retry_after(httpx.Response(429, headers={"Retry-After": "3"}))
        3.0
    """
    asked = response.headers.get("retry-after")
    if asked is None:
        return None
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(asked)
    except ValueError:
        return None
    return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())

"""Whether the database has answered all along: else an expired lease says nothing of its holder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Contact:
    """A worker's contact with the database, as the thread that renews its leases finds it.

    After an outage all leases have run out, but their holders are alive and renew them in the next
    moments. Who frees expired trials has to have been in contact for a lease himself.

    Args:
        lease_seconds: the length of a lease; it is renewed every third of it, and an answer that
            takes as long is an outage: a shorter one lets no lease run out.
        steady_after: seconds from now on in which nobody may be taken for dead.

    Example:
        >>> contact = Contact(lease_seconds=15.0)
        >>> with contact.made():
        ...     pass  # a write that succeeds at once
        >>> contact.is_steady()
        True
    """

    def __init__(self, lease_seconds: float, *, steady_after: float = 0.0) -> None:
        self._lease = lease_seconds
        self._asked_at: float | None = None
        self._steady_from = time.monotonic() + steady_after

    @contextmanager
    def made(self) -> Iterator[None]:
        """Note a write to the database: how long it takes, and whether it fails."""
        self._asked_at = self._asked_at or time.monotonic()
        yield
        if self._is_waiting():
            self._steady_from = time.monotonic() + self._lease
        self._asked_at = None

    def is_steady(self) -> bool:
        """Whether the database answers, and has done so for a lease since it last did not."""
        return not self._is_waiting() and time.monotonic() >= self._steady_from

    def _is_waiting(self) -> bool:
        asked_at = self._asked_at
        return asked_at is not None and time.monotonic() > asked_at + self._lease / 3

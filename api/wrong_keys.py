"""Slowing those who guess keys: by address, so that nobody else is kept out."""

from __future__ import annotations

import ipaddress
import math
import threading
from collections import OrderedDict

from starlette.responses import Response
from starlette.types import Scope

from alphagrad.api.buckets import MOST_BUCKETS, Buckets
from alphagrad.api.problems import problem

LOOPBACK_TIMES = 60
"""All users of a machine share its loopback address, and with it a bucket."""
REMEMBERED = 16
"""A wrong key that an address has just tried costs it nothing again: it is no new guess, but a
program that was not told of a rotation."""


class WrongKeys:
    """Counts the different wrong keys that each address tries.

    An address that tried too many is refused unheard, with a right key too: else a guess could
    be told from the answer. A session in a browser is not affected.

    Args:
        per_minute: so many are free; a loopback address has 60 times as many.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets = Buckets()
        self._tried: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()
        self._lock = threading.Lock()

    def refusal(self, scope: Scope) -> Response | None:
        """The answer to an address that tried too many keys."""
        address, limit = self._who(scope)
        seconds = self._buckets.wait(address, per_minute=limit)
        if seconds == 0:
            return None
        return rate_limited(seconds, f"too many different wrong keys from {address}")

    def note(self, scope: Scope, hashed: str) -> None:
        """A wrong key was tried; its hash tells it from others."""
        address, limit = self._who(scope)
        with self._lock:
            tried = self._tried.setdefault(address, OrderedDict())
            self._tried.move_to_end(address)
            known = hashed in tried
            tried[hashed] = None
            if len(tried) > REMEMBERED:
                tried.popitem(last=False)
            if len(self._tried) > MOST_BUCKETS:
                self._tried.popitem(last=False)
        if not known:
            self._buckets.take(address, per_minute=limit)

    def _who(self, scope: Scope) -> tuple[str, int]:
        address, is_loopback = network_of(client_address(scope))
        return address, self._per_minute * (LOOPBACK_TIMES if is_loopback else 1)


def client_address(scope: Scope) -> str:
    """The address that a request came from, or that a trusted proxy says it came from."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def network_of(address: str) -> tuple[str, bool]:
    """What counts as one address, and whether it is a loopback one.

    Example:
        >>> network_of("2001:db8::1"), network_of("127.0.0.9")
        (('2001:db8::/64', False), ('127.0.0.9', True))
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address, False
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.version == 6 and not parsed.is_loopback:
        # One machine has as many of these as it likes.
        return str(ipaddress.ip_network((parsed, 64), strict=False)), False
    return str(parsed), parsed.is_loopback


def rate_limited(seconds: float, why: str) -> Response:
    """The answer 429, with the time to wait."""
    wait = max(1, math.ceil(seconds))
    return problem(
        429, "rate-limited", f"{why}: try again in {wait} s", headers={"Retry-After": str(wait)}
    )

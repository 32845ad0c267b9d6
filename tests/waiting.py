"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], *, seconds: float, what: str = "") -> Any:
    """Wait for a call to return something true, and return that; ``what`` it is, an error says."""
    give_up_at = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < give_up_at, f"{what or 'it is'}: not so after {seconds} s"
        time.sleep(0.02)
    return answer

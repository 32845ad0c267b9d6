"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], *, seconds: float, what: str = "") -> Any:
    """Wait for a call to return something true, and return that; ``what`` it is, an error says.

    What is waited for needs the processor too: a look of up to 50 ms takes a fifth of it at most.
    """
    give_up_at = time.monotonic() + seconds
    while True:
        looked_at = time.monotonic()
        if answer := condition():
            return answer
        now = time.monotonic()
        assert now < give_up_at, f"{what or 'it is'}: not so after {seconds} s"
        time.sleep(min(0.2, max(0.02, 4 * (now - looked_at))))

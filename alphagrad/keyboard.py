"""Single keys from a terminal, without Enter."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def single_keys() -> Iterator[Callable[[float], str]]:
    """Read keys one by one while the block runs.

    Gives a function that waits so many seconds for a key: it returns what came, or an empty text.
    An arrow is several characters.
    Where standard input is no terminal, it only waits.
    """
    import select
    import time

    if not sys.stdin.isatty():

        def no_key(wait: float) -> str:
            time.sleep(wait)
            return ""

        yield no_key
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def key(wait: float) -> str:
        ready, _, _ = select.select([terminal], [], [], wait)
        return os.read(terminal, 1024).decode(errors="replace") if ready else ""

    try:
        tty.setcbreak(terminal)  # Ctrl-C still interrupts
        yield key
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)

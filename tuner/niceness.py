"""Trials that make way for other work on their machine: ``ALPHAGRAD_NICE``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


def make_way(nice: int) -> None:
    """Lower the priority of this process, and of what it starts, to a niceness of at least so much.

    A trial leads a session of its own. On a desktop's kernel each session is a group whose share
    of the processors has a niceness of its own, beside which that of its processes counts nothing.

    Args:
        nice: as of the command ``nice``, up to 19, which takes little more than what is idle; 0
            changes nothing.

    Example:
        >>> before = os.getpriority(os.PRIO_PROCESS, 0)
        >>> make_way(0)
        >>> os.getpriority(os.PRIO_PROCESS, 0) == before
        True
    """
    if nice == 0:
        return
    os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    with suppress(OSError):  # a kernel without such groups, or a container that may not change them
        AUTOGROUP.write_text(str(nice), encoding="utf-8")

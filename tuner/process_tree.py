"""Ending a process with all that it started, also what has moved to a session of its own."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Let what this process's children leave behind become its own child, on Linux.

    Without it a daemon is nobody's descendant and cannot be found.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> set[int]:
    """All processes that a process has started, and those that they have; Linux only, else none."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # One may end while the list is read.
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found: set[int] = set()
    open_ = [pid]
    while open_:
        new = children.get(open_.pop(), [])
        found.update(new)
        open_ += new
    return found


def kill_tree(leader: int) -> bool:
    """Kill a process group and all descendants of its leader, also those in other groups.

    Args:
        leader: the group's leader; its descendants are looked up before it is killed.

    Returns:
        Whether there was such a group.
    """
    outside = descendants(leader)
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        for pid in outside:
            with suppress(ProcessLookupError, PermissionError):  # one of another user's is let be
                os.kill(pid, signal.SIGKILL)
    return True

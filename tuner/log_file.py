"""A trial's log, which must not end the trial when the disk is full."""

from __future__ import annotations

import os
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from alphagrad.tuner.messages import DISK_FULL


class LogFile(FileIO):
    """A file whose lines are dropped while there is no space for them."""

    def write(self, data: Any, /) -> int:
        """Write, or drop what cannot be written."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            return len(data)


def open_log(place: Path | int) -> TextIO:
    """Open a log to add lines to; its folder is made.

    Args:
        place: a file, or the number of a descriptor that stays open. On a disk without space for
            even an empty file, the log goes nowhere.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "logs" / "0.log"
        >>> with open_log(path) as log:
        ...     print("started", file=log)
        >>> path.read_text().strip()
        'started'
    """
    if isinstance(place, Path):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            raw = LogFile(place, "a")
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raw = LogFile(os.devnull, "a")
    else:
        raw = LogFile(place, "a", closefd=False)
    return TextIOWrapper(
        BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )

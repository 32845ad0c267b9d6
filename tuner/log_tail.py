"""Reading a trial's log while it grows: its end, or what has come since."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LogPart:
    """A part of a log.

    Attributes:
        text: what stands there; bytes that are not UTF-8 are replaced.
        next_offset: where to read on, in bytes.
        size: the bytes of the whole log.
    """

    text: str
    next_offset: int
    size: int


def read_log(path: Path, *, offset: int = -1, limit: int = 65_536) -> LogPart:
    r"""Read at most ``limit`` bytes of a log.

    Args:
        path: the file.
        offset: where to begin, in bytes; a negative one gives the end of the log, from the
            beginning of a line on.
        limit: at most so many bytes, at least 4: a character has so many.

    Raises:
        FileNotFoundError: there is no such file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "0.log"
        >>> _ = path.write_text("first\nsecond\nthird")
        >>> part = read_log(path, limit=10)
        >>> part.text, part.next_offset
        ('third', 18)
        >>> read_log(path, offset=0, limit=8)
        LogPart(text='first\nse', next_offset=8, size=18)
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = max(0, size - limit) if offset < 0 else min(offset, size)
        # The byte before tells whether a line begins here.
        before = 1 if offset < 0 and start > 0 else 0
        file.seek(start - before)
        data = file.read(min(limit, size - start) + before)
    if before:
        first, newline, rest = data.partition(b"\n")
        # A line longer than the limit is cut, at a whole character.
        data = rest if newline else first[1:].lstrip(_CONTINUING)
        start = size - len(data)
    data = data[: _whole_characters(data)]
    return LogPart(text=data.decode("utf-8", "replace"), next_offset=start + len(data), size=size)


_CONTINUING = bytes(range(0x80, 0xC0))


def _whole_characters(data: bytes) -> int:
    """The length without a character at the end whose last bytes are yet to come."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) if back >= needed else len(data) - back
        if byte < 0x80:
            break
    return len(data)

"""A secret: an environment variable, or a file that another one names. Light to import."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIX = "_FILE"


def read_secret(variable: str) -> str | None:
    """A variable, or else the text in the file that ``<variable>_FILE`` names, stripped.

    Raises:
        ValueError: the file cannot be read, or is empty.
    """
    if value := os.environ.get(variable):
        return value
    variable += SUFFIX
    path = os.environ.get(variable)
    if path is None:
        return None
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        message = f"{variable} names a file that cannot be read: {path!r}: {reason}"
        raise ValueError(message) from None
    if not value:
        raise ValueError(f"{variable} names a file that is empty: {path!r}")
    return value

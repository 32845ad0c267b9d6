"""A password on the command line is one that every user of the machine can read."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

OPTION = "--database-url"
VARIABLE = "ALPHAGRAD_DATABASE_URL"


def without_url(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The arguments without the database's URL, and the URL, if it has a password.

    Example:
        >>> without_url(["ls", "--database-url", "postgresql://me:secret@db/x"])
        (['ls'], 'postgresql://me:secret@db/x')
        >>> without_url(["ls", "--database-url=sqlite:////tmp/x.db"])
        (['ls', '--database-url=sqlite:////tmp/x.db'], None)
    """
    kept: list[str] = []
    url = None
    rest = list(arguments)
    while rest:
        one = rest.pop(0)
        if one == OPTION and rest:
            value, given = rest[0], [one, rest.pop(0)]
        else:
            value, given = one.removeprefix(f"{OPTION}="), [one]
        if (len(given) == 1 and value == one) or not _has_password(value):
            kept += given
        else:
            url = value
    return kept, url


def hide_url() -> None:
    """Start the process again, with the URL in the environment, if it has a password.

    It was to be seen for some milliseconds, and the shell remembers it: that is warned about.
    """
    arguments, url = without_url(sys.orig_argv[1:])
    if url is None:
        return
    warning = (
        f"alphagrad: warning: {OPTION} has a password, which other users could see, and which your "
        f"shell remembers: put the URL into {VARIABLE}\n"
    )
    sys.stderr.write(warning)
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *arguments], os.environ | {VARIABLE: url})


def _has_password(url: str) -> bool:
    from alphagrad.tuner.database import parse_url
    from alphagrad.tuner.errors import SettingsError

    try:
        return parse_url(url).password is not None
    except SettingsError:
        return False  # the command says what is wrong with it

"""``NAME=VALUE`` on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer

Assignments = Annotated[
    list[str], typer.Argument(metavar="NAME=VALUE...", help="A value is JSON, or else text.")
]
Changes = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME=VALUE]...", help="A value is JSON, or else text."),
]


def assigned(pairs: Iterable[str] | None) -> dict[str, Any]:
    """The values by name.

    Raises:
        typer.BadParameter: a word is no assignment.

    Example:
        >>> assigned(["n_trials=40", "rule=sqrt_d", "pruner.type=none"])
        {'n_trials': 40, 'rule': 'sqrt_d', 'pruner.type': 'none'}
    """
    values: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE")
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return values

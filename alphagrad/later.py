"""Names of a module that are imported when they are first asked for. Light to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def import_later(module: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module (PEP 562).

    A type checker must not see it, or any name would be in the module; it has the imports under
    ``TYPE_CHECKING`` instead.

    Args:
        module: the name of the module.
        places: of each name the module that has it.

    Returns:
        What gives a name's value, and raises :class:`AttributeError` for other names.

    Example:
        >>> find = import_later("here", {"sqrt": "math"})
        >>> find("sqrt")(4)
        2.0
        >>> find("cbrt")
        Traceback (most recent call last):
        AttributeError: module 'here' has no attribute 'cbrt'
    """

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(import_module(places[name]), name)

    return find

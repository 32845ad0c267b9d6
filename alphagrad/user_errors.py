"""Which errors the user can mend, and the line that says how."""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from alphagrad.api.client import ApiError
from alphagrad.api.serve import ServeError
from alphagrad.demo import DemoError
from alphagrad.tuner.errors import TunerError, field_errors
from alphagrad.tuner.registry import UnknownTaskError


def mendable(error: Exception) -> str | None:
    """What to tell the user of the command line; ``None`` for a bug of ours.

    Args:
        error: what a command raised.

    Example:
        >>> mendable(UnknownTaskError("nothing")).partition(";")[0]
        "unknown task 'nothing'"
        >>> mendable(ZeroDivisionError()) is None
        True
    """
    if isinstance(error, ApiError | ServeError | DemoError | TunerError | UnknownTaskError):
        return str(error)
    if isinstance(error, ValidationError):  # of the settings: their values may be secrets
        return "; ".join(
            f"{found.field}: {found.message}" for found in field_errors(error.errors())
        )
    if isinstance(error, OperationalError):
        return f"the database does not answer: {str(error.orig).splitlines()[0]}"
    return None

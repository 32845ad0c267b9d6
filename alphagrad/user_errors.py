"""Which errors the user can mend, the line that says how, and the exit code."""

from __future__ import annotations

from alphagrad.api.client_errors import ApiError, ServerAwayError

FAILED = 1
AWAY = 4
REFUSED = "42501"
"""PostgreSQL's code for a role that may not do this."""
EXTRAS = {"matplotlib": "bench"}
"""Modules that come with an extra of ours."""


class NothingYetError(RuntimeError):
    """There is nothing to show, and later there may be."""


def mendable(error: Exception) -> str | None:
    """What to tell the user of the command line; ``None`` for a bug of ours.

    Args:
        error: what a command raised.

    Example:
        >>> from alphagrad.tuner import UnknownTaskError
        >>> mendable(UnknownTaskError("nothing")).partition(";")[0]
        "unknown task 'nothing'"
        >>> mendable(ZeroDivisionError()) is None
        True
    """
    # Of a client, which is quickly told.
    if isinstance(error, ApiError | NothingYetError | TimeoutError):
        return str(error)
    if isinstance(error, OSError):
        at = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror}{at}" if error.strerror else str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        return f"{error.name} is missing: pip install 'alphagrad[{EXTRAS[error.name]}]'"
    from pydantic import ValidationError
    from sqlalchemy.exc import OperationalError, ProgrammingError

    from alphagrad.api.serve import ServeError
    from alphagrad.demo import DemoError
    from alphagrad.local_service import ServiceError
    from alphagrad.paper.run import PlanError
    from alphagrad.tuner.check import damage
    from alphagrad.tuner.errors import TunerError, field_errors
    from alphagrad.tuner.registry import UnknownTaskError

    ours = (ServeError, ServiceError, DemoError, PlanError, TunerError, UnknownTaskError)
    if isinstance(error, ours):
        return str(error)
    if isinstance(error, ValidationError):  # of the settings: their values may be secrets
        return "; ".join(
            f"{found.field}: {found.message}" for found in field_errors(error.errors())
        )
    if (said := damage(error)) is not None:
        return f"{said}; see `alphagrad db check`"
    if isinstance(error, OperationalError):
        return f"the database does not answer: {str(error.orig).splitlines()[0]}"
    if isinstance(error, ProgrammingError) and getattr(error.orig, "sqlstate", "") == REFUSED:
        return f"the database refuses: {str(error.orig).splitlines()[0]}"
    return None


def exit_code(error: Exception) -> int:
    """The exit code for an error that the user can mend."""
    if isinstance(error, ServerAwayError):
        return AWAY
    return AWAY if type(error).__name__ == "OperationalError" else FAILED

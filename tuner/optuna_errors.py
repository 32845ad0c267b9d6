"""The database's own errors, out of those that Optuna wraps around them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def database_errors(method: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let the database's own errors through: Optuna wraps some of them in one of its own."""

    @wraps(method)
    def unwrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return method(*args, **kwargs)
        except StorageInternalError as error:
            # Behind it is often a second error, of a session that the first one left in disorder.
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, DBAPIError):
                cause = cause.__cause__ or cause.__context__
            raise cause or error from None

    return unwrapped

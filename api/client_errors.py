"""What a client raises, and what it makes of an answer that is no success."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import httpx

from alphagrad import __version__

PROBLEM = "urn:alphagrad:problem:"
PASSING = (408, 429)
"""Refusals that say nothing of the request: it may be taken in a while."""


class FieldProblem(TypedDict):
    """One field of a request that is wrong: where, what stood there, what is allowed."""

    field: str
    value: Any
    message: str


class ApiError(RuntimeError):
    """The server refused a request; the message says why, field by field where it can.

    Args:
        message: what is wrong, and what to do.
        status: the HTTP status, or ``None`` if it is not an answer's.
        kind: the problem's stable word, the end of its ``type``: ``not-found``, ``invalid``, …
        errors: the fields that are wrong.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None,
        kind: str | None = None,
        errors: Sequence[FieldProblem] = (),
    ) -> None:
        self.status = status
        self.kind = kind
        self.errors = list(errors)
        super().__init__(message)


class ServerAwayError(ApiError):
    """No server answers, or its database does not."""


def may_pass(error: ApiError) -> bool:
    """Whether the same request may have a better answer in a while.

    Example:
        >>> may_pass(ServerAwayError("", status=503)), may_pass(ApiError("", status=404))
        (True, False)
    """
    return isinstance(error, ServerAwayError) or error.status in PASSING


def away(url: str, error: httpx.TransportError) -> ServerAwayError:
    """The error for a server that did not answer."""
    said = str(error) or type(error).__name__
    message = f"no answer from {url}: {said}; start it with `alphagrad serve`, or mend the URL"
    return ServerAwayError(message, status=None)


def not_json(value: Any, *, field: str = "") -> ApiError | None:
    """The error for a value that cannot be sent as JSON; ``None`` if it can.

    Example:
        >>> print(not_json({"params": {"alpha": [1.0, float("inf")]}}))
        params.alpha.1: JSON has no inf, but finite numbers, text, true and false, lists and objects
        >>> not_json({"n_trials": 3}) is None
        True
    """
    if isinstance(value, Mapping):
        inner = [(str(name), one) for name, one in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(str(place), one) for place, one in enumerate(value)]
    elif (
        value is None
        or isinstance(value, str | int)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return None
    else:
        allowed = "finite numbers, text, true and false, lists and objects"
        return ApiError(f"{field}: JSON has no {value!r}, but {allowed}", status=None)
    found = (not_json(one, field=f"{field}.{name}" if field else name) for name, one in inner)
    return next((error for error in found if error is not None), None)


def refusal(url: str, response: httpx.Response) -> ApiError:
    """The error for an answer that is no success."""
    try:
        body = response.json()
        detail, kind = str(body["detail"]), str(body["type"])
    except (ValueError, KeyError, TypeError):
        body, detail, kind = {}, response.text[:200] or response.reason_phrase, ""
    status = response.status_code
    if status == httpx.codes.UNAUTHORIZED:
        detail = (
            f"{url} refused the API key: put one that it knows into ALPHAGRAD_API_KEY "
            "(`alphagrad serve` shows the first key once)"
        )
    elif status == httpx.codes.METHOD_NOT_ALLOWED or detail.startswith("there is nothing at /v1"):
        asked = f"{response.request.method} {response.request.url.path}"
        detail = f"{url} does not know {asked}: is it older than this client, {__version__}?"
    kind = kind.removeprefix(PROBLEM)
    is_away = status in (502, 503, 504) and kind != "no-answer"  # it is the trial that is silent
    error = ServerAwayError if is_away else ApiError
    return error(detail, status=status, kind=kind or None, errors=body.get("errors", ()))

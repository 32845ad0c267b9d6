"""Errors as RFC 9457 problem details: ``application/problem+json``."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from alphagrad.api.response_headers import ALWAYS
from alphagrad.tuner.check import damage
from alphagrad.tuner.database import is_outage
from alphagrad.tuner.errors import (
    ConflictError,
    DuplicateStudyError,
    FieldError,
    NoAnswerError,
    NoLogError,
    PreconditionError,
    QuotaError,
    SpecError,
    StaleFenceError,
    StudyNotFoundError,
    TrialNotFoundError,
    field_errors,
)
from alphagrad.tuner.registry import UnknownTaskError

logger = logging.getLogger(__name__)

SHOWN_CHARACTERS = 200
"""A value is shown in an error up to so many characters."""


def problem(
    status: int,
    kind: str,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem response.

    Args:
        status: the HTTP status.
        kind: a stable word for the kind of problem, the end of its ``type``.
        detail: what is wrong with this request.
        errors: each field that is wrong, with its value.
        headers: more headers.
    """
    body: dict[str, Any] = {
        "type": f"urn:alphagrad:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _encodable(detail),
    }
    if errors:
        body["errors"] = [
            {
                "field": _encodable(e.field),
                "value": shown(e.value),
                "message": _encodable(e.message),
            }
            for e in errors
        ]
    return JSONResponse(
        body, status_code=status, headers=headers, media_type="application/problem+json"
    )


def database_away(error: DBAPIError) -> JSONResponse:
    """The problem response for a database that does not answer.

    Raises:
        DBAPIError: the error, if it says something else.
    """
    if not is_outage(error):
        raise error
    return problem(503, "database-away", "the database does not answer; try again")


def shown(value: Any) -> Any:
    """A value as an error shows it: itself if JSON has it and it is short, else text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    text = _encodable(value if isinstance(value, str) else repr(value))
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _encodable(text: str) -> str:
    """JSON allows lone surrogates in, UTF-8 allows none out."""
    return text.encode("utf-8", "backslashreplace").decode()


def install_problem_handlers(app: FastAPI) -> None:
    """Turn every error into a problem response."""

    @app.exception_handler(SpecError)
    def _spec(request: Request, error: SpecError) -> JSONResponse:
        return problem(422, "invalid", str(error), errors=error.errors)

    @app.exception_handler(RequestValidationError)
    def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        if any(detail["type"] == "json_invalid" for detail in error.errors()):
            return problem(400, "malformed-json", "the body is not JSON")
        if any(isinstance(detail.get("input"), bytes) for detail in error.errors()):
            # FastAPI gives a body that is not said to be JSON as it came.
            said = request.headers.get("content-type") or "missing"
            detail = f"Content-Type is {said}, and must be application/json"
            return problem(415, "unsupported-media-type", detail)
        # The first part of a place is where it stands: body, path or query.
        details = [{**detail, "loc": detail["loc"][1:]} for detail in error.errors()]
        return _spec(request, SpecError(field_errors(details)))

    @app.exception_handler(StudyNotFoundError)
    @app.exception_handler(TrialNotFoundError)
    @app.exception_handler(UnknownTaskError)
    def _not_found(request: Request, error: LookupError) -> JSONResponse:
        return problem(404, "not-found", str(error))

    @app.exception_handler(NoLogError)
    def _no_log(request: Request, error: NoLogError) -> JSONResponse:
        return problem(404, "no-log", str(error))

    @app.exception_handler(DuplicateStudyError)
    def _duplicate(request: Request, error: DuplicateStudyError) -> JSONResponse:
        taken = FieldError("name", error.name, "a study of this name exists")
        return problem(409, "duplicate-study", str(error), errors=[taken])

    @app.exception_handler(ConflictError)
    def _conflict(request: Request, error: ConflictError) -> JSONResponse:
        return problem(409, "conflict", str(error))

    @app.exception_handler(PreconditionError)
    def _precondition(request: Request, error: PreconditionError) -> JSONResponse:
        return problem(412, "precondition-failed", str(error))

    @app.exception_handler(NoAnswerError)
    def _no_answer(request: Request, error: NoAnswerError) -> JSONResponse:
        return problem(504, "no-answer", str(error))

    @app.exception_handler(StaleFenceError)
    def _stale(request: Request, error: StaleFenceError) -> JSONResponse:
        return problem(409, "stale-fence", str(error))

    @app.exception_handler(QuotaError)
    def _quota(request: Request, error: QuotaError) -> JSONResponse:
        return problem(409, "quota-exceeded", str(error))

    @app.exception_handler(DBAPIError)
    def _database(request: Request, error: DBAPIError) -> JSONResponse:
        if (said := damage(error)) is not None:
            logger.error(said)
            return problem(500, "internal", f"{said}; see `alphagrad db check`")
        if not is_outage(error):
            logger.error("a statement failed", exc_info=error)
            return _bug(request, error)
        logger.error("the database is away: %s", error.orig)
        return database_away(error)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        detail, headers = str(error.detail), dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods_of(request)) or headers.get("Allow", "")
            detail = f"{request.method} is not allowed here; allowed are: {headers['Allow']}"
        return problem(error.status_code, kind, detail, headers=headers)

    @app.exception_handler(Exception)
    def _bug(request: Request, error: Exception) -> JSONResponse:
        # Starlette logs the stack trace; the caller gets none.
        detail = "an error of the server's own; its log has more"
        return problem(500, "internal", detail, headers=ALWAYS)  # no middleware sees this one


def _methods_of(request: Request) -> list[str]:
    """What a path takes; each route knows only of its own methods.

    Of the templates that fit, the one that says most of the path: ``{name}:pause``, not ``{name}``.
    """
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    fitting = [
        path
        for path in paths
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)), request.url.path)
    ]
    best = max(fitting, key=lambda path: len(re.sub(r"{\w+}", "", path)), default="")
    return sorted(method.upper() for method in paths.get(best, {}))

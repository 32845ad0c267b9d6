"""The OpenAPI document: what every route can answer is added in one place, by what it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from alphagrad.api import idempotency
from alphagrad.api.auth import OPEN_PATHS
from alphagrad.api.openapi_examples import add_examples
from alphagrad.api.roles import READING

METHODS = ("get", "head", "post", "put", "patch", "delete")
PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "An error as RFC 9457 has it; `type` is stable.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:alphagrad:problem:[a-z-]+$"},
        "title": {"type": "string", "description": "what the status is called"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "what is wrong with this request"},
        "errors": {
            "type": "array",
            "description": "each field that is wrong",
            "items": {
                "type": "object",
                "required": ["field", "value", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "value": {"description": "what stands there; long text is cut"},
                    "message": {"type": "string"},
                },
            },
        },
    },
    "examples": [
        {
            "type": "urn:alphagrad:problem:not-found",
            "title": "Not Found",
            "status": 404,
            "detail": "no study is named 'bar'",
        }
    ],
}
PROBLEMS: dict[str, str] = {
    "400": "The body is not JSON, or the Host header is not one of ours",
    "401": "No API key, or not one that is good",
    "403": "The key may not do this, or a page of another site asks",
    "404": "There is no such thing",
    "408": "The body did not come in time",
    "409": "It does not fit the state of what it is about",
    "412": "What the caller saw last is not what is there now",
    "413": "The body is too large",
    "415": "The body is not said to be application/json",
    "422": "A field, a parameter or a header is not valid; `errors` names each",
    "429": "Too many requests of this key; Retry-After says when to come again",
    "500": "An error of the server's own",
    "503": "The database does not answer",
    "504": "A running trial did not answer in time",
}
RETRY = ("409", "429", "503")
REQUEST_ID = {
    "description": "of this request, as the server's log has it",
    "schema": {"type": "string"},
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "makes it safe to send the request again: it is executed once, and answered "
    "with the same answer for a day",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$", "minLength": 1, "maxLength": 255},
}


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What ``app.openapi`` is to be: the document, made at the first request for it.

    Args:
        app: its routes are described; those left out of the schema stay out.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    return openapi


def operation_id(route: APIRoute) -> str:
    """The name of a route's function, which is stable and unique."""
    return route.name


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        description="Tuning of AlphaGrad: studies, trials, the knob. docs/api.md has more.",
        routes=app.routes,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "an API key"},
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": app.state.sessions.cookie,
            "description": "what the login page sets; good for reading alone",
        },
    }
    seen: set[str] = set()
    for path, method, operation in _operations(document):
        assert operation["operationId"] not in seen, operation["operationId"]
        seen.add(operation["operationId"])
        _complete(path, method, operation)
    add_examples(schemas)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add to an operation what follows from its path, method and parameters."""
    is_open = path in OPEN_PATHS
    operation["security"] = [] if is_open else [{"bearer": []}]
    if not is_open and method.upper() in READING:
        operation["security"].append({"cookie": []})
    if method.upper() in idempotency.METHODS and path.startswith("/v1/"):
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    responses: dict[str, Any] = operation["responses"]
    for status in _statuses(path, method, operation):
        if status == "422" or status not in responses:
            responses[status] = _problem(status)
    for response in responses.values():
        response.setdefault("headers", {})["X-Request-Id"] = REQUEST_ID


def _statuses(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    """The problems that a request can meet."""
    writes = method.upper() not in READING
    places = {parameter["in"]: parameter for parameter in operation.get("parameters", ())}
    names = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    if path in OPEN_PATHS:
        return ["400", "403", "500", "503"]
    found = ["400", "401", "403", "429", "500", "503"]
    if "path" in places:
        found.append("404")
    if writes or path.endswith("/histogram"):
        found.append("409")
    if "if-match" in names:
        found.append("412")
    if writes:
        found += ["408", "413"]
    if "requestBody" in operation:
        found.append("415")
    if names or "requestBody" in operation:
        found.append("422")
    if path.endswith("/histogram"):
        found.append("504")
    if path.endswith("/compare"):
        found.append("404")
    return found


def _problem(status: str) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": PROBLEMS[status],
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
    if status in RETRY:
        response["headers"] = {
            "Retry-After": {"description": "seconds", "schema": {"type": "string"}}
        }
    if status == "401":
        response["headers"] = {
            "WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}
        }
    return response

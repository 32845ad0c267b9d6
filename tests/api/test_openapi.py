"""The OpenAPI document: complete, valid, with examples that hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

import alphagrad.api

METHODS = {"get", "post", "put", "patch", "delete", "head"}


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    """The document."""
    return app.openapi()


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All operations by name."""
    found = [o for item in document["paths"].values() for m, o in item.items() if m in METHODS]
    return {operation["operationId"]: operation for operation in found}


def test_the_document_is_served_with_a_key_alone(
    api: httpx.Client, anonymous: httpx.Client, document: dict[str, Any]
) -> None:
    assert api.get("/openapi.json").json() == document
    assert document["openapi"].startswith("3.1.")
    assert anonymous.get("/openapi.json").status_code == 401


def test_operations_are_called_as_their_functions(
    operations: dict[str, dict[str, Any]],
) -> None:
    assert {"submit", "read_trial_log", "turn_knob", "ask", "stream_events"} <= set(operations)


def test_every_operation_declares_its_problems(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        responses = operation["responses"]
        assert operation["tags"], name
        assert operation["summary"], name
        assert {"400", "500", "503"} <= set(responses), name
        if operation["security"]:
            assert {"401", "429"} <= set(responses), name
        for status, response in responses.items():
            assert "X-Request-Id" in response["headers"], (name, status)
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (name, status)


def test_what_may_not_be_done_twice_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            names = [parameter["name"] for parameter in operation.get("parameters", ())]
            takes = method in ("post", "patch") and path.startswith("/v1/")
            assert ("Idempotency-Key" in names) == takes, (method, path)


def test_a_cookie_is_good_for_reading_alone(document: dict[str, Any]) -> None:
    for item in document["paths"].values():
        for method, operation in item.items():
            schemes = {name for one in operation["security"] for name in one}
            assert ("cookie" in schemes) <= (method == "get")


def test_every_model_has_an_example_that_holds(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert len(schemas) > 50
    for name, schema in schemas.items():
        assert schema["examples"], name
        whole = {**schema, "components": {"schemas": schemas}}
        for shown in schema["examples"]:
            errors = list(Draft202012Validator(whole).iter_errors(shown))
            assert errors == [], (name, shown)


def test_the_example_of_a_study_is_one(api: httpx.Client, document: dict[str, Any]) -> None:
    [study] = document["components"]["schemas"]["StudySpec"]["examples"]
    answer = api.post("/v1/studies", json=study | {"name": "the-example"})
    assert answer.status_code == 202, answer.text


def test_every_problem_of_the_code_is_documented(document: dict[str, Any]) -> None:
    root = Path(alphagrad.api.__path__[0])
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in root.glob("*.py"))
    kinds = set(re.findall(r'problem\(\s*\d{3},\s*"([a-z-]+)"', code))
    assert len(kinds) > 10
    undocumented = sorted(kind for kind in kinds if f"| `{kind}` |" not in page)
    assert undocumented == []


def test_every_parameter_is_documented(operations: dict[str, dict[str, Any]]) -> None:
    docs = Path(__file__).parents[2] / "docs"
    pages = ("api.md", "events.md", "remote.md", "webhooks.md")
    page = "".join((docs / name).read_text("utf-8") for name in pages if (docs / name).exists())
    parameters = [p for o in operations.values() for p in o.get("parameters", ())]
    names = {p["name"] for p in parameters if p["in"] != "path"}
    assert {"page_token", "layers", "Idempotency-Key"} <= names
    undocumented = [
        name
        for name in sorted(names)
        if not re.search(rf"[`?&]{name}\b", page, flags=re.IGNORECASE)
    ]
    assert undocumented == []


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/studies", "GET, POST"),
        ("/v1/studies/bar", "DELETE, GET, PATCH"),
        ("/v1/studies/bar:pause", "POST"),
        ("/v1/studies/bar/trials/0", "GET"),
        ("/v1/studies/bar/trials/0/alpha", "GET, PATCH"),
        ("/v1/studies/bar/trials/0:tell", "POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(api: httpx.Client, path: str, allowed: str) -> None:
    answer = api.put(path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert answer.json()["type"] == "urn:alphagrad:problem:method-not-allowed"

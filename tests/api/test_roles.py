"""What each role may do: every path and method, and whose studies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from alphagrad.api import key_store
from alphagrad.api.app import create_app
from alphagrad.api.principal import ROLES, Role
from alphagrad.api.roles import ADMINS, needed_role
from alphagrad.api.settings import ApiSettings
from alphagrad.tuner import parse_spec, study_store
from alphagrad.tuner.database import Database
from alphagrad.tuner.optuna_storage import OptunaStorage
from tests.api.serving import serving_app
from tests.api.walk import DASHBOARD, METHODS, OPEN, paths_of

WRITING = [method for method in METHODS if method not in ("GET", "HEAD")]
Keys = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def holders(state: Database) -> Keys:
    """The headers of two submitters, a reader and an admin."""
    roles: dict[str, Role] = {
        "ann": "submitter",
        "bob": "submitter",
        "eve": "reader",
        "root": "admin",
    }
    made = {name: key_store.make_key(state, name, role=role) for name, role in roles.items()}
    return {name: {"Authorization": f"Bearer {key}"} for name, key in made.items()}


def status(client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> int:
    """Of an answer that may have no end."""
    with client.stream(method, path, headers=headers) as answer:
        return answer.status_code


def test_every_path_and_method_is_a_roles(
    app: FastAPI, anonymous: httpx.Client, holders: Keys
) -> None:
    paths = {*paths_of(app.routes), *DASHBOARD, "/nothing", "/v1/nothing", *ADMINS}
    for path in sorted(paths - set(OPEN)):
        of_admins = path.startswith(ADMINS)
        for method in METHODS:
            got = {
                name: status(anonymous, method, path, headers) for name, headers in holders.items()
            }
            where = (method, path, got)
            assert 401 not in got.values(), where
            assert got["root"] != 403, where
            assert (got["ann"] == 403) is of_admins, where
            reads = method in ("GET", "HEAD") or path == "/logout"
            assert (got["eve"] == 403) is (of_admins or not reads), where
            assert all(code < 500 for code in got.values()), where


@pytest.mark.parametrize("path", ["/v1/new", "/", "/v1/studies/x/new:verb", "/new", "//logout"])
def test_a_new_route_is_no_readers_to_write(path: str) -> None:
    for method in (*WRITING, "TRACE", "CONNECT", "PROPFIND", "get"):
        assert ROLES.index(needed_role(method, path)) >= 1
    assert needed_role("GET", path) == "reader"


def test_a_refusal_names_role_and_need(anonymous: httpx.Client, holders: Keys) -> None:
    answer = anonymous.post("/v1/studies", headers=holders["eve"])
    assert answer.json() == {
        "type": "urn:alphagrad:problem:forbidden",
        "title": "Forbidden",
        "status": 403,
        "detail": "key 'eve' is a reader's: POST /v1/studies needs a submitter's",
    }
    answer = anonymous.get("/v1/audit", headers=holders["ann"])
    assert answer.status_code == 403
    assert answer.json()["detail"] == "key 'ann' is a submitter's: GET /v1/audit needs an admin's"


def submit(client: httpx.Client, name: str, headers: dict[str, str]) -> httpx.Response:
    spec = {"name": name, "task": "digits", "n_trials": 2}
    return client.post("/v1/studies", json=spec, headers=headers)


def test_a_submitter_changes_only_its_own_studies(
    anonymous: httpx.Client, holders: Keys, name: str
) -> None:
    answer = submit(anonymous, name, holders["ann"])
    assert (answer.status_code, answer.json()["owner"]) == (202, "ann")
    study = f"/v1/studies/{name}"
    for who in ("eve", "bob", "root"):
        assert anonymous.get(study, headers=holders[who]).json()["owner"] == "ann"
    changes: list[tuple[str, str, Any]] = [
        ("PATCH", study, {"n_trials": 3}),
        ("DELETE", study, None),
        *(("POST", f"{study}:{verb}", None) for verb in ("pause", "resume", "stop", "cancel")),
        ("POST", f"{study}/trials:enqueue", {"params": {}}),
        ("POST", f"{study}/trials:ask", {"client": "x"}),
        ("PATCH", f"{study}/trials/0/alpha", {"alpha": 2.0}),
    ]
    for method, path, body in changes:
        refused = anonymous.request(method, path, json=body, headers=holders["bob"])
        assert refused.status_code == 403, path
        assert refused.json()["detail"] == (
            f"study '{name}' is of key 'ann': to change it takes that key or an admin's, and "
            "'bob' is a submitter's"
        )
    assert anonymous.get(study, headers=holders["ann"]).json()["state"] == "QUEUED"
    for who, verb in (("ann", "pause"), ("root", "cancel")):
        assert anonymous.post(f"{study}:{verb}", headers=holders[who]).status_code == 202
    assert anonymous.delete(study, headers=holders["bob"]).status_code == 403
    assert anonymous.delete(study, headers=holders["ann"]).status_code == 204


@pytest.mark.parametrize(
    "written", ["{0}%3Astop", "{0}:st%6Fp", "%{1:02x}{2}:stop", "./{0}:stop", "{0}:clone:stop"]
)
def test_a_path_written_otherwise_changes_nothing_either(
    anonymous: httpx.Client, holders: Keys, name: str, written: str
) -> None:
    assert submit(anonymous, name, holders["ann"]).status_code == 202
    path = "/v1/studies/" + written.format(name, ord(name[0]), name[1:])
    url = httpx.URL(str(anonymous.base_url).rstrip("/")).copy_with(raw_path=path.encode())
    assert anonymous.post(url, headers=holders["bob"]).status_code in (403, 404, 405)
    study = anonymous.get(f"/v1/studies/{name}", headers=holders["ann"]).json()
    assert study["state"] == "QUEUED"


@pytest.mark.parametrize("path", ["/v1/audit%0A", "/v1/audit%0a", "/v1/webhooks%0A", "/%00"])
def test_a_path_with_a_control_character_is_refused(
    anonymous: httpx.Client, holders: Keys, path: str
) -> None:
    answer = anonymous.get(path, headers=holders["eve"])
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:alphagrad:problem:malformed-path"


def test_a_study_from_the_command_line_is_any_submitters(
    state: Database, anonymous: httpx.Client, holders: Keys, name: str
) -> None:
    storage = OptunaStorage(state)
    spec = parse_spec({"name": name, "task": "digits", "n_trials": 1})
    study_store.create_study(state, storage, spec)
    storage.dispose()
    study = f"/v1/studies/{name}"
    assert anonymous.get(study, headers=holders["eve"]).json()["owner"] is None
    assert anonymous.post(f"{study}:pause", headers=holders["eve"]).status_code == 403
    assert anonymous.post(f"{study}:pause", headers=holders["bob"]).status_code == 202


def test_an_outage_between_the_key_and_the_owner_is_one(
    new_postgres: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alphagrad.api.keys.FRESH_SECONDS", 60.0)  # the key stays in memory
    url = new_postgres()
    app = create_app(ApiSettings(home=tmp_path, database_url=SecretStr(url)))
    key = key_store.make_key(app.state.database, "ann", role="submitter")
    bearer = {"Authorization": f"Bearer {key}"}
    with serving_app(app) as address, httpx.Client(base_url=address, headers=bearer) as client:
        assert client.get("/v1/studies").status_code == 200
        server, _, name = url.rpartition("/")
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        answer = client.post("/v1/studies/any:pause")
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:alphagrad:problem:database-away"

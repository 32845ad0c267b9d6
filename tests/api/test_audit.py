"""The audit log: what is in it, who may read it, what is lost and when it is deleted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from alphagrad.api import key_store
from alphagrad.api.key_store import Quotas
from alphagrad.tuner.access_models import ApiKeyRow, AuditRow
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.retention import prune
from alphagrad.tuner.settings import TunerSettings
from tests.api.conftest import PATIENCE

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def holder(state: Database, name: str) -> dict[str, str]:
    """The headers of a submitter's key with the test's name."""
    key = key_store.make_key(state, name, role="submitter")
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def log(api: httpx.Client, name: str) -> Callable[[], list[dict[str, Any]]]:
    """What the log has of the key with the test's name, oldest first."""

    def read() -> list[dict[str, Any]]:
        answer = api.get("/v1/audit", params={"key": name})
        assert answer.status_code == 200
        items: list[dict[str, Any]] = answer.json()["items"]
        return items[::-1]

    return read


def test_every_write_is_recorded_and_no_reading(
    anonymous: httpx.Client,
    holder: dict[str, str],
    log: Callable[[], list[dict[str, Any]]],
    name: str,
) -> None:
    begun = time.time()
    study = f"/v1/studies/{name}"
    requests: list[tuple[str, str, Any, int]] = [
        ("POST", "/v1/studies", {"name": name, "task": "digits", "n_trials": 1}, 202),
        ("GET", study, None, 200),
        ("HEAD", "/dashboard", None, 200),
        ("PATCH", study, {"n_trials": 0}, 422),
        ("POST", f"{study}:stop", None, 202),
        ("POST", f"{study}/trials:enqueue", {"params": {}}, 409),
        ("POST", "/v1/webhooks", None, 403),
        ("PUT", "/v1/studies", None, 405),
        ("DELETE", "/api/studies/1", None, 405),
        ("POST", "/v1/studies", {"x": "y" * (2 << 20)}, 413),
    ]
    ids: list[str] = []
    for method, path, body, status in requests:
        answer = anonymous.request(method, path, json=body, headers=holder)
        assert answer.status_code == status, (path, answer.text)
        if method not in ("GET", "HEAD"):
            ids.append(answer.headers["x-request-id"])
    nobody = anonymous.post(f"{study}:stop", headers={"Authorization": "Bearer wrong"})
    assert nobody.status_code == 401
    rows = log()
    written = [request for request in requests if request[0] not in ("GET", "HEAD")]
    assert [(row["method"], row["path"], row["status"]) for row in rows] == [
        (method, path, status) for method, path, _, status in written
    ]
    assert {row["role"] for row in rows} == {"submitter"}
    assert {row["client"] for row in rows} == {"127.0.0.1"}
    assert [row["request_id"] for row in rows] == ids
    assert [row["study"] for row in rows[1:4]] == [name] * 3
    assert rows[0]["study"] is None
    at = [datetime.fromisoformat(row["at"]).timestamp() for row in rows]
    assert begun - 2 <= at[0] <= at[-1] <= time.time() + 2
    assert at == sorted(at)


def test_a_query_and_a_body_are_not_in_the_log(
    api: httpx.Client, state: Database, anonymous: httpx.Client, holder: dict[str, str]
) -> None:
    anonymous.post("/v1/studies?token=hush", json={"secret": "hush"}, headers=holder)
    anonymous.post("/v1/studies/a%c2%85b%ff:stop", headers=holder)
    assert api.get("/v1/audit").status_code == 200
    with state.read() as session:
        for row in session.scalars(select(AuditRow)):
            assert not [v for v in vars(row).values() if isinstance(v, str) and "hush" in v]
        paths = session.scalars(select(AuditRow.path)).all()
    assert any(path.startswith("/v1/studies/a\x85b") for path in paths)


def test_trials_signs_of_life_are_recorded_only_if_they_are_refused(
    anonymous: httpx.Client,
    holder: dict[str, str],
    log: Callable[[], list[dict[str, Any]]],
) -> None:
    path = "/v1/studies/none/trials/3:heartbeat"
    answer = anonymous.post(path, json={"fence": 1}, headers=holder)
    assert answer.status_code >= 400
    assert [row["path"] for row in log()] == [path]


def test_clients_that_wait_for_a_trial_do_not_fill_the_log(
    api: httpx.Client,
    anonymous: httpx.Client,
    holder: dict[str, str],
    log: Callable[[], list[dict[str, Any]]],
    name: str,
) -> None:
    alpha = {"type": "float", "low": 1.0, "high": 9.0}
    spec = {"name": name, "engine": "remote", "n_trials": 1, "params": {"alpha": alpha}}
    assert anonymous.post("/v1/studies", json=spec, headers=holder).status_code == 202
    path = f"/v1/studies/{name}/trials:ask"
    for _ in range(3):
        assert anonymous.post(path, json={"client": "a"}, headers=holder).status_code == 200
    refused = anonymous.post(path, json={"client": ""}, headers=holder)
    assert [(row["path"], row["status"]) for row in log()] == [
        ("/v1/studies", 202),
        (path, refused.status_code),
    ]
    api.post(f"/v1/studies/{name}:cancel")


def test_of_a_key_that_is_too_busy_a_few_are_recorded(
    state: Database,
    anonymous: httpx.Client,
    log: Callable[[], list[dict[str, Any]]],
    name: str,
) -> None:
    quotas = Quotas(requests_per_minute=3)
    key = key_store.make_key(state, name, role="submitter", quotas=quotas)
    headers = {"Authorization": f"Bearer {key}"}
    for _ in range(40):
        anonymous.post("/v1/studies/none:stop", headers=headers)
    codes = [row["status"] for row in log()]
    assert codes[:3] == [404] * 3
    assert 10 <= codes.count(429) < 15


def test_the_log_is_read_in_pages_newest_first(api: httpx.Client, name: str) -> None:
    for _ in range(5):
        assert api.post(f"/v1/studies/{name}:stop").status_code == 404
    found: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        params = {"study": name, "page_size": "2"} | (
            {} if token is None else {"page_token": token}
        )
        page = api.get("/v1/audit", params=params).json()
        found += page["items"]
        if (token := page["next_page_token"]) is None:
            break
    ids = [row["id"] for row in found]
    assert len(ids) == 5
    assert ids == sorted(ids, reverse=True)
    assert {row["key_name"] for row in found} == {"configured"}


def test_old_rows_are_pruned(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        for age in (91, 89, 0):
            row = AuditRow(key_name="k", role="admin", method="POST", path="/", status=200)
            row.at = db_now() - age * 86_400
            session.add(row)
    assert prune(database, TunerSettings(home=tmp_path)).audit == 1
    assert prune(database, TunerSettings(home=tmp_path, audit_days=1)).audit == 1
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(AuditRow)) == 1


def command(*arguments: str) -> str:
    """What `alphagrad keys …` prints."""
    return subprocess.run(
        [sys.executable, "-m", "alphagrad", "keys", *arguments],
        env=os.environ | {"COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_a_clean_stop_loses_nothing_and_the_command_shows_it(
    tmp_path: Path, start_service: Start, key: str
) -> None:
    home = tmp_path / "home"
    process, url = start_service(home, "--no-worker", ALPHAGRAD_API_KEY=key)
    bearer = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=bearer, timeout=PATIENCE) as client:
        for number in range(30):
            assert client.post(f"/v1/studies/s{number}:stop").status_code == 404
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0
    shown = json.loads(command("audit", "--json", "--home", str(home)))
    assert [row["path"] for row in shown] == [f"/v1/studies/s{i}:stop" for i in range(30)][::-1]
    assert key not in json.dumps(shown)
    few = command("audit", "--limit", "3", "--home", str(home))
    assert "/v1/studies/s29:stop" in few
    assert "/v1/studies/s26:stop" not in few


def test_a_keys_use_is_noted_to_the_minute(
    state: Database, anonymous: httpx.Client, holder: dict[str, str], api: httpx.Client, name: str
) -> None:
    def used() -> float | None:
        (row,) = [row for row in key_store.list_keys(state) if row.name == name]
        return row.last_used_at

    assert used() is None
    assert anonymous.get("/v1/studies", headers=holder).status_code == 200
    api.get("/v1/audit")  # writes what waits
    first = used()
    assert first is not None
    with state.read() as session:
        assert abs(first - (session.scalar(select(db_now())) or 0)) < 10
    with state.write() as session:
        session.execute(update(ApiKeyRow).values(last_used_at=None))
    assert anonymous.get("/v1/studies", headers=holder).status_code == 200
    api.get("/v1/audit")
    assert used() is None  # it was noted less than a minute ago

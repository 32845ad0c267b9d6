"""What watches over the service sees: metrics, health, and the log."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, select

from alphagrad.api import key_store, prometheus
from alphagrad.api.keys import FRESH_SECONDS
from alphagrad.tuner import results
from alphagrad.tuner.database import Database
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.service_models import WorkerRow
from alphagrad.tuner.service_stats import FinishedTrials, service_stats
from alphagrad.tuner.spec_reading import parse_spec
from alphagrad.tuner.study_store import create_study
from alphagrad.tuner.workers import forget, see
from tests.conftest import need
from tests.postgres import PostgresServer, find_program
from tests.tuner.by_hand import play, play_one

Wait = Callable[..., Any]
SPACE = {"epochs": 1, "alpha": {"type": "float", "low": 1.0, "high": 9.0}}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics are looked up at each request."""
    monkeypatch.setattr(prometheus, "CACHE_SECONDS", 0.0)


def samples(client: httpx.Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: dict[Any, float], name: str, **labels: str) -> float:
    return found.get((f"alphagrad_{name}", frozenset(labels.items())), 0.0)


def submit(api: httpx.Client, name: str, n_trials: int = 4) -> None:
    body = {"name": name, "task": "digits", "n_trials": n_trials, "seed": 1, "params": SPACE}
    assert api.post("/v1/studies", json=body).status_code == 202


def test_metrics_follow_trials(app: FastAPI, api: httpx.Client, state: Database, name: str) -> None:
    storage: OptunaStorage = app.state.optuna_storage
    before = samples(api)
    submit(api, name)
    queued = samples(api)
    assert value(queued, "studies", state="QUEUED") == value(before, "studies", state="QUEUED") + 1
    play(state, storage, ["COMPLETE", "FAIL"], study=name)
    play_one(state, storage, None, name)
    after = samples(api)
    assert value(after, "database_up") == 1
    for state_, more in (("COMPLETE", 1), ("FAIL", 1), ("RUNNING", 1)):
        assert value(after, "trials", state=state_) == value(before, "trials", state=state_) + more
    for state_ in ("COMPLETE", "FAIL"):
        count = "trial_seconds_count"
        assert value(after, count, state=state_) == value(before, count, state=state_) + 1
    running = {"study": name, "trial": "2"}
    assert value(after, "trial_alpha", **running) == pytest.approx(3.5)
    assert value(after, "trial_saturation", **running) == pytest.approx(0.35)
    assert api.post(f"/v1/studies/{name}:cancel").status_code == 202
    with state.read() as session:
        row = session.scalars(select(TrialRow).where(TrialRow.state == "RUNNING")).all()[-1]
    results.finish(state, trial_id=row.id, fence=row.fence, state="FAIL", error="cancelled")
    assert ("alphagrad_trial_alpha", frozenset(running.items())) not in samples(api)


def test_latency_is_by_template(api: httpx.Client, name: str) -> None:
    labels = {"method": "GET", "route": "/v1/studies/{name}", "status": "404"}
    before = value(samples(api), "api_request_seconds_count", **labels)
    api.get(f"/v1/studies/{name}")
    api.get(f"/v1/studies/{name}-b")
    after = samples(api)
    assert value(after, "api_request_seconds_count", **labels) == before + 2
    routes = {dict(labels).get("route") for name, labels in after if "api_request" in name}
    assert not any(name in str(route) for route in routes)


def test_workers_are_counted_while_they_are_there(api: httpx.Client, state: Database) -> None:
    with state.write() as session:
        session.execute(delete(WorkerRow))
    for name, used in (("a", 1), ("b", 4)):
        options = {"engine": "optuna", "slots": (4, used), "gpus": (1, 0), "lease_seconds": 60}
        see(state, name=name, **options)  # type: ignore[arg-type]
    see(state, name="a", engine="optuna", slots=(4, 3), gpus=(1, 1), lease_seconds=60)
    found = samples(api)
    engine = {"engine": "optuna"}
    assert value(found, "workers", **engine) == 2
    assert value(found, "worker_slots", **engine) == 8
    assert value(found, "worker_slots_used", **engine) == 7
    assert value(found, "worker_gpus_used", **engine) == 1
    forget(state, "a")
    assert value(samples(api), "workers", **engine) == 1
    forget(state, "b")


def test_the_queues_age(database: Database) -> None:
    storage = OptunaStorage(database)
    assert service_stats(database).queue_seconds == 0
    spec = parse_spec({"name": "s", "task": "digits", "n_trials": 3, "params": SPACE})
    create_study(database, storage, spec)
    with database.write() as session:
        row = session.get_one(StudyRow, 1)
        row.created_at -= 100
    assert 100 <= service_stats(database).queue_seconds < 110
    claimed = play_one(database, storage, None)
    assert service_stats(database).queue_seconds == 0  # parallelism is 1
    with database.write() as session:
        trial = session.get_one(TrialRow, claimed.trial.id)
        trial.state, trial.finished_at = "FAIL", (trial.started_at or 0) - 50
    assert 50 <= service_stats(database).queue_seconds < 60
    with database.write() as session:
        session.get_one(StudyRow, 1).state = "PAUSED"
    assert service_stats(database).queue_seconds == 0
    create_study(database, storage, parse_spec({"name": "r", "engine": "remote", "n_trials": 3}))
    with database.write() as session:
        session.get_one(StudyRow, 2).created_at -= 100
    assert service_stats(database).queue_seconds == 0  # no worker is missing
    storage.dispose()


def test_each_trial_ends_once(database: Database) -> None:
    storage = OptunaStorage(database)
    spec = parse_spec({"name": "s", "task": "digits", "n_trials": 9, "params": SPACE})
    create_study(database, storage, spec)
    play(database, storage, ["COMPLETE"])
    finished = FinishedTrials(database)
    assert finished.new() == []
    play(database, storage, ["COMPLETE", "PRUNED"])
    found = finished.new()
    assert [state for state, _ in found] == ["COMPLETE", "PRUNED"]
    assert all(0 <= seconds < 60 for _, seconds in found)
    assert finished.new() == []
    storage.dispose()


def test_health_needs_no_key_and_metrics_do(anonymous: httpx.Client) -> None:
    assert anonymous.get("/healthz").json() == {"status": "ok"}
    assert anonymous.get("/readyz").json() == {"status": "ok"}
    for path in ("/healthz", "/readyz"):  # monitors ask with HEAD
        answer = anonymous.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    assert anonymous.get("/metrics").status_code == 401


def test_a_request_id_is_given_or_taken_over(api: httpx.Client, anonymous: httpx.Client) -> None:
    made = api.get("/healthz").headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", made)
    for client, path in ((api, "/v1/tasks"), (anonymous, "/v1/tasks"), (api, "/nowhere")):
        headers = {"X-Request-Id": "mine-1.2"}
        assert client.get(path, headers=headers).headers["x-request-id"] == "mine-1.2"
    for bad in ("a b", "x" * 65, "a\tb", ""):
        sent = api.get("/healthz", headers={"X-Request-Id": bad}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{16}", sent)
    foreign = anonymous.get("/healthz", headers={"Host": "evil.example"})
    assert foreign.status_code == 400
    assert "x-request-id" in foreign.headers


def test_the_log_is_lines_of_json_where_asked(
    tmp_path: Path, key: str, wait_for: Wait, start_service: Callable[..., Any]
) -> None:
    home = tmp_path / "home"
    process, url = start_service(
        home, "--slots", "1", ALPHAGRAD_API_KEY=key, ALPHAGRAD_LOG_FORMAT="json"
    )
    try:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers) as client:
            body = {"name": "logged", "task": "digits", "n_trials": 1, "params": {"epochs": 1}}
            submitted = client.post("/v1/studies", json=body, headers={"X-Request-Id": "r-1"})
            assert submitted.status_code == 202
            wait_for(
                lambda: client.get("/v1/studies/logged").json()["state"] == "COMPLETED",
                seconds=60,
            )
            client.get("/v1/studies/nobody")
    finally:
        process.terminate()
        process.communicate(timeout=30)
    log = (tmp_path / "home.log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    requests = [line for line in lines if line["logger"] == "alphagrad.api.requests"]
    assert [line["route"] for line in requests] == ["/v1/studies"]  # what only reads is at DEBUG
    [line] = requests
    assert (line["request_id"], line["method"], line["status"]) == ("r-1", "POST", 202)
    assert line["seconds"] > 0
    ended = [
        line for line in lines if line.get("study") == "logged" and "COMPLETE" in line["message"]
    ]
    assert [(line["trial"], line["attempt"]) for line in ended] == [(0, 1)]
    assert key not in log


def test_an_unknown_format_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alphagrad", "serve", "--port", "0"],
        env=os.environ | {"ALPHAGRAD_LOG_FORMAT": "xml"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "log_format" in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_without_its_database_a_server_lives_and_is_not_ready(
    tmp_path: Path, key: str, wait_for: Wait, start_service: Callable[..., Any]
) -> None:
    def down(found: dict[Any, float]) -> dict[Any, float] | None:
        return (
            found
            if ("alphagrad_database_up", frozenset()) in found and not value(found, "database_up")
            else None
        )

    if find_program("initdb") is None:
        need("PostgreSQL")
    with PostgresServer() as postgres:
        process, url = start_service(
            tmp_path / "home",
            "--no-worker",
            ALPHAGRAD_API_KEY=key,
            ALPHAGRAD_DATABASE_URL=f"{postgres.url}/postgres",
        )
        try:
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
                assert client.get("/readyz").status_code == 200
                assert value(samples(client), "database_up") == 1
                for state in ("COMPLETE", "PRUNED", "FAIL"):  # a rate needs them from the start
                    assert value(samples(client), "trial_seconds_count", state=state) == 0
                database = Database(f"{postgres.url}/postgres")
                made = key_store.make_key(database, "prometheus", role="reader")
                database.dispose()
                client.headers["Authorization"] = f"Bearer {made}"
                assert value(samples(client), "database_up") == 1
                postgres.stop()
                time.sleep(FRESH_SECONDS)
                assert client.get("/v1/studies").status_code == 503
                assert client.get("/healthz").status_code == 200
                ready = client.get("/readyz")
                assert (ready.status_code, ready.json()["type"]) == (
                    503,
                    "urn:alphagrad:problem:database-away",
                )
                # What was looked at a moment ago is kept for two seconds.
                found = wait_for(lambda: down(samples(client)))
                assert not any(name == "alphagrad_trials" for name, _ in found)
                submitted = client.post(
                    "/v1/studies", json={"name": "s"}, headers=headers | {"Idempotency-Key": "k"}
                )
                assert submitted.status_code == 503
                postgres.start()
                assert client.get("/readyz").status_code == 200
        finally:
            process.terminate()
            process.communicate(timeout=30)

"""Event streams over HTTP: what they say, where they begin, who may read them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from alphagrad.tuner import knobs
from alphagrad.tuner.database import Database
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.study_store import get_trial
from tests.api import sse
from tests.api.conftest import PATIENCE
from tests.api.remote_study import RemoteStudy
from tests.tuner.by_hand import play_one

Wait = Callable[..., Any]


def body(name: str) -> dict[str, Any]:
    alpha = {"type": "float", "low": 1, "high": 100}
    return {"name": name, "task": "digits", "n_trials": 1, "params": {"epochs": 1, "alpha": alpha}}


def submit(api: httpx.Client, name: str) -> None:
    assert api.post("/v1/studies", json=body(name)).status_code == 202


def test_a_stream_begins_with_its_position_and_goes_on_from_now(
    api: httpx.Client, name: str
) -> None:
    submit(api, f"before-{name}")
    with api.stream("GET", "/v1/events", timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        found = sse.messages(answer)
        first = next(found)
        assert first.keys() == {"retry", "id"}
        took: list[float] = []
        for number in range(3):
            submit(api, f"{name}-{number}")
            committed_at = time.monotonic()
            message = next(found)
            took.append(time.monotonic() - committed_at)
        assert min(took) < 2.0  # 0.2 s on a machine with nothing else to do
    assert message["event"] == "study.submitted"
    assert int(message["id"]) > int(first["id"])
    assert f'"study":"{name}-2","trial":null,"at":"20' in message["data"]


@pytest.mark.parametrize("given", ["header", "query", "both"])
def test_a_stream_replays_what_came_after_an_event(
    api: httpx.Client, name: str, given: str
) -> None:
    with api.stream("GET", "/v1/events", timeout=30) as answer:
        start = next(sse.messages(answer))["id"]
    submit(api, name)
    for verb in ("pause", "resume", "cancel"):
        assert api.post(f"/v1/studies/{name}:{verb}").status_code == 202
    headers = {"Last-Event-ID": start} if given != "query" else {}
    query = {"query": {"after": start}, "both": {"after": "0"}}.get(given, {})
    with api.stream("GET", "/v1/events", headers=headers, params=query, timeout=30) as answer:
        found = sse.events(answer, 4)
    assert [event.get("state") for event in found] == ["QUEUED", "PAUSED", "QUEUED", "CANCELLED"]
    last = {"Last-Event-ID": str(found[1]["id"])}
    with api.stream("GET", f"/v1/studies/{name}/events", headers=last, timeout=30) as answer:
        assert sse.events(answer, 2) == found[2:]


def test_a_studys_stream_has_its_events_alone_and_outlives_it(api: httpx.Client, name: str) -> None:
    other = f"other-{name}"
    for one in (name, other):
        submit(api, one)
        assert api.post(f"/v1/studies/{one}:cancel").status_code == 202
        assert api.delete(f"/v1/studies/{one}").status_code == 204
    path = f"/v1/studies/{name}/events"
    with api.stream("GET", path, params={"after": 0}, timeout=30) as answer:
        found = sse.events(answer, 3)
    assert {event["study"] for event in found} == {name}
    assert [event["kind"] for event in found] == [
        "study.submitted",
        "study.changed",
        "study.deleted",
    ]
    assert api.get(f"/v1/studies/never-{name}/events").status_code == 404
    assert api.get("/v1/studies/%00/events").status_code == 400


def test_a_knobs_event_has_the_command_as_the_api_shows_it(
    api: httpx.Client, state: Database, name: str
) -> None:
    submit(api, name)
    storage = OptunaStorage(state)
    play_one(state, storage, None, name)
    storage.dispose()
    with api.stream("GET", f"/v1/studies/{name}/events", timeout=30) as answer:
        found = sse.messages(answer)
        next(found)
        knobs.request_knob(state, get_trial(state, name, 0), layers="w", alpha=2.5)
        event = next(found)
    [knob] = api.get(f"/v1/studies/{name}/trials/0/knobs").json()["items"]
    assert event["event"] == "trial.knob"
    assert json.loads(event["data"])["knob"] == knob
    api.post(f"/v1/studies/{name}:cancel")


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Last-Event-ID": "x"}, ""),
        ({"Last-Event-ID": "-1"}, ""),
        ({"Last-Event-ID": str(2**63)}, ""),
        ({}, "?after=-1"),
        ({}, "?after=1.5"),
    ],
)
def test_a_position_that_is_none_is_refused(
    api: httpx.Client, headers: dict[str, str], query: str
) -> None:
    answer = api.get(f"/v1/events{query}", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] in ("Last-Event-ID", "last-event-id", "after")


def test_a_position_of_another_database_is_from_now_on(api: httpx.Client, name: str) -> None:
    far = {"Last-Event-ID": str(2**62)}
    with api.stream("GET", "/v1/events", headers=far, timeout=30) as answer:
        found = sse.messages(answer)
        assert int(next(found)["id"]) < 2**62
        submit(api, name)
        assert next(found)["event"] == "study.submitted"


def test_a_stream_needs_the_key_or_the_cookie(
    anonymous: httpx.Client, api: httpx.Client, app: Any, key: str
) -> None:
    for path in ("/v1/events", "/v1/studies/x/events"):
        assert anonymous.get(path).status_code == 401
    cookie = {"Cookie": f"{app.state.sessions.cookie}={app.state.sessions.issue(key)}"}
    with anonymous.stream("GET", "/v1/events", headers=cookie, timeout=30) as answer:
        assert answer.status_code == 200
        assert next(sse.messages(answer)).keys() == {"retry", "id"}


def test_a_client_that_leaves_takes_its_stream_along(
    api: httpx.Client, app: Any, wait_for: Wait, server_url: str, key: str
) -> None:
    hub = app.state.events
    wait_for(lambda: hub.streams == 0)
    bearer = {"Authorization": f"Bearer {key}"}
    before = threading.active_count()
    with httpx.Client(base_url=server_url, headers=bearer, timeout=PATIENCE) as client:
        with client.stream("GET", "/v1/events", timeout=30) as answer:
            found = sse.messages(answer)
            next(found)
            assert hub.streams == 1
        wait_for(lambda: hub.streams == 0)
    wait_for(lambda: hub._poller is None)
    assert threading.active_count() <= before + 2


def test_a_client_that_acts_as_a_trial_is_told_of_too(api: httpx.Client, name: str) -> None:
    remote = RemoteStudy(api, name, n_trials=1)
    trial = remote.trial()
    with api.stream("GET", f"/v1/studies/{name}/events?after=0", timeout=30) as answer:
        for step in range(20):
            remote.say("report", trial, reports=[{"step": step, "value": step / 2}])
        found = sse.events(answer, 4)
        remote.say("tell", trial, state="COMPLETE", value=1.0)
    kinds = ["study.submitted", "study.changed", "trial.started", "trial.progress"]
    assert [event["kind"] for event in found] == kinds
    assert found[2]["params"] == trial["params"]
    assert found[3]["value"] == found[3]["step"] / 2

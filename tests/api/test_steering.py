"""Steering a study over REST and by commands: pause, resume, edit, enqueue; attempts at a trial."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]

ALPHA = {"type": "float", "low": 1.0, "high": 100.0, "log": True}
POINT = {"alpha": 42.0}


def submit(api: httpx.Client, name: str, **changes: Any) -> None:
    params = {"epochs": 1, "batch_size": 256, "hidden_sizes": [8], "alpha": ALPHA}
    body = {"name": name, "task": "digits", "n_trials": 3, "params": params} | changes
    assert api.post("/v1/studies", json=body).status_code == 202


def test_a_study_is_paused_and_resumed(api: httpx.Client, name: str) -> None:
    submit(api, name)
    for verb, state in (("pause", "PAUSED"), ("pause", "PAUSED"), ("resume", "QUEUED")):
        answer = api.post(f"/v1/studies/{name}:{verb}")
        assert (answer.status_code, answer.json()["state"]) == (202, state)
    api.post(f"/v1/studies/{name}:cancel")
    answer = api.post(f"/v1/studies/{name}:pause")
    assert answer.status_code == 409
    assert "CANCELLED" in answer.json()["detail"]


def test_an_open_study_is_edited(api: httpx.Client, name: str) -> None:
    submit(api, name)
    changes = {"n_trials": 5, "parallelism": 2, "priority": 3, "pruner": {"type": "median"}}
    answer = api.patch(f"/v1/studies/{name}", json=changes)
    assert answer.status_code == 200
    study = api.get(f"/v1/studies/{name}").json()
    assert study == answer.json()
    assert (study["n_trials"], study["trials"]) == (5, {"QUEUED": 5})
    assert {key: study["spec"][key] for key in ("n_trials", "parallelism", "priority")} == {
        "n_trials": 5,
        "parallelism": 2,
        "priority": 3,
    }
    assert study["spec"]["pruner"]["n_startup_trials"] == 5
    assert api.patch(f"/v1/studies/{name}", json={}).json() == study


@pytest.mark.parametrize(
    ("path", "method", "body", "field"),
    [
        ("", "PATCH", {"n_trials": 0}, "n_trials"),
        ("", "PATCH", {"n_trials": None}, "n_trials"),
        ("", "PATCH", {"n_trials": 2.5}, "n_trials"),
        ("", "PATCH", {"seed": 3}, "seed"),
        ("", "PATCH", {"pruner": {"type": "no"}}, "pruner.type"),
        ("/trials:enqueue", "POST", {"params": {"alpha": 1000.0}}, "params"),
        ("/trials:enqueue", "POST", {"params": {"epochs": 2}}, "params"),
        ("/trials:enqueue", "POST", {"alpha": 3.0}, "params"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    api: httpx.Client, name: str, path: str, method: str, body: dict[str, Any], field: str
) -> None:
    submit(api, name)
    before = api.get(f"/v1/studies/{name}").json()
    answer = api.request(method, f"/v1/studies/{name}{path}", json=body)
    assert answer.status_code == 422
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert api.get(f"/v1/studies/{name}").json() == before


def test_no_more_is_enqueued_than_there_are_trials(api: httpx.Client, name: str) -> None:
    submit(api, name, n_trials=1, enqueue=[POINT])
    answer = api.post(f"/v1/studies/{name}/trials:enqueue", json={"params": POINT})
    assert answer.status_code == 409
    assert "raise n_trials=1 first" in answer.json()["detail"]


def test_an_enqueued_point_is_tried_and_its_attempt_recorded(
    service: httpx.Client, name: str, wait_for: Callable[..., Any]
) -> None:
    submit(service, name, enqueue=[POINT])
    wait_for(lambda: service.get(f"/v1/studies/{name}").json()["state"] == "COMPLETED")
    first = service.get(f"/v1/studies/{name}/trials/0").json()
    assert first["params"]["alpha"] == 42.0
    [attempt] = service.get(f"/v1/studies/{name}/trials/0/attempts").json()["items"]
    assert (attempt["attempt"], attempt["outcome"], attempt["error"]) == (1, "COMPLETE", None)
    assert attempt["started_at"] <= attempt["finished_at"]
    assert attempt["worker"]


def test_the_commands_steer(alphagrad: Command, service: httpx.Client, name: str) -> None:
    submit(service, name, n_trials=900)
    assert alphagrad("pause", name).stdout == f"{name} PAUSED\n"
    edited = alphagrad("edit", name, "n_trials=950", 'pruner={"type": "median"}')
    assert edited.stdout == f"{name} PAUSED\n"
    study = service.get(f"/v1/studies/{name}").json()
    assert (study["n_trials"], study["spec"]["pruner"]["type"]) == (950, "median")
    assert alphagrad("enqueue", name, "alpha=7.5").stdout == f"{name} PAUSED\n"
    assert alphagrad("resume", name).stdout.startswith(f"{name} ")
    assert alphagrad("cancel", name).stdout == f"{name} CANCELLED\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("edit", "x", "n_trials"), "'n_trials' is not NAME=VALUE"),
        (("enqueue", "x", "=3"), "'=3' is not NAME=VALUE"),
        (("enqueue", "x"), "Missing argument"),
    ],
)
def test_an_assignment_that_is_none_is_refused(
    alphagrad: Command, arguments: tuple[str, ...], message: str
) -> None:
    done = alphagrad(*arguments)
    assert done.returncode == 2
    assert message in done.stderr

"""Trials over REST, from rows in the database: traces, metrics, paging, the knob's refusals."""

import json
import os
import subprocess
import sys
from typing import Any

import httpx
import numpy as np
import pytest

from alphagrad.client import ApiError, Client
from alphagrad.tuner.database import Database
from alphagrad.tuner.messages import Metrics
from alphagrad.tuner.metrics import append_metrics
from alphagrad.tuner.models import TraceRow, TrialRow

LAYERS = ["net.weight", "net.bias"]
NAN = float("nan")


@pytest.fixture
def study(api: httpx.Client, name: str) -> str:
    """A study's name."""
    spec = {"name": name, "task": "digits", "n_trials": 9}
    assert api.post("/v1/studies", json=spec).status_code == 202
    return name


def add_trial(state: Database, study: str, number: int, is_: str = "RUNNING") -> int:
    """Store a trial as a worker would have."""
    from sqlalchemy import select

    from alphagrad.tuner.models import StudyRow

    with state.write() as session:
        study_id = session.scalars(select(StudyRow.id).where(StudyRow.name == study)).one()
        row = TrialRow(
            study_id=study_id,
            slot=number,
            number=number,
            state=is_,
            params={"alpha": 3.0},
            seed=5,
            attempt=1,
            layers=LAYERS,
            fence=1,
            lease_expires_at=2e9 if is_ == "RUNNING" else None,
            value=0.5 if is_ == "COMPLETE" else None,
            started_at=1e9,
            finished_at=None if is_ == "RUNNING" else 1e9 + 1,
            told=True,
        )
        session.add(row)
        session.flush()
        return row.id


def add_trace(state: Database, trial: int, *rows: tuple[int, list[float], list[float]]) -> None:
    with state.write() as session:
        for step, alpha, saturation in rows:
            session.add(
                TraceRow(
                    trial_id=trial,
                    fence=1,
                    step=step,
                    alpha=np.array(alpha, np.float32).tobytes(),
                    saturation=np.array(saturation, np.float32).tobytes(),
                )
            )


def test_a_trial_shows_its_parameters_and_times(
    api: httpx.Client, state: Database, study: str
) -> None:
    add_trial(state, study, 0, "COMPLETE")
    trial = api.get(f"/v1/studies/{study}/trials/0").json()
    assert trial == {
        "number": 0,
        "state": "COMPLETE",
        "value": 0.5,
        "values": None,
        "constraints": None,
        "feasible": True,
        "params": {"alpha": 3.0},
        "seed": 5,
        "attempt": 1,
        "error": None,
        "started_at": "2001-09-09T01:46:40Z",
        "finished_at": "2001-09-09T01:46:41Z",
        "layers": LAYERS,
        "metrics": None,
    }
    shown = api.get(f"/v1/studies/{study}").json()
    assert (shown["best"], shown["best_trials"]) == (trial, [trial])


def test_pages_walk_every_trial_once(api: httpx.Client, state: Database, study: str) -> None:
    for number in (3, 0, 4, 1, 2):
        add_trial(state, study, number)
    seen: list[int] = []
    token: str | None = None
    while True:
        params: dict[str, Any] = {"page_size": 2} | ({"page_token": token} if token else {})
        page = api.get(f"/v1/studies/{study}/trials", params=params).json()
        seen += [trial["number"] for trial in page["items"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert seen == [0, 1, 2, 3, 4]


def test_a_trace_has_a_row_per_step_and_a_column_per_layer(
    api: httpx.Client, state: Database, study: str
) -> None:
    trial = add_trial(state, study, 0)
    add_trace(
        state,
        trial,
        (1, [2.0], [0.5]),  # before a further optimizer was watched
        (2, [2.0, 4.0], [NAN, 0.25]),
        (9, [3.0, 4.0], [0.0, 1.0]),
    )
    trace = api.get(f"/v1/studies/{study}/trials/0/alpha").json()
    assert trace == {
        "layers": LAYERS,
        "steps": [1, 2, 9],
        "alpha": [[2.0, None], [2.0, 4.0], [3.0, 4.0]],
        "saturation": [[0.5, None], [None, 0.25], [0.0, 1.0]],
    }


def test_a_trial_without_a_trace_has_an_empty_one(
    api: httpx.Client, state: Database, study: str
) -> None:
    add_trial(state, study, 0)
    trace = api.get(f"/v1/studies/{study}/trials/0/alpha").json()
    assert trace == {"layers": LAYERS, "steps": [], "alpha": [], "saturation": []}


def test_a_long_trace_is_thinned_and_keeps_its_ends(
    api: httpx.Client, state: Database, study: str
) -> None:
    trial = add_trial(state, study, 0)
    add_trace(state, trial, *((step, [1.0, 1.0], [0.0, 0.0]) for step in range(101)))
    path = f"/v1/studies/{study}/trials/0/alpha"
    thinned = api.get(path, params={"max_steps": 11}).json()
    assert thinned["steps"] == list(range(0, 101, 10))
    assert len(thinned["alpha"]) == len(thinned["saturation"]) == 11
    assert len(api.get(path).json()["steps"]) == 101
    assert api.get(path, params={"max_steps": 1}).status_code == 422


def add_metrics(
    state: Database, trial: int, name: str, values: list[float], first: int = 0
) -> None:
    """Store the values of steps 1, 2, …, as the running trial's worker would."""
    n = len(values)
    batch = Metrics(first, [name], [0] * n, list(range(1, n + 1)), values)
    append_metrics(state, trial_id=trial, fence=1, batch=batch)


def test_metrics_come_by_name(api: httpx.Client, state: Database, study: str) -> None:
    trial = add_trial(state, study, 0)
    add_metrics(state, trial, "losses/td", [0.5, NAN, float("inf"), -float("inf"), 1e300])
    add_metrics(state, trial, "α & β", [-1.0], first=5)
    losses = {"steps": [1, 2, 3, 4, 5], "values": [0.5, None, None, None, 1e300]}
    other = {"steps": [1], "values": [-1.0]}
    path = f"/v1/studies/{study}/trials/0"
    assert api.get(path).json()["metrics"] == ["losses/td", "α & β"]
    assert api.get(f"{path}/metrics").json() == {"metrics": {"losses/td": losses, "α & β": other}}

    def named(*names: str) -> Any:
        return api.get(f"{path}/metrics", params={"names": names}).json()["metrics"]

    assert named("α & β") == {"α & β": other}
    assert named("α & β", "losses/td") == {"α & β": other, "losses/td": losses}
    assert named("losses/td", "later") == {
        "losses/td": losses,
        "later": {"steps": [], "values": []},
    }


def test_long_metrics_are_thinned_and_keep_their_ends(
    api: httpx.Client, state: Database, study: str
) -> None:
    trial = add_trial(state, study, 0)
    add_metrics(state, trial, "a", [float(n) for n in range(2101)])
    path = f"/v1/studies/{study}/trials/0/metrics"
    thinned = api.get(path, params={"max_steps": 11}).json()["metrics"]["a"]
    assert thinned["steps"] == list(range(1, 2102, 210))
    assert thinned["values"] == [step - 1 for step in thinned["steps"]]
    assert len(api.get(path).json()["metrics"]["a"]["steps"]) == 2000
    assert len(api.get(path, params={"max_steps": 20_000}).json()["metrics"]["a"]["steps"]) == 2101


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        ({"max_steps": 1}, "max_steps", "1"),
        ({"max_steps": 20_001}, "max_steps", "20001"),
        ({"max_steps": "all"}, "max_steps", "all"),
        ({"names": ""}, "names.0", ""),
        ({"names": ["good", "x" * 101]}, "names.1", "x" * 101),
        ({"names": "a\0"}, "names.0", "a\0"),
    ],
)
def test_a_wrong_question_for_metrics_is_named_with_its_value(
    api: httpx.Client, state: Database, study: str, query: dict[str, Any], field: str, value: str
) -> None:
    add_trial(state, study, 0)
    answer = api.get(f"/v1/studies/{study}/trials/0/metrics", params=query)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(error["field"], error["value"]) for error in answer.json()["errors"]] == [
        (field, value)
    ]


def test_metrics_of_a_trial_that_is_not_there(api: httpx.Client, study: str) -> None:
    for path in (f"{study}/trials/0", "nobody/trials/0"):
        answer = api.get(f"/v1/studies/{path}/metrics")
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:alphagrad:problem:not-found"


def test_a_client_reads_metrics(server_url: str, key: str, state: Database, study: str) -> None:
    trial = add_trial(state, study, 0)
    add_metrics(state, trial, "losses/td", [0.5, 0.25, NAN])
    add_metrics(state, trial, "b", [1.0], first=3)
    with Client(server_url, key) as client:
        found = client.study(study).trial(0).metrics()
        assert list(found) == ["losses/td", "b"]
        found = client.study(study).trial(0).metrics(names="losses/td", max_steps=2)
        assert found == {"losses/td": {"steps": [1, 3], "values": [0.5, None]}}
        with pytest.raises(ApiError, match="no trial 1") as caught:
            client.study(study).trial(1)
    assert caught.value.status == 404


@pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)
def test_metrics_are_printed_by_the_command(
    server_url: str, key: str, state: Database, study: str
) -> None:
    add_metrics(state, add_trial(state, study, 0), "losses/td", [0.5, NAN])
    done = subprocess.run(
        [sys.executable, "-m", "alphagrad", "metrics", study, "0", "--name", "losses/td"],
        env=os.environ | {"ALPHAGRAD_URL": server_url, "ALPHAGRAD_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "step,name,value\n1,losses/td,0.5\n2,losses/td,\n"


def patch(api: httpx.Client, study: str, body: Any) -> httpx.Response:
    return api.patch(
        f"/v1/studies/{study}/trials/0/alpha",
        content=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"alpha": 0}, "alpha", 0),
        ({"alpha": -1.5}, "alpha", -1.5),
        ({"alpha": NAN}, "alpha", "nan"),
        ({"alpha": float("inf")}, "alpha", "inf"),
        ({"alpha": 1e300}, "alpha", 1e300),  # α is a float32
        ({"alpha": 1e-300}, "alpha", 1e-300),
        ({"alpha": "50"}, "alpha", "50"),
        ({"alpha": True}, "alpha", True),
        ({}, "alpha", None),
        ({"layers": "net.*"}, "alpha", None),
        ({"alpha": None, "pin": None}, "alpha", None),
        ({"alpha": 1.0, "layers": ""}, "layers", ""),
        ({"alpha": 1.0, "layers": 3}, "layers", 3),
        ({"alpha": 1.0, "layers": "a\0"}, "layers", "a\0"),
        ({"alpha": 1.0, "layers": "a\ud800"}, "layers", None),
        ({"pin": "yes"}, "pin", "yes"),
        ({"alpha": 1.0, "step": 3}, "step", 3),
    ],
)
def test_a_wrong_turn_of_the_knob_is_named_with_its_value(
    api: httpx.Client, state: Database, study: str, body: Any, field: str, value: Any
) -> None:
    add_trial(state, study, 0)
    answer = patch(api, study, body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    if value is not None:
        assert answer.json()["errors"][0]["value"] == value
    assert api.get(f"/v1/studies/{study}/trials/0/knobs").json()["items"] == []


@pytest.mark.parametrize("is_", ["COMPLETE", "PRUNED", "FAIL", "WAITING"])
def test_alpha_cannot_be_changed_in_a_trial_that_does_not_run(
    api: httpx.Client, state: Database, study: str, is_: str
) -> None:
    add_trial(state, study, 0, is_)
    answer = patch(api, study, {"alpha": 1.0})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert is_ in answer.json()["detail"]


def test_commands_are_listed_in_their_order(api: httpx.Client, state: Database, study: str) -> None:
    add_trial(state, study, 0)
    bodies = [{"alpha": 1.5, "layers": "net.*"}, {"pin": True}, {"alpha": 2, "pin": False}]
    answers = [patch(api, study, body) for body in bodies]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    listed = api.get(f"/v1/studies/{study}/trials/0/knobs").json()
    assert listed == {"items": [answer.json() for answer in answers], "next_page_token": None}
    assert [(k["layers"], k["alpha"], k["pin"]) for k in listed["items"]] == [
        ("net.*", 1.5, None),
        ("*", None, True),
        ("*", 2.0, False),
    ]
    for knob in listed["items"]:
        assert knob["state"] == "requested"
        assert (knob["step"], knob["reason"], knob["answered_at"]) == (None, None, None)
        assert knob["requested_at"] is not None

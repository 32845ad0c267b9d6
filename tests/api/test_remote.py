"""Ask, heartbeat, report and tell over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from alphagrad.tuner.database import Database
from tests.api.conftest import Wait
from tests.api.remote_study import RemoteStudy
from tests.plain_optuna import plain_study

X = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


def test_a_study_is_run_by_its_clients(api: httpx.Client, name: str, wait_for: Wait) -> None:
    study = RemoteStudy(api, name, n_trials=3, parallelism=2, params=X | {"epochs": 5, "names": []})
    assert study.warnings == ["tpe draws its first n_startup_trials=10 at random: here all 3"]
    one, two = study.trial("one"), study.trial("two")
    assert one["number"] != two["number"]
    assert one["params"] == {"x": one["params"]["x"], "epochs": 5, "names": []}
    assert (one["fence"], one["attempt"], one["n_objectives"]) == (1, 1, 1)
    third = study.ask("three")
    assert third["trial"] is None
    assert third["study_state"] == "RUNNING"
    assert third["retry_after"] > 0
    reports = [{"step": 0, "value": 0.5}, {"step": 1, "value": None}]
    study.say("report", one, reports=[*reports, {"step": 2, "value": "-Infinity"}])
    value = one["params"]["x"]
    ended = study.say("tell", one, state="COMPLETE", value=value)
    assert (ended["state"], ended["value"]) == ("COMPLETE", value)
    assert study.say("tell", one, state="COMPLETE", value=value) == ended
    study.refused(409, "stale-fence", "tell", one, state="FAIL")
    study.say("tell", two, state="FAIL", error="out of memory")
    study.say("tell", study.trial("three"), state="COMPLETE", value=1)
    found = wait_for(lambda: (s := study.get())["state"] == "COMPLETED" and s)
    assert found["trials"] == {"COMPLETE": 2, "FAIL": 1}
    assert study.ask()["study_state"] == "COMPLETED"
    assert study.get("/trials/1")["error"] == "out of memory"
    rows = api.get(f"/v1/studies/{name}/export?what=reports&format=json").json()
    shown = [(row["number"], row["step"], row["value"]) for row in rows]
    assert shown == [(0, 0, 0.5), (0, 1, None), (0, 2, None)]
    attempts = study.get("/trials/0/attempts")["items"]
    assert [(a["worker"], a["outcome"]) for a in attempts] == [("client:one", "COMPLETE")]


def test_a_client_that_asks_again_has_its_trial(api: httpx.Client, name: str) -> None:
    study = RemoteStudy(api, name, n_trials=8, parallelism=8)
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(study.trial, ["one"] * 4 + ["two"] * 4))
    assert {(trial["number"], trial["fence"]) for trial in asked[:4]} == {(asked[0]["number"], 1)}
    assert {trial["number"] for trial in asked} == {0, 1}
    assert asked[0]["number"] != asked[4]["number"]
    assert asked[0]["params"] == asked[1]["params"]
    metrics = {"first": 0, "names": ["a"], "which": [0, 0], "steps": [1, 2], "values": [1, 2]}
    study.say("report", asked[0], metrics=metrics)
    again = study.trial("one")
    assert (again["samples"], again["values"]) == (0, 2)
    study.say("tell", again, state="COMPLETE", value=0)
    assert study.trial("one")["number"] == 2


def test_what_is_sent_again_is_stored_once(api: httpx.Client, name: str) -> None:
    study = RemoteStudy(api, name)
    trial = study.trial()
    said: dict[str, Any] = {
        "reports": [{"step": 3, "value": 0.5}],
        "layers": ["w", "b"],
        "trace": {
            "first": 0,
            "steps": [1, 2],
            "alpha": [[1.5, 2.5], [1.5, "Infinity"]],
            "saturation": [[0.25, None], [0.5, 0]],
        },
        "metrics": {
            "first": 0,
            "names": ["a", "b"],
            "which": [1, 0],
            "steps": [1, 1],
            "values": [None, 2.5],
        },
    }
    first = study.say("report", trial, **said)
    assert study.say("report", trial, **said) == first
    study.say(
        "report",
        trial,
        trace=said["trace"]
        | {"steps": [1, 2, 4], "alpha": [[0, 0]] * 3, "saturation": [[1, 1]] * 3},
    )
    alpha = study.get(f"/trials/{trial['number']}/alpha")
    assert alpha["steps"] == [1, 2, 4]
    assert alpha["layers"] == ["w", "b"]
    assert alpha["saturation"] == [[0.25, None], [0.5, 0], [1, 1]]
    series = study.get(f"/trials/{trial['number']}/metrics")["metrics"]
    assert series == {
        "b": {"steps": [1], "values": [None]},
        "a": {"steps": [1], "values": [2.5]},
    } or series == {"a": {"steps": [1], "values": [2.5]}, "b": {"steps": [1], "values": [None]}}
    gap = study.refused(409, "conflict", "report", trial, trace=said["trace"] | {"first": 9})
    assert gap["detail"] == "first=9, but 3 samples of this attempt are stored so far"


def test_a_retry_is_another_attempt_with_another_fence(api: httpx.Client, name: str) -> None:
    study = RemoteStudy(api, name, n_trials=1, retries=1)
    trial = study.trial()
    ended = study.say("tell", trial, state="FAIL", error="first")
    assert ended["state"] == "WAITING"
    assert study.say("tell", trial, state="FAIL", error="first") == ended
    study.refused(409, "stale-fence", "heartbeat", trial)
    again = study.trial("two")
    assert (again["number"], again["fence"], again["attempt"]) == (0, 2, 2)
    assert (again["params"], again["seed"]) == (trial["params"], trial["seed"])
    for what, body in (
        ("heartbeat", {}),
        ("report", {"reports": [{"step": 0, "value": 1}]}),
        ("tell", {"state": "COMPLETE", "value": 1}),
    ):
        study.refused(409, "stale-fence", what, trial, **body)
    ended = study.say("tell", again, state="FAIL", retryable=False)
    assert (ended["state"], ended["error"]) == ("FAIL", "the client gave no reason")
    outcomes = [one["outcome"] for one in study.get("/trials/0/attempts")["items"]]
    assert outcomes == ["FAIL", "FAIL"]


def test_the_knob_reaches_a_client_until_it_answers(api: httpx.Client, name: str) -> None:
    study = RemoteStudy(api, name)
    trial = study.trial()
    path = f"{study.path}/trials/{trial['number']}/alpha"
    knob = api.patch(path, json={"layers": "w*", "alpha": 50, "pin": True}).json()
    command = {"id": knob["id"], "layers": "w*", "alpha": 50, "pin": True}
    for _ in range(2):
        assert study.say("heartbeat", trial)["knobs"] == [command]
    answer = {"id": knob["id"], "applied": True, "step": 7}
    assert study.say("report", trial, knob_answers=[answer])["knobs"] == []
    (found,) = study.get(f"/trials/{trial['number']}/knobs")["items"]
    assert (found["state"], found["step"]) == ("applied", 7)


def test_a_pruner_judges_what_is_reported(api: httpx.Client, name: str, state: Database) -> None:
    pruner = {"type": "median", "n_startup_trials": 1}
    study = RemoteStudy(api, name, n_trials=2, direction="minimize", pruner=pruner)
    good = study.trial()
    reports = [{"step": step, "value": 0.1} for step in range(3)]
    assert study.say("report", good, reports=reports)["should_prune"] is False
    study.say("tell", good, state="COMPLETE", value=0.1)
    bad = study.trial()
    standing = study.say("report", bad, reports=[{"step": 1, "value": 0.9}])
    assert standing["should_prune"] is True
    assert standing["prune_reason"] == "by the median pruner at step 1"
    assert study.say("heartbeat", bad)["prune_reason"] == "by the median pruner at step 1"
    better = study.say("report", bad, reports=[{"step": 2, "value": 0.05}])
    assert better["should_prune"] is False
    study.say("report", bad, reports=[{"step": 3, "value": 0.8}])
    ended = study.say("tell", bad, state="PRUNED")
    assert (ended["state"], ended["value"]) == ("PRUNED", 0.8)
    with plain_study(state, name) as plain:
        trials = plain.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED"]
    assert trials[1].intermediate_values == {1: 0.9, 2: 0.05, 3: 0.8}


def test_the_saturation_pruner_judges_traces(api: httpx.Client, name: str) -> None:
    pruner = {"type": "saturation", "window": 4, "layers": "w*"}
    study = RemoteStudy(api, name, pruner=pruner, retries=3)
    assert "unless the clients send traces" in study.warnings[-1]

    def trace(first: int, saturation: float) -> dict[str, Any]:
        rows = [[saturation, 0.0]] * 2
        steps = [first + 1, first + 2]
        return {"first": first, "steps": steps, "alpha": rows, "saturation": rows}

    trial = study.trial()
    report = {"reports": [{"step": 1, "value": 1}]}
    for first, saturation, stopped in ((0, 0.9, False), (2, 0.9, True), (4, 0.1, False)):
        said = report | {"layers": ["w", "b"], "trace": trace(first, saturation)}
        assert study.say("report", trial, **said)["should_prune"] is stopped
    study.say("tell", trial, state="COMPLETE", value=1)
    trial = study.trial()
    said = report | {"layers": ["v", "b"], "trace": trace(0, 0.9)}
    refused = study.refused(409, "stale-fence", "report", trial, **said)
    assert "pruner.layers='w*' matches no layer; the layers are v, b" in refused["detail"]
    assert study.get("/trials/1")["state"] == "FAIL"


def test_several_objectives_and_constraints(api: httpx.Client, name: str) -> None:
    directions = ["maximize", "minimize"]
    study = RemoteStudy(api, name, n_trials=4, directions=directions, constraints=["mb"])
    trial = study.trial()
    assert (trial["n_objectives"], trial["constraints"]) == (2, ["mb"])
    study.refused(422, "invalid", "report", trial, reports=[{"step": 0, "value": 1}])
    wrong = {"state": "COMPLETE", "values": [1, 2], "constraints": {"gb": 1}}
    problem = study.refused(422, "invalid", "tell", trial, **wrong)
    assert problem["errors"][0]["field"] == "constraints.gb"
    ended = study.say("tell", trial, state="COMPLETE", values=[1, 2.5], constraints={"mb": 0.5})
    assert (ended["values"], ended["value"], ended["feasible"]) == ([1, 2.5], None, False)
    for told, error in (
        ({"values": [1, 2]}, "the study's constraint 'mb' was not set"),
        ({"values": [1]}, "the task returned [1.0]; 2 finite numbers are needed"),
        ({"value": 1, "constraints": {"mb": 0}}, "the task returned 1.0; 2 finite numbers"),
    ):
        failed = study.say("tell", study.trial(), state="COMPLETE", **told)
        assert failed["state"] == "FAIL"
        assert error in failed["error"]


@pytest.mark.parametrize("value", [None, "Infinity"])
def test_what_is_no_finite_number_fails_the_trial(
    api: httpx.Client, name: str, value: object
) -> None:
    study = RemoteStudy(api, name, retries=3)
    ended = study.say("tell", study.trial(), state="COMPLETE", value=value)
    assert ended["state"] == "FAIL"
    assert "a finite number is needed" in ended["error"]


def test_a_cancelled_study_takes_nothing_more(api: httpx.Client, name: str, wait_for: Wait) -> None:
    study = RemoteStudy(api, name)
    trial = study.trial()
    assert api.post(f"{study.path}:cancel").status_code == 202
    for what, body in (
        ("heartbeat", {}),
        ("report", {"reports": [{"step": 0, "value": 1}]}),
        ("tell", {"state": "COMPLETE", "value": 1}),
    ):
        study.refused(409, "stale-fence", what, trial, **body)
    assert study.ask()["trial"] is None
    wait_for(lambda: study.get()["finished_at"])
    assert study.get("/trials/0")["error"] == "the study was cancelled"


def test_pausing_stopping_enqueueing_and_editing(api: httpx.Client, name: str) -> None:
    study = RemoteStudy(api, name, n_trials=3)
    assert api.post(f"{study.path}/trials:enqueue", json={"params": {"x": 0.125}}).is_success
    trial = study.trial()
    assert trial["params"] == {"x": 0.125}
    api.post(f"{study.path}:pause")
    assert study.trial()["number"] == trial["number"]
    assert study.say("heartbeat", trial)["study_state"] == "PAUSED"
    study.say("tell", trial, state="COMPLETE", value=1)
    asked = study.ask()
    assert (asked["trial"], asked["study_state"]) == (None, "PAUSED")
    api.post(f"{study.path}:resume")
    api.patch(study.path, json={"n_trials": 2})
    trial = study.trial()
    api.post(f"{study.path}:stop")
    assert study.say("heartbeat", trial)["study_state"] == "STOPPING"
    study.say("tell", trial, state="COMPLETE", value=1)
    assert study.ask()["trial"] is None


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"stack": 2, "parallelism": 2}, "", "stack=2, but with engine 'remote'"),
        ({"resources": {"cpu": 2}}, "", "whoever asks decides what a trial takes"),
        (
            {"population": {"perturbation_interval": 1, "mutate": ["x"]}},
            "",
            "engine 'remote' runs no population",
        ),
        ({"engine": "optuna"}, "task", "required, unless engine is 'remote'"),
    ],
)
def test_what_cannot_be_remote_is_refused(
    api: httpx.Client, name: str, fields: dict[str, Any], field: str, message: str
) -> None:
    body = {"name": name, "engine": "remote", "n_trials": 2, "params": X} | fields
    answer = api.post("/v1/studies", json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]


def test_a_task_is_a_word_of_the_clients(api: httpx.Client, name: str) -> None:
    study = RemoteStudy(api, name, task="their-own")
    assert study.get()["spec"]["task"] == "their-own"
    study.trial()


def test_trials_of_workers_are_not_for_clients(api: httpx.Client, name: str) -> None:
    body = {"name": name, "task": "digits", "n_trials": 1}
    assert api.post("/v1/studies", json=body).status_code == 202
    answer = api.post(f"/v1/studies/{name}/trials:ask", json={"client": "one"})
    assert answer.status_code == 409
    assert "only with engine 'remote'" in answer.json()["detail"]
    assert api.post(f"/v1/studies/{name}/trials/0:heartbeat", json={"fence": 1}).status_code == 409


CELLS = [[0.0]]
TRACE = {"first": 0, "steps": [1], "alpha": CELLS, "saturation": CELLS}
METRICS = {"first": 0, "names": ["a"], "which": [0], "steps": [0], "values": [1]}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("heartbeat", {"fence": "1"}, "fence"),
    ("heartbeat", {"more": 1}, "more"),
    ("report", {"reports": [{"step": -1, "value": 1}]}, "reports.0.step"),
    ("report", {"reports": [{"step": 2**31, "value": 1}]}, "reports.0.step"),
    ("report", {"reports": [{"step": 1}]}, "reports.0.value"),
    ("report", {"reports": [{"step": 1, "value": "NaN"}]}, "reports.0.value"),
    ("report", {"reports": [{"step": 1, "value": 1}] * 1001}, "reports"),
    ("report", {"layers": ["a", "a"]}, ""),
    ("report", {"trace": TRACE}, "trace.alpha"),  # of no layer that was named
    ("report", {"trace": TRACE | {"first": -1}}, "trace.first"),
    ("report", {"trace": TRACE | {"alpha": [[0.0, 1.0]]}}, "trace"),
    ("report", {"trace": TRACE | {"saturation": []}}, "trace"),
    ("report", {"trace": TRACE | {"alpha": [[]], "saturation": [[]]}}, "trace"),
    ("report", {"metrics": METRICS | {"which": [1]}}, "metrics"),
    ("report", {"metrics": METRICS | {"steps": [0, 1]}}, "metrics"),
    ("report", {"metrics": METRICS | {"names": ["a\0"]}}, "metrics.names.0"),
    ("report", {"metrics": METRICS | {"values": []}}, "metrics.values"),
    ("tell", {"state": "DONE"}, "state"),
    ("tell", {"state": "COMPLETE"}, ""),
    ("tell", {"state": "COMPLETE", "value": 1, "values": [1]}, ""),
    ("tell", {"state": "PRUNED", "value": 1}, ""),
]


def test_a_bad_field_is_named(api: httpx.Client, name: str) -> None:
    study = RemoteStudy(api, name)
    trial = study.trial()
    for what, body, field in WRONG:
        problem = study.refused(422, "invalid", what, trial, **body)
        assert field in [error["field"] for error in problem["errors"]], (what, body)
    # What JSON does not have is no number either.
    for value in ("NaN", "Infinity", "-Infinity", "1e999"):
        text = f'{{"fence": 1, "reports": [{{"step": 1, "value": {value}}}]}}'
        path = f"{study.path}/trials/{trial['number']}:report"
        answer = api.post(path, content=text, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
    for client in ("", "x" * 101, "a\0b", 7, None):
        assert study.post("trials:ask", {"client": client}).status_code == 422


def test_unknown_studies_and_trials(api: httpx.Client, name: str) -> None:
    study = RemoteStudy(api, name)
    assert study.post("trials/7:heartbeat", {"fence": 1}).status_code == 404
    assert study.post("trials/-1:heartbeat", {"fence": 1}).status_code == 422
    assert api.post("/v1/studies/none/trials:ask", json={"client": "a"}).status_code == 404
    assert study.post("trials:nothing", {"client": "a"}).status_code in (404, 405)


def test_thousands_of_samples_and_reports_fit(api: httpx.Client, name: str) -> None:
    study = RemoteStudy(api, name)
    trial = study.trial()
    rows = np.zeros((1000, 20)).tolist()
    trace = {"first": 0, "steps": list(range(1000)), "alpha": rows, "saturation": rows}
    reports = [{"step": step, "value": step} for step in range(1000)]
    layers = [f"l{place}" for place in range(20)]
    study.say("report", trial, layers=layers, trace=trace, reports=reports)
    assert len(study.get("/trials/0/alpha")["steps"]) == 1000

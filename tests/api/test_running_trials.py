"""The knob turned over REST in trials that really run."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.api.endless import ENDLESS, endless

Wait = Callable[..., Any]
LAYERS = [
    f"q.{layer}.{part}" for layer in ("hidden1", "hidden2", "output") for part in ("weight", "bias")
]


@pytest.fixture(scope="module")
def trial(service: httpx.Client, wait_for: Wait) -> Iterator[str]:
    """The path of a running trial whose α stays as it is set."""
    with endless(service, wait_for, "turned", alpha=20.0) as path:
        yield f"/v1{path}"


@pytest.fixture(scope="module")
def scheduled(service: httpx.Client, wait_for: Wait) -> Iterator[str]:
    """The path of a running trial whose α a scheduler moves."""
    with endless(service, wait_for, "scheduled", alpha_rule="saturation") as path:
        yield f"/v1{path}"


def exists(service: httpx.Client, path: str) -> bool:
    return service.get(path).status_code == 200


def trace_of(service: httpx.Client, path: str) -> dict[str, Any] | None:
    """The whole trace, once it has a row."""
    answer = service.get(f"{path}/alpha", params={"max_steps": 20_000})
    assert answer.status_code == 200
    trace: dict[str, Any] = answer.json()
    return trace if trace["steps"] else None


def columns(trace: dict[str, Any], layers: str, *, after: int) -> list[float]:
    """α of the layers whose name begins so, in all rows from a step on."""
    chosen = [i for i, layer in enumerate(trace["layers"]) if layer.startswith(layers)]
    rows = [a for step, a in zip(trace["steps"], trace["alpha"], strict=True) if step >= after]
    return [row[i] for row in rows for i in chosen]


def turn(service: httpx.Client, wait_for: Wait, path: str, **body: Any) -> dict[str, Any]:
    """Turn the knob, and wait until the trial has answered."""
    answer = service.patch(f"{path}/alpha", json=body)
    assert answer.status_code == 202, answer.text
    number = answer.json()["id"]

    def answered() -> dict[str, Any] | None:
        knobs = service.get(f"{path}/knobs").json()["items"]
        knob: dict[str, Any] = next(knob for knob in knobs if knob["id"] == number)
        return knob if knob["state"] != "requested" else None

    knob: dict[str, Any] = wait_for(answered, seconds=10)
    return knob


def test_the_trace_names_every_layer_and_its_parts_are_aligned(
    service: httpx.Client, trial: str
) -> None:
    trace = trace_of(service, trial)
    assert trace is not None
    assert trace["layers"] == LAYERS
    assert service.get(trial).json()["layers"] == LAYERS
    assert len(trace["steps"]) == len(trace["alpha"]) == len(trace["saturation"]) > 0
    assert {len(row) for row in trace["alpha"] + trace["saturation"]} == {len(LAYERS)}
    assert trace["steps"] == sorted(set(trace["steps"]))
    assert trace["steps"][0] == 202  # the first optimizer step
    assert {a for row in trace["alpha"] for a in row} == {20.0}
    assert all(s is None or 0 <= s <= 1 for row in trace["saturation"] for s in row)
    assert any(s for row in trace["saturation"] for s in row)


def test_a_turn_of_the_knob_is_applied_within_a_second(
    service: httpx.Client, trial: str, wait_for: Wait
) -> None:
    """The fastest of three counts: a machine under load may stall for a second."""
    took: list[float] = []
    recorded: list[float] = []
    for alpha in (30.0, 31.0, 32.0):
        started = time.monotonic()
        knob = turn(service, wait_for, trial, layers="q.hidden2.*", alpha=alpha)
        took.append(time.monotonic() - started)
        assert knob["state"] == "applied"
        requested, answered = (
            datetime.fromisoformat(knob[word]) for word in ("requested_at", "answered_at")
        )
        recorded.append((answered - requested).total_seconds())
    assert min(took) < 1
    assert min(recorded) < 1


def test_the_trace_shows_the_new_alpha_from_the_named_step_on(
    service: httpx.Client, trial: str, wait_for: Wait
) -> None:
    before = turn(service, wait_for, trial, layers="q.hidden1.*", alpha=20.0)["step"]
    knob = turn(service, wait_for, trial, layers="q.hidden1.*", alpha=55.5)
    assert (knob["state"], knob["reason"]) == ("applied", None)
    step = knob["step"]

    def shown() -> dict[str, Any] | None:
        trace = trace_of(service, trial)
        return trace if trace and trace["steps"][-1] > step else None

    trace = wait_for(shown)
    assert step in trace["steps"]
    assert set(columns(trace, "q.hidden1.", after=step)) == {55.5}
    assert set(columns(trace, "q.output.", after=0)) == {20.0}
    untouched = [
        row
        for number, row in zip(trace["steps"], trace["alpha"], strict=True)
        if before <= number < step
    ]
    assert {a for row in untouched for a in row[:2]} == {20.0}


def test_a_turn_that_no_layer_matches_is_rejected_with_the_reason(
    service: httpx.Client, trial: str, wait_for: Wait
) -> None:
    knob = turn(service, wait_for, trial, layers="actor.*", alpha=5.0)
    assert knob["state"] == "rejected"
    assert "actor.*" in knob["reason"]
    assert "q.hidden1.weight" in knob["reason"]
    assert service.get(trial).json()["state"] == "RUNNING"


def test_all_commands_are_listed(service: httpx.Client, trial: str, wait_for: Wait) -> None:
    turn(service, wait_for, trial, layers="q.output.*", alpha=20.0)
    knobs = service.get(f"{trial}/knobs").json()["items"]
    assert [knob["id"] for knob in knobs] == sorted(knob["id"] for knob in knobs)
    assert knobs[-1]["layers"] == "q.output.*"
    assert {knob["state"] for knob in knobs} <= {"applied", "rejected"}
    assert all(knob["step"] > 200 for knob in knobs if knob["state"] == "applied")


def test_a_running_trial_says_what_its_tanh_receives(service: httpx.Client, trial: str) -> None:
    took: list[float] = []
    for _ in range(3):
        started = time.monotonic()
        answer = service.get(f"{trial}/alpha/histogram", params={"layers": "q.hid*", "bins": 12})
        took.append(time.monotonic() - started)
    assert min(took) < 1.5
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert set(found["counts"]) == set(LAYERS[:4])
    assert len(found["edges"]) == 13
    # CartPole's network: 4 inputs, 120 and 84 hidden units.
    sizes = [120 * 4, 120, 84 * 120, 84]
    for layer, size in zip(LAYERS, sizes, strict=False):
        assert len(found["counts"][layer]) == 12
        assert sum(found["counts"][layer]) + found["zeros"][layer] == size
    assert found["step"] > 200
    refused = service.get(f"{trial}/alpha/histogram", params={"layers": "actor.*"})
    assert refused.status_code == 409
    assert "q.hidden1.weight" in refused.json()["detail"]


def test_of_two_turns_that_saw_the_same_the_second_is_refused(
    service: httpx.Client, trial: str
) -> None:
    tag = service.get(f"{trial}/knobs").headers["etag"]
    body = {"alpha": 20.0, "layers": "q.output.*"}
    first = service.patch(f"{trial}/alpha", json=body, headers={"If-Match": tag})
    assert first.status_code == 202
    second = service.patch(f"{trial}/alpha", json=body, headers={"If-Match": tag})
    assert second.status_code == 412
    assert second.json()["type"] == "urn:alphagrad:problem:precondition-failed"
    newer = first.headers["etag"]
    assert newer == service.get(f"{trial}/knobs").headers["etag"] != tag
    for others in ("", '"x", '):
        headers = {"If-Match": f"{others}{newer}"}
        answer = service.patch(f"{trial}/alpha", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        newer = answer.headers["etag"]
    for wrong in (f"W/{newer}", '"knob-x"', ""):
        answer = service.patch(f"{trial}/alpha", json=body, headers={"If-Match": wrong})
        assert answer.status_code == 412
    anyway = service.patch(f"{trial}/alpha", json=body, headers={"If-Match": "*"})
    assert anyway.status_code == 202


def test_a_value_that_the_optimizer_cannot_hold_does_not_end_the_trial(
    service: httpx.Client, trial: str, wait_for: Wait
) -> None:
    for alpha in (1e300, 1e-300):
        service.patch(f"{trial}/alpha", json={"alpha": alpha, "layers": "q.output.bias"})
    assert turn(service, wait_for, trial, layers="q.hidden2.*", alpha=33.0)["state"] == "applied"
    assert service.get(trial).json()["state"] == "RUNNING"


def test_a_pinned_layer_is_left_alone_until_it_is_released(
    service: httpx.Client, scheduled: str, wait_for: Wait
) -> None:
    low = 0.001  # nothing saturates, so the scheduler raises α
    pinned = turn(service, wait_for, scheduled, layers="q.output.*", alpha=low, pin=True)
    free = turn(service, wait_for, scheduled, layers="q.hidden1.*", alpha=low)

    def alphas(layers: str, after: int) -> list[float]:
        trace = trace_of(service, scheduled)
        assert trace is not None
        return columns(trace, layers, after=after)

    wait_for(lambda: max(alphas("q.hidden1.", free["step"]), default=0) > 2 * low)
    held = alphas("q.output.", pinned["step"])
    assert len(held) > 2
    assert held == pytest.approx([low] * len(held))
    released = turn(service, wait_for, scheduled, layers="q.output.*", pin=False)
    assert released["state"] == "applied"
    assert released["alpha"] is None
    wait_for(lambda: max(alphas("q.output.", released["step"]), default=0) > 2 * low)


def test_an_optimizer_without_alpha_says_so_and_cancelling_ends_its_trial(
    service: httpx.Client, wait_for: Wait
) -> None:
    spec = {"name": "adam", "task": "dqn", "n_trials": 3, "params": ENDLESS | {"optimizer": "adam"}}
    assert service.post("/v1/studies", json=spec).status_code == 202
    path = "/v1/studies/adam/trials/0"
    wait_for(lambda: exists(service, path) and service.get(path).json()["state"] == "RUNNING")
    knob = turn(service, wait_for, path, alpha=3.0)
    assert knob["state"] == "rejected"
    assert "Adam" in knob["reason"]
    assert service.post("/v1/studies/adam:cancel").status_code == 202
    wait_for(lambda: service.get(path).json()["state"] == "FAIL")
    assert service.get(path).json()["error"] == "the study was cancelled"
    assert service.patch(f"{path}/alpha", json={"alpha": 1.0}).status_code == 409
    study = service.get("/v1/studies/adam").json()
    assert (study["state"], study["trials"]) == ("CANCELLED", {"FAIL": 1})

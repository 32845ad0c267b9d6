"""Studies over REST, without a worker: submit, list, read, stop, cancel, and every refusal."""

import base64
import json
from typing import Any

import httpx
import pytest


def spec(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "task": "digits", "n_trials": 2, "params": {"epochs": 1}} | changes


def post(api: httpx.Client, body: Any) -> httpx.Response:
    # Not httpx's JSON, which refuses NaN.
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.post("/v1/studies", content=text, headers={"Content-Type": "application/json"})


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:alphagrad:problem:")
    assert body["detail"]
    return body


def fields(answer: httpx.Response, status: int = 422) -> dict[str, Any]:
    return {error["field"]: error["value"] for error in problem(answer, status)["errors"]}


def test_a_submitted_study_is_accepted_and_can_be_read(api: httpx.Client, name: str) -> None:
    alpha = {"type": "float", "low": 30, "high": 300, "log": True}
    answer = post(api, spec(name, params={"epochs": 1, "alpha": alpha}, seed=7))
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/studies/{name}"
    study = api.get(answer.headers["location"]).json()
    warning = "tpe draws its first n_startup_trials=10 at random: here all 2"
    assert study | {"warnings": [warning]} == answer.json()
    assert (study["name"], study["state"], study["n_trials"]) == (name, "QUEUED", 2)
    assert study["trials"] == {"QUEUED": 2}
    assert study["best"] is None
    assert study["eta_seconds"] is None
    assert study["started_at"] is None
    assert study["created_at"].endswith(("Z", "+00:00"))
    assert study["spec"]["seed"] == 7
    assert study["spec"]["direction"] == "maximize"
    assert study["spec"]["sampler"]["type"] == "tpe"
    assert study["spec"]["params"]["alpha"]["low"] == 30
    assert {"python", "torch", "optuna"} <= study["versions"].keys()
    assert api.get(f"/v1/studies/{name}/trials").json() == {"items": [], "next_page_token": None}


def test_the_example_of_the_issue_is_accepted(api: httpx.Client, name: str) -> None:
    example = {
        "name": name,
        "task": "dqn",
        "n_trials": 20,
        "parallelism": 2,
        "direction": "maximize",
        "seed": 1,
        "engine": "optuna",
        "sampler": {"type": "tpe"},
        "pruner": {"type": "median"},
        "params": {
            "total_timesteps": 30000,
            "alpha": {"type": "float", "low": 30, "high": 300, "log": True},
        },
    }
    assert post(api, example).status_code == 202


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"task": "nope"}, "task", "nope"),
        ({"n_trials": 0}, "n_trials", 0),
        ({"n_trials": 2.5}, "n_trials", 2.5),
        ({"n_trials": "2"}, "n_trials", "2"),
        ({"parallelism": 0}, "parallelism", 0),
        ({"direction": "up"}, "direction", "up"),
        ({"timeout": -1}, "timeout", -1),
        ({"timeout": float("nan")}, "timeout", "nan"),
        ({"seed": -1}, "seed", -1),
        ({"engine": "abacus"}, "engine", "abacus"),
        ({"retries": -1}, "retries", -1),
        ({"sampler": {"type": "oracle"}}, "sampler.type", "oracle"),
        ({"sampler": {"type": "tpe", "n_startup_trials": -1}}, "sampler.n_startup_trials", -1),
        ({"pruner": {"type": "axe"}}, "pruner.type", "axe"),
        ({"name": "../etc"}, "name", "../etc"),
        ({"name": ""}, "name", ""),
        ({"name": "a\0b"}, "name", "a\0b"),
        ({"colour": "red"}, "colour", "red"),
        ({"params": {"epochs": 0}}, "params.epochs", 0),
        ({"params": {"speed": 3}}, "params.speed", "speed"),
        ({"params": {"learning_rate": float("nan")}}, "params.learning_rate", "nan"),
        ({"params": {"alpha": float("inf")}}, "params.alpha", "inf"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(
    api: httpx.Client, name: str, changes: dict[str, Any], field: str, value: Any
) -> None:
    assert fields(post(api, spec(name) | changes)) == {field: value}
    assert api.get(f"/v1/studies/{name}").status_code == 404


@pytest.mark.parametrize(
    ("dimension", "field", "value"),
    [
        ({"type": "float", "low": float("nan"), "high": 1}, "low", "nan"),
        ({"type": "float", "low": 1, "high": float("nan")}, "high", "nan"),
        ({"type": "float", "low": 1, "high": float("inf")}, "high", "inf"),
        ({"type": "float", "low": 1}, "high", None),
        ({"type": "float", "low": 1, "high": 2, "colour": "red"}, "colour", "red"),
        ({"type": "complex", "low": 1, "high": 2}, "", "complex"),
        ({"type": "float", "low": 0, "high": 2}, "", 0),  # the task allows α > 0
    ],
)
def test_a_wrong_dimension_is_named_with_its_value(
    api: httpx.Client, name: str, dimension: dict[str, Any], field: str, value: Any
) -> None:
    found = fields(post(api, spec(name, params={"alpha": dimension})))
    place = f"params.alpha.{field}".rstrip(".")
    assert list(found) == [place]
    if value is not None:
        assert found[place] == value


def test_an_inverted_range_is_named_with_both_ends(api: httpx.Client, name: str) -> None:
    alpha = {"type": "float", "low": 300, "high": 30}
    body = problem(post(api, spec(name, params={"alpha": alpha})), 422)
    assert [error["field"] for error in body["errors"]] == ["params.alpha"]
    assert "low=300" in body["detail"]
    assert "high=30" in body["detail"]


def test_all_wrong_fields_are_named_at_once(api: httpx.Client, name: str) -> None:
    answer = post(api, spec(name, n_trials=0, direction="up", parallelism=0))
    assert fields(answer) == {"n_trials": 0, "direction": "up", "parallelism": 0}


def test_a_name_is_taken_once(api: httpx.Client, name: str) -> None:
    assert post(api, spec(name)).status_code == 202
    again = post(api, spec(name, n_trials=9))
    assert fields(again, 409) == {"name": name}
    assert api.get(f"/v1/studies/{name}").json()["n_trials"] == 2


@pytest.mark.parametrize("body", [b"{", b"", b'{"name": }', b"\xff\xfe{}", b"[" * 100_000])
def test_what_is_not_json_is_malformed(api: httpx.Client, body: bytes) -> None:
    answer = post(api, body)
    assert answer.status_code in (400, 422)
    problem(answer, 422 if body == b"" else 400)


@pytest.mark.parametrize("said", ["application/x-www-form-urlencoded", "text/plain", None])
def test_a_body_has_to_be_said_to_be_json(api: httpx.Client, name: str, said: str | None) -> None:
    headers = {} if said is None else {"Content-Type": said}  # the first is what curl -d says
    answer = api.post("/v1/studies", content=json.dumps(spec(name)), headers=headers)
    assert problem(answer, 415)["detail"].startswith(f"Content-Type is {said or 'missing'}, and")
    assert api.get(f"/v1/studies/{name}").status_code == 404


@pytest.mark.parametrize("body", [[], 1, "text", None])
def test_json_that_is_no_object_is_refused(api: httpx.Client, body: Any) -> None:
    problem(post(api, body), 422)


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("GET", "/v1/studies?status=RUNNING", "name, order, page_size, page_token, state, task"),
        ("POST", "/v1/studies/none:stop?now=true", "there are none here"),
        ("GET", "/v1/studies/none/trials/0/alpha?layer=w", "after_step, before_step, layers"),
    ],
)
def test_a_parameter_that_is_not_there_is_named(
    api: httpx.Client, method: str, path: str, known: str
) -> None:
    answer = api.request(method, path)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == path.partition("?")[2].partition("=")[0]
    assert error["message"].startswith("no such query parameter; there are ")
    assert known in error["message"]


@pytest.mark.parametrize("field", ["name", "task", "direction"])
def test_half_a_character_is_refused(api: httpx.Client, name: str, field: str) -> None:
    # JSON can write a lone surrogate, UTF-8 and the databases cannot.
    assert field in fields(post(api, spec(name) | {field: "a\ud800"}))


def test_half_a_character_in_a_parameter_is_refused(api: httpx.Client, name: str) -> None:
    assert "params.optimizer" in fields(post(api, spec(name, params={"optimizer": "\ud800"})))


def test_a_long_value_is_shown_in_part(api: httpx.Client, name: str) -> None:
    found = fields(post(api, spec(name, task="x" * 10_000)))
    assert len(found["task"]) < 300


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/studies/nobody"),
        ("GET", "/v1/studies/nobody/trials"),
        ("GET", "/v1/studies/nobody/trials/0"),
        ("GET", "/v1/studies/nobody/trials/0/alpha"),
        ("GET", "/v1/studies/nobody/trials/0/metrics"),
        ("GET", "/v1/studies/nobody/trials/0/knobs"),
        ("POST", "/v1/studies/nobody:stop"),
        ("POST", "/v1/studies/nobody:cancel"),
        ("GET", "/v1/studies/%F0%9F%90%8C"),
        ("GET", "/nothing"),
        ("GET", "/v2/studies"),
    ],
)
def test_what_is_not_there_is_not_found(api: httpx.Client, method: str, path: str) -> None:
    problem(api.request(method, path), 404)


def test_a_zero_byte_in_a_path_is_the_callers_error(api: httpx.Client) -> None:
    answer = api.get("/v1/studies/a%00b")
    assert 400 <= answer.status_code < 500, answer.text


def test_an_unknown_trial_is_not_found(api: httpx.Client, name: str) -> None:
    post(api, spec(name))
    for path in ("0", "0/alpha", "0/knobs", "2147483647"):
        problem(api.get(f"/v1/studies/{name}/trials/{path}"), 404)
    problem(api.patch(f"/v1/studies/{name}/trials/0/alpha", json={"alpha": 1.0}), 404)
    for number in ("-1", "x", "99999999999", "1.5"):
        assert fields(api.get(f"/v1/studies/{name}/trials/{number}")) == {"number": number}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/studies", {"GET", "POST"}),
        ("PUT", "/v1/studies/{name}", {"GET"}),
        ("GET", "/v1/studies/{name}:stop", None),
        ("POST", "/v1/studies/{name}/trials", {"GET"}),
        ("POST", "/v1/studies/{name}/trials/0/alpha", {"GET", "PATCH"}),
        ("POST", "/healthz", {"GET"}),
        ("PUT", "/login", {"GET", "POST"}),
    ],
)
def test_a_wrong_method_is_named(
    api: httpx.Client, name: str, method: str, path: str, allowed: set[str] | None
) -> None:
    post(api, spec(name))
    answer = api.request(method, path.format(name=name))
    if allowed is None:  # a read of a study whose name cannot be
        problem(answer, 404)
        return
    problem(answer, 405)
    assert {word.strip() for word in answer.headers["allow"].split(",")} & allowed


def walk(api: httpx.Client, path: str, size: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        params: dict[str, str | int] = {"page_size": size}
        page = api.get(path, params=params if token is None else params | {"page_token": token})
        body = page.json()
        assert body.keys() == {"items", "next_page_token"}
        assert len(body["items"]) <= size
        items += body["items"]
        token = body["next_page_token"]
        if token is None:
            return items
        assert len(body["items"]) == size


@pytest.mark.parametrize("size", [1, 2, 3, 500])
def test_pages_walk_every_study_once(api: httpx.Client, name: str, size: int) -> None:
    mine = [f"{name}-{letter}" for letter in "abcd"]
    for one in mine:
        assert post(api, spec(one)).status_code == 202
    names = [study["name"] for study in walk(api, "/v1/studies", size)]
    assert len(names) == len(set(names))
    assert names[-4:] == mine


@pytest.mark.parametrize("size", ["0", "501", "-1", "x"])
def test_a_page_size_out_of_bounds_is_refused(api: httpx.Client, size: str) -> None:
    assert fields(api.get("/v1/studies", params={"page_size": size})) == {"page_size": size}


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "token",
    ["x", "", "%%", "é", encoded("hello"), encoded("after:"), encoded(f"after:{10**30}")],
)
def test_a_page_token_of_nobodys_making_is_refused(
    api: httpx.Client, name: str, token: str
) -> None:
    post(api, spec(name))
    for path in ("/v1/studies", f"/v1/studies/{name}/trials"):
        assert fields(api.get(path, params={"page_token": token})) == {"page_token": token}


def test_a_page_token_of_thousands_of_digits_is_refused(api: httpx.Client) -> None:
    answer = api.get("/v1/studies", params={"page_token": encoded("after:" + "9" * 5000)})
    assert fields(answer).keys() == {"page_token"}


def test_a_stopped_study_starts_nothing_more(api: httpx.Client, name: str) -> None:
    post(api, spec(name))
    answer = api.post(f"/v1/studies/{name}:stop")
    assert answer.status_code == 202
    assert answer.json()["state"] == "STOPPING"
    assert answer.json()["trials"].get("QUEUED", 0) == 0
    assert api.post(f"/v1/studies/{name}:stop").json()["state"] == "STOPPING"


def test_a_cancelled_study_has_ended(api: httpx.Client, name: str) -> None:
    post(api, spec(name))
    answer = api.post(f"/v1/studies/{name}:cancel")
    assert answer.status_code == 202
    assert answer.json()["state"] == "CANCELLED"
    assert answer.json()["finished_at"] is not None
    for verb in ("cancel", "stop"):
        assert "CANCELLED" in problem(api.post(f"/v1/studies/{name}:{verb}"), 409)["detail"]


def test_the_first_page_lists_the_studies(api: httpx.Client) -> None:
    answer = api.get("/")
    assert answer.status_code == 200
    assert "<h1>Studies</h1>" in answer.text


def test_the_dashboards_own_api_knows_the_study(api: httpx.Client, name: str) -> None:
    post(api, spec(name))
    studies = api.get("/api/studies").json()["study_summaries"]
    assert name in [study["study_name"] for study in studies]
    head = api.head("/api/studies")
    assert head.status_code == 200
    assert head.content == b""
    assert api.get("/dashboard").headers["content-type"].startswith("text/html")

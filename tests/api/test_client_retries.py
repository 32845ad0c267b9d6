"""What the clients do when the server is away, busy, wrong, or breaks a connection."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from alphagrad.client import ApiError, AsyncClient, Client, ServerAwayError
from tests.api.scripted import Answer, ScriptedServer

KEY = "ag_a-key-of-the-tests"
TASK = Answer(body=json.dumps({"name": "digits"}))
BUSY = Answer(status=503, headers={"Retry-After": "0.05"})


def problem(status: int, kind: str, detail: str, **more: Any) -> Answer:
    body = {"type": f"urn:alphagrad:problem:{kind}", "detail": detail} | more
    return Answer(status=status, body=json.dumps(body))


def event(number: int) -> str:
    data = {"id": number, "kind": "study.changed", "study": "s", "trial": None, "state": "RUNNING"}
    return f"id: {number}\nevent: study.changed\ndata: {json.dumps(data)}\n\n"


@pytest.mark.parametrize("bad", [BUSY, Answer(status=429), Answer(status=502), Answer(cut=True)])
def test_a_request_is_tried_again(bad: Answer) -> None:
    with ScriptedServer([bad, bad, TASK]) as server:
        with Client(server.url, KEY) as client:
            assert client.task("digits")["name"] == "digits"
        assert [asked.path for asked in server.asked] == ["/v1/tasks/digits"] * 3


def test_an_awaited_request_is_tried_again_too() -> None:
    async def ask(url: str) -> str:
        async with AsyncClient(url, KEY) as client:
            return (await client.task("digits"))["name"]

    with ScriptedServer([BUSY, Answer(cut=True), TASK]) as server:
        assert asyncio.run(ask(server.url)) == "digits"
        assert len(server.asked) == 3


def test_a_pause_is_as_long_as_the_server_asks() -> None:
    busy = Answer(status=429, headers={"Retry-After": "0.4"})
    with ScriptedServer([busy, TASK]) as server, Client(server.url, KEY) as client:
        started = time.monotonic()
        client.task("digits")
        assert time.monotonic() - started >= 0.4


def test_a_pause_longer_than_ones_patience_is_not_waited_for() -> None:
    busy = problem(429, "rate-limited", "too many requests")
    busy.headers["Retry-After"] = "60"
    with ScriptedServer([busy]) as server, Client(server.url, KEY) as client:
        started = time.monotonic()
        with pytest.raises(ApiError, match="too many requests") as refused:
            client.task("digits")
    assert (refused.value.status, refused.value.kind) == (429, "rate-limited")
    assert time.monotonic() - started < 10
    assert len(server.asked) == 1


def test_a_repeated_post_has_one_key_and_the_next_another() -> None:
    study = Answer(status=202, body=json.dumps({"name": "s", "state": "QUEUED"}))
    with ScriptedServer([Answer(cut=True), BUSY, study]) as server:
        with Client(server.url, KEY) as client:
            client.submit({"name": "s"})
            client.submit({"name": "s"})
        keys = [asked.headers["idempotency-key"] for asked in server.asked]
        assert len(keys) == 4
        assert keys[0] == keys[1] == keys[2] != keys[3]
        assert {asked.body for asked in server.asked} == {'{"name":"s"}'}


def test_a_repeated_patch_has_one_key() -> None:
    study = Answer(body=json.dumps({"name": "s", "state": "QUEUED"}))
    with ScriptedServer([study, Answer(cut=True), study]) as server:
        with Client(server.url, KEY) as client:
            client.study("s").edit(n_trials=9)
        first, second = (asked.headers["idempotency-key"] for asked in server.asked[1:])
        assert first == second


def test_what_was_deleted_before_the_connection_broke_is_deleted() -> None:
    gone = problem(404, "not-found", "no study is named 's'")
    study = Answer(body=json.dumps({"name": "s", "state": "COMPLETED"}))
    answers = [study, Answer(cut=True), gone]
    with ScriptedServer(answers) as server, Client(server.url, KEY) as client:
        found = client.study("s")
        found.delete()
        with pytest.raises(ApiError, match="no study") as refused:  # this time nothing broke
            found.delete()
    assert refused.value.status == 404


def test_errors_tell_what_is_wrong_field_by_field() -> None:
    errors = [{"field": "n_trials", "value": 0, "message": "must be at least 1"}]
    bad = problem(422, "invalid", "n_trials: must be at least 1 (got 0)", errors=errors)
    with (
        ScriptedServer([bad]) as server,
        Client(server.url, KEY) as client,
        pytest.raises(ApiError, match="n_trials: must be at least 1") as refused,
    ):
        client.submit({"n_trials": 0})
    assert (refused.value.status, refused.value.kind) == (422, "invalid")
    assert refused.value.errors == errors
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (problem(401, "unauthorized", "send the API key"), "refused the API key"),
        (problem(404, "not-found", "there is nothing at /v1/compare"), "older than this client"),
        (problem(405, "method-not-allowed", "no"), "older than this client"),
        (Answer(status=404, body="<html>nginx</html>"), "nginx"),
        (Answer(body="<html>a page</html>"), "does not answer as AlphaGrad does"),
    ],
)
def test_a_server_of_another_kind_is_told_apart(answer: Answer, said: str) -> None:
    with (
        ScriptedServer([answer]) as server,
        Client(server.url, KEY) as client,
        pytest.raises(ApiError, match=said),
    ):
        client.compare("a", "b")


def test_a_server_that_is_not_there_is_named() -> None:
    with ScriptedServer([TASK]) as server:
        url = server.url
    with (
        Client(url, KEY, patience=0.3) as client,
        pytest.raises(ServerAwayError, match=f"{url}.*alphagrad serve") as away,
    ):
        client.task("digits")
    assert away.value.status is None


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "nowhere", "http://[::1"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ApiError), Client(url, KEY) as client:
        client.task("digits")


def test_a_key_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ApiError, match="ALPHAGRAD_API_KEY"):
        Client("http://127.0.0.1:1")
    monkeypatch.setenv("ALPHAGRAD_API_KEY", KEY)
    monkeypatch.setenv("ALPHAGRAD_URL", "http://127.0.0.1:1/")
    with Client() as client:
        assert repr(client) == "<Client http://127.0.0.1:1>"


def test_the_key_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    monkeypatch.setenv("ALPHAGRAD_API_KEY_FILE", str(file))
    with pytest.raises(ApiError, match=f"ALPHAGRAD_API_KEY_FILE names a file .*{file}"):
        Client()
    file.write_text(f"{KEY}\n")
    with ScriptedServer([TASK]) as server, Client(server.url) as client:
        client.task("digits")
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def streams() -> list[Answer]:
    """A stream that ends, two that cannot be had, one that breaks within an event, the rest."""
    head = {"Content-Type": "text/event-stream"}
    return [
        Answer(headers=head, body="retry: 1000\nid: 6\n\n" + event(7) + event(8)),
        Answer(cut=True),
        BUSY,
        Answer(headers=head, body=": ping\n\n" + event(9) + event(10)[:-9]),
        Answer(headers=head, body=event(10) + event(11)),
    ]


def test_events_go_on_behind_the_last_one_whatever_breaks() -> None:
    opened: list[bool] = []
    with ScriptedServer(streams()) as server, Client(server.url, KEY) as client:
        ids = []
        for told in client.events(on_open=lambda: opened.append(True)):
            ids.append(told["id"])
            if told["id"] == 11:
                break
        assert ids == [7, 8, 9, 10, 11]
        behind = [asked.headers.get("last-event-id") for asked in server.asked]
        assert behind == [None, "8", "8", "8", "9"]
    assert opened == [True]


def test_awaited_events_do_so_too() -> None:
    async def ids(url: str) -> list[int]:
        found: list[int] = []
        async with AsyncClient(url, KEY) as client:
            async for told in client.events(after=6):
                found.append(told["id"])
                if told["id"] == 11:
                    break
        return found

    with ScriptedServer(streams()) as server:
        assert asyncio.run(ids(server.url)) == [7, 8, 9, 10, 11]
        assert server.asked[0].headers["last-event-id"] == "6"


def test_a_stream_that_breaks_before_an_event_goes_on_from_where_it_was_opened() -> None:
    first = Answer(body="retry: 1000\nid: 6\n\n")
    with ScriptedServer([first, Answer(body=event(7))]) as server:
        with Client(server.url, KEY) as client:
            assert next(iter(client.events()))["id"] == 7
        assert server.asked[1].headers["last-event-id"] == "6"


def test_a_stream_of_a_server_that_stays_away_ends_in_an_error() -> None:
    with ScriptedServer([Answer(cut=True)]) as server:
        with Client(server.url, KEY, patience=0.3) as client, pytest.raises(ServerAwayError):
            next(iter(client.events()))
        assert len(server.asked) >= 2
    with ScriptedServer([problem(404, "not-found", "no study is named 's'")]) as server:
        with Client(server.url, KEY) as client, pytest.raises(ApiError, match="no study"):
            next(iter(client.events()))
        assert len(server.asked) == 1

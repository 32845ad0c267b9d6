"""Idempotency keys: of requests that are sent again, together or later, one is executed."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import func, select, update
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alphagrad.api.idempotency import IdempotencyKeys
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.idempotency import forget_old
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.service_models import IdempotencyRow


def body_of(name: str) -> dict[str, Any]:
    params = {"epochs": 1, "alpha": {"type": "float", "low": 1.0, "high": 9.0}}
    return {"name": name, "task": "digits", "n_trials": 2, "params": params}


def test_ten_of_each_submit_make_one_study_each(
    api: httpx.Client, state: Database, name: str
) -> None:
    names = [f"{name}-{i}" for i in range(5)]

    def submit(study: str) -> httpx.Response:
        headers = {"Idempotency-Key": f"submit {study}".replace(" ", "-")}
        return api.post("/v1/studies", json=body_of(study), headers=headers)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(submit, names * 10))
    assert [answer.status_code for answer in answers] == [202] * 50
    for study in names:
        same = [answer for answer in answers if answer.json()["name"] == study]
        assert len(same) == 10
        assert len({answer.content for answer in same}) == 1
        assert {answer.headers["location"] for answer in same} == {f"/v1/studies/{study}"}
        replayed = [answer.headers.get("idempotency-replayed") for answer in same]
        assert sorted(map(str, replayed)) == ["None"] + ["true"] * 9
    with state.read() as session:
        stored = select(func.count()).where(StudyRow.name.in_(names))
        assert session.scalar(stored) == 5


def test_a_key_of_another_request_is_refused(api: httpx.Client, name: str) -> None:
    headers = {"Idempotency-Key": f"key-{name}"}
    assert api.post("/v1/studies", json=body_of(name), headers=headers).status_code == 202
    for answer in (
        api.post("/v1/studies", json=body_of(f"{name}-b"), headers=headers),
        api.post(f"/v1/studies/{name}:pause", headers=headers),
    ):
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:alphagrad:problem:idempotency-mismatch"
    assert api.get(f"/v1/studies/{name}-b").status_code == 404


def test_a_key_does_not_hide_that_a_path_or_a_method_is_not_there(
    api: httpx.Client, name: str
) -> None:
    headers = {"Idempotency-Key": f"key-{name}"}
    assert api.post("/v1/studies", json=body_of(name), headers=headers).status_code == 202
    asked = api.patch(f"/v1/studies/{name}/trials:enqueue", json={}, headers=headers)
    assert (asked.status_code, asked.headers["allow"]) == (405, "POST")
    assert api.post("/v1/nothing", headers=headers).status_code == 404
    # Nor does the key belong to one of them then.
    assert api.patch("/v1/studies", headers=headers | {"Idempotency-Key": name}).status_code == 405
    other = body_of(f"{name}-b")
    answer = api.post("/v1/studies", json=other, headers=headers | {"Idempotency-Key": name})
    assert answer.status_code == 202


def test_a_repeated_patch_changes_once(api: httpx.Client, name: str) -> None:
    assert api.post("/v1/studies", json=body_of(name)).status_code == 202
    url, headers = f"/v1/studies/{name}", {"Idempotency-Key": f"key-{name}"}
    first = api.patch(url, json={"n_trials": 5}, headers=headers)
    assert (first.status_code, first.json()["n_trials"]) == (200, 5)
    assert api.patch(url, json={"n_trials": 7}).json()["n_trials"] == 7  # another's, in between
    again = api.patch(url, json={"n_trials": 5}, headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert api.get(url).json()["n_trials"] == 7


def test_a_refusal_comes_again_too(api: httpx.Client, name: str) -> None:
    headers = {"Idempotency-Key": f"key-{name}"}
    first = api.post(f"/v1/studies/{name}:pause", headers=headers)
    assert first.status_code == 404
    assert api.post("/v1/studies", json=body_of(name)).status_code == 202
    again = api.post(f"/v1/studies/{name}:pause", headers=headers)
    assert (again.status_code, again.content) == (404, first.content)
    assert again.headers["content-type"] == "application/problem+json"
    assert api.post(f"/v1/studies/{name}:pause").status_code == 202


@pytest.mark.parametrize("sent", ["", "x" * 256, "a b", "ü".encode().decode("latin-1")])
def test_a_key_is_visible_characters(api: httpx.Client, name: str, sent: str) -> None:
    headers = {b"Idempotency-Key": sent.encode("latin-1")}
    answer = api.post("/v1/studies", json=body_of(name), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


class Book:
    """Counts what a small application has executed, and holds it up while it is told to."""

    def __init__(self) -> None:
        self.executed = 0
        self.go_on = threading.Event()
        self.status = 200

    async def answer(self, request: Request) -> Response:
        self.executed += 1
        await request.body()
        while not self.go_on.is_set():
            await asyncio.sleep(0.01)
        if self.status == 599:
            raise RuntimeError("as asked for")
        return JSONResponse({"n": self.executed}, self.status)


@pytest.fixture
def book(database: Database) -> Iterator[tuple[Book, str]]:
    """A small application behind the middleware, on a real socket."""
    kept = Book()
    app = Starlette(
        routes=[Route("/v1/do", kept.answer, methods=["POST"])],
        middleware=[Middleware(IdempotencyKeys, database=database)],
    )
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield kept, f"http://127.0.0.1:{listener.getsockname()[1]}/v1/do"
        kept.go_on.set()
        server.should_exit = True
        thread.join()


def send(url: str, *, caller: str = "a", key: str = "k") -> httpx.Response:
    headers = {"Idempotency-Key": key, "Authorization": f"Bearer {caller}"}
    return httpx.post(url, headers=headers, content=b"{}", timeout=30)


def test_requests_that_come_together_wait_for_the_first(book: tuple[Book, str]) -> None:
    kept, url = book
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(send, url) for _ in range(6)]
        while not kept.executed:
            pass
        kept.go_on.set()
        assert [one.result().json() for one in waiting] == [{"n": 1}] * 6
    assert kept.executed == 1


def test_who_has_waited_too_long_is_told_to_come_again(
    book: tuple[Book, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alphagrad.api.idempotency.WAIT_SECONDS", 0.2)
    kept, url = book
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, url)
        while not kept.executed:
            pass
        answer = send(url)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:alphagrad:problem:idempotency-in-progress"
        assert answer.headers["retry-after"] == "1"
        kept.go_on.set()
        assert first.result().json() == {"n": 1}
    assert send(url).json() == {"n": 1}


@pytest.mark.parametrize("status", [503, 429, 599])
def test_an_error_of_the_servers_own_is_not_kept(book: tuple[Book, str], status: int) -> None:
    kept, url = book
    kept.go_on.set()
    kept.status = status
    assert send(url).status_code == (500 if status == 599 else status)
    kept.status = 200
    assert send(url).json() == {"n": 2}
    assert send(url).json() == {"n": 2}


def test_callers_have_keys_of_their_own(book: tuple[Book, str]) -> None:
    kept, url = book
    kept.go_on.set()
    assert [send(url, caller=caller).json()["n"] for caller in "abab"] == [1, 2, 1, 2]


def test_a_key_whose_holder_died_is_free_again(book: tuple[Book, str], database: Database) -> None:
    kept, url = book
    kept.go_on.set()
    assert send(url).json() == {"n": 1}
    with database.write() as session:  # as a crash in the middle leaves it
        session.execute(
            update(IdempotencyRow).values(status=None, holder="x", held_until=db_now() - 1)
        )
    assert send(url).json() == {"n": 2}


def test_keys_are_forgotten_after_a_day(book: tuple[Book, str], database: Database) -> None:
    kept, url = book
    kept.go_on.set()
    send(url, key="new")
    send(url, key="old")
    with database.write() as session:
        session.execute(
            update(IdempotencyRow)
            .where(IdempotencyRow.key == "old")
            .values(created_at=db_now() - 86_401)
        )
    assert send(url, key="old").json() == {"n": 3}
    with database.write() as session:
        session.execute(
            update(IdempotencyRow)
            .where(IdempotencyRow.key == "old")
            .values(created_at=db_now() - 86_401)
        )
    forget_old(database)
    with database.read() as session:
        assert list(session.scalars(select(IdempotencyRow.key))) == ["new"]

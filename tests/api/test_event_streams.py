"""Streams of a real server: many at once, over its end and its database's absence."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from alphagrad.api.event_hub import EventHub
from alphagrad.tuner import events
from alphagrad.tuner.database import Database
from alphagrad.tuner.models import EventRow, StudyRow
from tests.api import sse
from tests.api.test_events import body
from tests.conftest import need
from tests.marks import on_postgresql
from tests.postgres import PostgresServer, find_program

Start = Callable[..., tuple[subprocess.Popen[str], str]]
Wait = Callable[..., Any]
STREAMS = 200
WRITERS = 3
EACH = 40


@pytest.fixture
def place(
    database_url: str, tmp_path: Path, start_service: Start, key: str
) -> Iterator[Callable[[], tuple[subprocess.Popen[str], str]]]:
    """Starts a server without a worker on the test's database; it is stopped at the end."""
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], str]:
        given = {"ALPHAGRAD_DATABASE_URL": database_url, "ALPHAGRAD_API_KEY": key}
        process, url = start_service(tmp_path / "home", "--no-worker", **given)
        started.append(process)
        return process, url

    yield start
    for process in started:
        process.kill()
        process.communicate()


def client(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)


def ids(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(text("SELECT id FROM alphagrad_events ORDER BY id")))


async def listen(url: str, key: str, until: int) -> list[int]:
    """The ids that a stream from the beginning gives, up to one."""
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    request = f"GET /v1/events?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}"
    writer.write(f"{request}\r\n\r\n".encode())
    found: list[int] = []
    while not found or found[-1] < until:
        line = await reader.readline()
        assert line, "the stream ended"
        if line.startswith(b"data: {"):
            found.append(int(line.removeprefix(b'data: {"id":').partition(b",")[0]))
    writer.close()
    return found


def test_two_hundred_streams_each_see_every_event_once_in_order(
    place: Any, database_url: str, key: str
) -> None:
    _, url = place()
    database = Database(database_url)
    with client(url, key) as api:
        assert api.post("/v1/studies", json=body("s")).status_code == 202
    with database.read() as session:
        study_id = session.scalars(text("SELECT id FROM alphagrad_studies")).one()

    def write() -> None:
        own = Database(database_url)
        for _ in range(EACH):
            own.retry(
                lambda session: events.emit(
                    session, "study.changed", study_id=study_id, state="PAUSED", finished=False
                )
            )
        own.dispose()

    async def all_streams() -> list[list[int]]:
        # Ids have no gaps here: nothing is rolled back.
        last = 1 + WRITERS * EACH
        streams = [asyncio.create_task(listen(url, key, last)) for _ in range(STREAMS)]
        writers = [threading.Thread(target=write) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        async with asyncio.timeout(60):
            found = await asyncio.gather(*streams)
        for writer in writers:
            writer.join()
        return found

    found = asyncio.run(all_streams())
    expected = ids(database)
    database.dispose()
    assert len(expected) == 1 + WRITERS * EACH
    assert all(stream == expected for stream in found)


def test_a_server_that_stops_ends_its_streams_and_the_next_one_goes_on(
    place: Any, database_url: str, key: str, tmp_path: Path
) -> None:
    process, url = place()
    database = Database(database_url)
    with client(url, key) as api:
        api.post("/v1/studies", json=body("s"))
        # One that takes nothing, one that reads to the end.
        deaf = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))
        deaf.sendall(
            f"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}"
            "\r\n\r\n".encode()
        )
        with api.stream("GET", "/v1/events", params={"after": 0}) as answer:
            found = sse.messages(answer)
            next(found)
            last = next(found)["id"]
            process.send_signal(signal.SIGTERM)
            stopped_at = time.monotonic()
            assert list(found) == []  # it ends, and not in the middle of a message
    process.communicate(timeout=30)
    assert time.monotonic() - stopped_at < 20.0
    said = (tmp_path / "home.log").read_text()
    assert "Shutting down" in said
    assert "shutdown exceeded" not in said  # no stream used up the seconds that uvicorn waits
    assert process.returncode == 0
    deaf.close()
    with database.write() as session:
        study = session.query(StudyRow).one()
        events.emit(session, "study.changed", study_id=study.id, state="A", finished=False)
    _, url = place()
    with (
        client(url, key) as api,
        api.stream("GET", "/v1/events", headers={"Last-Event-ID": last}) as answer,
    ):
        api.post("/v1/studies/s:cancel")
        assert [event["state"] for event in sse.events(answer, 2)] == ["A", "CANCELLED"]
    database.dispose()


def test_a_client_far_behind_catches_up_from_the_database(
    place: Any, database_url: str, key: str
) -> None:
    """More events than are kept in memory, of which a study's stream wants few."""
    _, url = place()
    database = Database(database_url)
    with client(url, key) as api, api.stream("GET", "/v1/events") as awake:
        first = sse.messages(awake)
        next(first)
        for name in ("s", "t"):
            api.post("/v1/studies", json=body(name))
        with database.write() as session:
            many = "INSERT INTO alphagrad_events (kind, study, data, at) VALUES "
            rows = ",".join(["('study.changed', 't', '{}', 1e9)"] * 2500)
            session.execute(text(many + rows))
        api.post("/v1/studies/s:cancel")
        for _ in range(2502):
            next(first)
        for path, count in (("/v1/events", 2503), ("/v1/studies/s/events", 2)):
            with api.stream("GET", path, params={"after": 0}) as answer:
                found = sse.events(answer, count)
            assert [event["id"] for event in found] == (
                ids(database) if count > 2 else [1, found[-1]["id"]]
            )
            assert found[-1]["state"] == "CANCELLED"
    database.dispose()


def test_streams_outlive_an_outage_of_the_database(
    tmp_path: Path, start_service: Start, key: str, wait_for: Wait
) -> None:
    if find_program("initdb") is None:
        need("PostgreSQL")
    home = tmp_path / "home"
    with PostgresServer() as server:
        given = {
            "ALPHAGRAD_DATABASE_URL": f"{server.url}/postgres",
            "ALPHAGRAD_API_KEY": key,
        }
        process, url = start_service(home, "--no-worker", **given)
        try:
            with client(url, key) as api, api.stream("GET", "/v1/events") as answer:
                found = sse.messages(answer)
                next(found)
                server.stop()
                log = tmp_path / "home.log"
                wait_for(lambda: "events cannot be read" in log.read_text())
                assert api.get("/v1/events").status_code == 503
                server.start()
                wait_for(lambda: api.post("/v1/studies", json=body("s")).status_code == 202)
                event = next(found)
                while "event" not in event:
                    event = next(found)
                assert event["event"] == "study.submitted"
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert process.returncode == 0


@on_postgresql
def test_a_hub_that_stops_waits_for_what_it_reads(database: Database) -> None:
    """Else its connection would be open still when the database is closed."""
    with database.write() as session:
        session.add(EventRow(kind="study.deleted", study="s", data={}, at=0.0))
    lock = text("SELECT pg_advisory_xact_lock(:key)")

    async def stop_while_it_reads() -> None:
        hub = EventHub(database)
        with database.engine.connect() as writer:
            writer.execute(lock, events._LOCK)
            reading = asyncio.create_task(hub.position(None))
            while database.engine.pool.checkedout() < 2:  # type: ignore[attr-defined]
                await asyncio.sleep(0.01)
            reading.cancel()  # as its client goes
            stopping = asyncio.create_task(hub.stop())
            await asyncio.sleep(0.3)
            assert not stopping.done()
        await stopping  # the writer has gone, and its lock with it
        assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]

    asyncio.run(stop_while_it_reads())

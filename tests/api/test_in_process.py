"""The application without a socket, as the command line uses it where there is no server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from alphagrad.api.in_process import InProcess
from alphagrad.api.local import LocalClient
from alphagrad.client import ApiError
from alphagrad.tuner.settings import TunerSettings


@pytest.fixture
def local(settings: TunerSettings) -> Iterator[LocalClient]:
    with LocalClient(settings) as opened:
        yield opened


def spec(name: str, n_trials: int = 3) -> dict[str, object]:
    return {"name": name, "task": "digits", "n_trials": n_trials, "sampler": {"type": "random"}}


def test_a_database_is_used_as_a_server_is(local: LocalClient) -> None:
    study = local.submit(spec("here"))
    assert (study.state, study.pause().state, study.resume().state) == (
        "QUEUED",
        "PAUSED",
        "QUEUED",
    )
    assert [one.name for one in local.studies()] == ["here"]
    assert b"".join(study.export()).startswith(b"number,state")
    with pytest.raises(ApiError, match="exists") as refused:
        local.submit(spec("here"))
    assert refused.value.status == 409
    with pytest.raises(ApiError, match="n_trials") as invalid:
        local.submit(spec("there", n_trials=0))
    assert [error["field"] for error in invalid.value.errors] == ["n_trials"]
    assert study.stop().state in ("STOPPING", "COMPLETED")


def test_events_come_here_too_and_are_left_at_any_time(local: LocalClient) -> None:
    study = local.submit(spec("watched"))
    opened = threading.Event()
    events = study.events(on_open=opened.set)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(next(events)["kind"]))
    reader.start()
    assert opened.wait(10)
    study.pause()
    reader.join(10)
    assert found == ["study.changed"]
    # The stream is still open: that the client closes all the same is what the fixture shows.


def test_a_key_of_the_environment_does_not_matter(
    settings: TunerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPHAGRAD_API_KEY", "sixteen letters or more")
    monkeypatch.setenv("ALPHAGRAD_URL", "http://127.0.0.1:1")
    with LocalClient(settings) as local:
        assert list(local.studies()) == []


def app_of(pieces: int) -> tuple[FastAPI, list[int]]:
    app = FastAPI()
    sent: list[int] = []

    @app.get("/pieces")
    def read() -> StreamingResponse:
        def body() -> Iterator[bytes]:
            for number in range(pieces):
                sent.append(number)
                yield b"x" * 1000

        return StreamingResponse(body())

    @app.get("/breaks")
    def breaks() -> StreamingResponse:
        def body() -> Iterator[bytes]:
            yield b"x" * 1000
            raise ZeroDivisionError("a bug half-way")

        return StreamingResponse(body())

    @app.get("/bug")
    def bug() -> None:
        raise ZeroDivisionError("a bug")

    return app, sent


def test_a_long_answer_waits_for_its_reader() -> None:
    app, sent = app_of(10_000)
    with httpx.Client(transport=InProcess(app), base_url="http://localhost") as http:
        with http.stream("GET", "/pieces") as response:
            chunks = response.iter_raw()
            assert next(chunks) == b"x" * 1000
            assert len(sent) < 100
            assert len(b"".join(chunks)) == 9_999_000
        with http.stream("GET", "/pieces") as response:
            next(response.iter_raw())
        assert len(sent) < 10_100  # who has left is not sent the rest
        assert http.get("/nothing").status_code == 404


def test_a_bug_is_raised_where_it_can_be_seen() -> None:
    app, _ = app_of(0)
    with httpx.Client(transport=InProcess(app), base_url="http://localhost") as http:
        with pytest.raises(ZeroDivisionError, match="a bug"):
            http.get("/bug")
        assert http.get("/pieces").content == b""


def test_a_home_that_cannot_be_is_an_error_at_once(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    before = threading.active_count()
    with pytest.raises(OSError, match="file"):
        LocalClient(TunerSettings(home=file / "home"))
    assert threading.active_count() <= before  # one of an earlier test may have ended


def test_an_answer_that_breaks_off_is_not_taken_as_whole() -> None:
    app, _ = app_of(0)
    http = httpx.Client(transport=InProcess(app), base_url="http://localhost")
    with http, http.stream("GET", "/breaks") as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"x" * 1000
        with pytest.raises(httpx.ReadError, match="a bug half-way"):
            list(pieces)


def test_it_is_shut_down_although_an_answer_was_not_read_to_its_end() -> None:
    app, _ = app_of(10_000)
    http = httpx.Client(transport=InProcess(app), base_url="http://localhost")
    response = http.send(http.build_request("GET", "/pieces"), stream=True)
    assert next(response.iter_raw()) == b"x" * 1000
    closing = threading.Thread(target=http.close, daemon=True)
    closing.start()
    closing.join(30)
    assert not closing.is_alive()

"""Servers that send webhooks, with short pauses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import uvicorn

from alphagrad.api import webhook_sender, webhook_store
from alphagrad.api.app import create_app
from alphagrad.api.server import Server
from alphagrad.api.settings import ApiSettings
from alphagrad.tuner.database import Database

Open = Callable[..., httpx.Client]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without long pauses, and few of them."""
    monkeypatch.setattr(webhook_store, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(webhook_store, "MOST_FAILURES", 3)
    monkeypatch.setattr(webhook_sender, "POLL_SECONDS", 0.05)


@pytest.fixture
def serve(database_url: str, tmp_path: Path, key: str) -> Iterator[Open]:
    """Starts a server on the test's database; gives a client of it."""
    with ExitStack() as stack:

        def start(*, webhooks: bool = True, local: bool = True) -> httpx.Client:
            settings = ApiSettings.model_validate(
                {
                    "home": tmp_path,
                    "database_url": database_url,
                    "api_key": key,
                    "webhooks": webhooks,
                    "webhooks_local": local,
                }
            )
            listener = stack.enter_context(
                socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            )
            listener.bind(("127.0.0.1", 0))
            listener.listen()  # who comes before the server is ready waits
            server = Server(uvicorn.Config(create_app(settings), log_config=None, ws="none"))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)
            return stack.enter_context(
                httpx.Client(
                    base_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
                    headers={"Authorization": f"Bearer {key}"},
                )
            )

        yield start


@pytest.fixture
def state(database_url: str) -> Iterator[Database]:
    """The server's database."""
    opened = Database(database_url)
    yield opened
    opened.dispose()

"""An application of a test's own settings behind a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from alphagrad.api.app import create_app
from alphagrad.api.server import Server
from alphagrad.api.settings import ApiSettings


@contextmanager
def serving(settings: ApiSettings, **config: Any) -> Iterator[str]:
    """Serves until the end of the block; gives the URL."""
    with serving_app(create_app(settings), **config) as url:
        yield url


@contextmanager
def serving_app(app: FastAPI, **config: Any) -> Iterator[str]:
    """The same of an application."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # who comes before the server waits for it
        server = Server(uvicorn.Config(app, log_config=None, lifespan="on", ws="none", **config))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()

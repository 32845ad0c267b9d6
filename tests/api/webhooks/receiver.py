"""A real HTTP server that takes webhooks, or does not."""

from __future__ import annotations

import base64
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Delivery:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """What the body says, which has the event twice: as a type and as data."""
        message = json.loads(self.body)
        assert message.keys() == {"type", "timestamp", "data"}
        assert message["type"] == message["data"]["kind"]
        assert message["timestamp"] == message["data"]["at"]
        event: dict[str, Any] = message["data"]
        return event

    def is_signed_with(self, secret: str) -> bool:
        """As the Standard Webhooks specification says a receiver should check it."""
        at = self.headers["webhook-timestamp"]
        content = b".".join([self.headers["webhook-id"].encode(), at.encode(), self.body])
        key = base64.b64decode(secret.removeprefix("whsec_"))
        good = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
        return self.headers["webhook-signature"] == f"v1,{good}" and abs(int(at) - time.time()) < 60


@dataclass
class Receiver:
    """Listens on a free port of loopback; a context manager.

    Args:
        answer: the status for a delivery, and headers; 204 by default.
        tls: for HTTPS.
    """

    answer: Callable[[Delivery], tuple[int, dict[str, str]]] = lambda delivery: (204, {})
    tls: ssl.SSLContext | None = None
    deliveries: list[Delivery] = field(default_factory=list)

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                delivery = Delivery(self.path, headers, body)
                receiver.deliveries.append(delivery)
                status, more = receiver.answer(delivery)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.server_address[1]
        return port

    @property
    def states(self) -> list[tuple[str, str | None]]:
        """Kinds and states of what came, in the order it came."""
        return [(one.event["kind"], one.event.get("state")) for one in self.deliveries]

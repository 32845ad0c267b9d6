"""How long a request's body may be, and how long it may take."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alphagrad.api.problems import problem

BODY_SECONDS = 60.0


class BodyLimit:
    """ASGI middleware: 413 for a body that is too long, whether or not it says so first.

    A body is read whole before the application sees the request; none of ours is a stream.

    Args:
        app: what to protect.
        most: how many bytes are read.
    """

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413, or 408 if the body does not come whole."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers({})
        length = headers.get("content-length", "0")
        if "transfer-encoding" not in headers and length in ("0", ""):
            await self._app(scope, receive, send)
            return
        if length.isdecimal() and int(length) > self._most:
            await self._too_large()(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._read(receive)
        except TimeoutError:
            await _too_slow(f"within {BODY_SECONDS:.0f} s")(scope, receive, send)
            return
        except ClientDisconnect:  # nobody reads the answer, but logs have it
            await _too_slow("before its sender went")(scope, receive, send)
            return
        if body is None:
            await self._too_large()(scope, receive, send)
            return
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The body; ``None`` if it is too long.

        Raises:
            ClientDisconnect: the connection ended before the body did.
        """
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._most:
                return None
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> Response:
        detail = f"a body may have {self._most} bytes; ALPHAGRAD_MAX_BODY_BYTES allows more"
        # What is left of the body stays unread, so the connection is of no more use.
        return problem(413, "body-too-large", detail, headers={"Connection": "close"})


def _too_slow(when: str) -> Response:
    return problem(408, "request-timeout", f"the body did not come {when}")

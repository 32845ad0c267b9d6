"""An application that answers in this process: httpx's way to it, without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack

import anyio
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from starlette.types import Message, Scope

BUFFERED_PIECES = 16
"""An answer that is streamed waits for its reader after so many pieces."""


class InProcess(httpx.BaseTransport):
    """Sends requests to an application that runs in an event loop on a thread of its own.

    Args:
        app: the application; it is started here, and shut down by :meth:`close`.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            life = app.router.lifespan_context(app)
            stack.enter_context(self._portal.wrap_async_context_manager(life))
            self._running = stack.pop_all()
        self._open: set[_Answer] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Let the application answer a request; an exception of its own is raised here."""
        answer = _Answer(self._portal, request, self._open)
        self._portal.start_task_soon(answer.run, self._app)
        try:
            status, headers = answer.head.result()
        except BaseException:
            answer.close()
            raise
        return httpx.Response(status, headers=headers, stream=answer)

    def close(self) -> None:
        """Shut the application down; answers that were not read to their end are cut off."""
        for answer in list(self._open):
            answer.close()
        self._running.close()


class _Answer(httpx.SyncByteStream):
    """One request on its way through the application, and the body that comes back."""

    def __init__(self, portal: BlockingPortal, request: httpx.Request, among: set[_Answer]) -> None:
        self.head: Future[tuple[int, list[tuple[bytes, bytes]]]] = Future()
        self._portal = portal
        self._request = request
        self._content: bytes | None = request.read()
        self._sent: Message = {}
        self._error: Exception | None = None
        self._among = among
        self._gone = portal.call(anyio.Event)
        pieces = portal.call(anyio.create_memory_object_stream[bytes], BUFFERED_PIECES)
        self._put, self._pieces = pieces
        among.add(self)

    async def run(self, app: FastAPI) -> None:
        """Run the application on the request."""
        url = self._request.url
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": self._request.method,
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port),
            "client": ("127.0.0.1", 0),
            "root_path": "",
        }
        async with self._put:
            try:
                await app(scope, self._receive, self._send)
            except Exception as error:  # noqa: BLE001  (it is raised where the answer is read)
                if self.head.done():
                    self._error = error
                else:
                    self.head.set_exception(error)  # tells more than the error 500 that was sent
            else:
                if not self.head.done():
                    self.head.set_result((self._sent["status"], list(self._sent["headers"])))

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                yield self._portal.call(self._pieces.receive)
            except anyio.EndOfStream:
                if self._error is not None:  # as a connection that breaks in the middle
                    raise httpx.ReadError(repr(self._error)) from self._error
                return

    def close(self) -> None:
        """The reader wants no more."""
        self._among.discard(self)
        try:
            self._portal.call(self._leave)
        except RuntimeError:  # the application was shut down before
            self._pieces.close()

    async def _leave(self) -> None:
        self._gone.set()
        self._pieces.close()

    async def _receive(self) -> Message:
        if self._content is not None:
            body, self._content = self._content, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._sent = message
            return
        if not self.head.done() and self._sent["status"] != 500:
            self.head.set_result((self._sent["status"], list(self._sent["headers"])))
        try:
            if message.get("body"):
                await self._put.send(message["body"])
        except anyio.BrokenResourceError:
            self._gone.set()

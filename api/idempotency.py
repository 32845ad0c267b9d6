"""``Idempotency-Key``: what is sent again is answered as the first time, and done once."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alphagrad.api.problems import database_away, problem
from alphagrad.tuner import idempotency
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import FieldError
from alphagrad.tuner.idempotency import HOLD_SECONDS, MismatchError, StoredAnswer

logger = logging.getLogger(__name__)

HEADER = "idempotency-key"
METHODS = ("POST", "PATCH")
"""Those that take a key; GET, PUT and DELETE do no more when they are sent again."""
KEY = re.compile(r"[!-~]{1,255}")
WAIT_SECONDS = 10.0
"""So long a repeated request waits for the first one's answer."""
POLL_SECONDS = 0.05
MOST_POLL_SECONDS = 1.0
"""The pauses double up to this, while another process executes the first one."""
FORGET_SECONDS = 600.0
NOT_KEPT = (b"content-length", b"date", b"server", b"x-request-id")

Result = TypeVar("Result")


class IdempotencyKeys:
    """ASGI middleware: a POST or PATCH under ``/v1`` with a key is executed once.

    What was not the server's fault is kept for a day, so that it comes again; after an error of the
    server's own, or when it was told to wait, the request may be sent anew. It stands behind the
    check of the API key, whose holders each have keys of their own.

    Args:
        app: what executes requests.
        database: where answers are kept.
    """

    def __init__(self, app: ASGIApp, *, database: Database) -> None:
        self._app = app
        self._database = database
        self._forget_at = 0.0
        self._executing: dict[tuple[str, str], asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer in its place."""
        if (
            scope["type"] != "http"
            or scope["method"] not in METHODS
            or not scope["path"].startswith("/v1/")
        ):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        key = request.headers.get(HEADER)
        if key is None or not _is_routed(scope):
            await self._app(scope, receive, send)
            return
        if KEY.fullmatch(key) is None:
            message = "must be 1 to 255 visible ASCII characters"
            answer: Response = problem(
                422,
                "invalid",
                f"Idempotency-Key: {message}",
                errors=[FieldError("Idempotency-Key", key, message)],
            )
            await answer(scope, receive, send)
            return
        body = await request.body()
        place = {"scope": _scope_of(request), "key": key}
        try:
            turn = await self._turn(place, _fingerprint(scope, body))
        except MismatchError:
            answer = problem(
                422,
                "idempotency-mismatch",
                f"the Idempotency-Key {key!r} belongs to another request: each needs its own",
            )
        except DBAPIError as error:
            answer = database_away(error)
        else:
            if turn.holder is not None:
                await self._execute(scope, body, send, place | {"holder": turn.holder}, receive)
                return
            if turn.answer is not None:
                answer = _replayed(turn.answer)
            else:
                answer = problem(
                    409,
                    "idempotency-in-progress",
                    f"the request with the Idempotency-Key {key!r} is still being executed",
                    headers={"Retry-After": "1"},
                )
        await answer(scope, receive, send)

    async def _turn(self, place: dict[str, str], fingerprint: str) -> idempotency.Turn:
        give_up_at = time.monotonic() + WAIT_SECONDS
        pause = POLL_SECONDS
        while True:
            turn = await self._run(idempotency.take, **place, fingerprint=fingerprint)
            left = give_up_at - time.monotonic()
            if turn.holder or turn.answer or left <= 0:
                return turn
            # What this process executes says itself when it has ended: no need to ask the database.
            executing = self._executing.get((place["scope"], place["key"]))
            if executing is None:
                await asyncio.sleep(pause)
                pause = min(2 * pause, MOST_POLL_SECONDS)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(executing.wait(), left)

    async def _execute(
        self, scope: Scope, body: bytes, send: Send, place: dict[str, str], receive: Receive
    ) -> None:
        messages: list[Message] = []
        given = False

        async def read() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Message) -> None:
            messages.append(message)

        answer: StoredAnswer | None = None
        with self._announced(place):
            holding = asyncio.create_task(self._hold(place))
            try:
                await self._app(scope, read, collect)
                answer = _stored(messages)
            finally:
                holding.cancel()
                with suppress(asyncio.CancelledError):
                    await holding
                # Before the answer is on its way: who has it can send the request again.
                try:
                    await self._run(idempotency.keep, **place, answer=answer)
                except DBAPIError as error:
                    logger.error("the answer of a request with a key was not kept: %s", error.orig)
        for message in messages:
            await send(message)
        await self._forget()

    @contextmanager
    def _announced(self, place: dict[str, str]) -> Iterator[None]:
        """Let those that wait for the request in this process know when it has ended."""
        name = place["scope"], place["key"]
        ended = self._executing[name] = asyncio.Event()
        try:
            yield
        finally:
            ended.set()
            if self._executing.get(name) is ended:  # the next one may have begun
                del self._executing[name]

    async def _hold(self, place: dict[str, str]) -> None:
        while True:
            await asyncio.sleep(HOLD_SECONDS / 3)
            with suppress(DBAPIError):
                await self._run(idempotency.hold, **place)

    async def _forget(self) -> None:
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + FORGET_SECONDS
            with suppress(DBAPIError):
                await self._run(idempotency.forget_old)

    async def _run(self, what: Callable[..., Result], **options: Any) -> Result:
        return await run_in_threadpool(partial(what, self._database, **options))


def _is_routed(scope: Scope) -> bool:
    """Whether a route takes the request; what ends as 404 or 405 executes nothing, with any key."""
    return any(route.matches(scope)[0] is Match.FULL for route in scope["app"].routes)


def _scope_of(request: Request) -> str:
    principal = getattr(request.state, "principal", None)
    key_id = getattr(principal, "key_id", None)
    if key_id is not None:
        return f"key:{key_id}"
    return hashlib.sha256(request.headers.get("authorization", "").encode()).hexdigest()


def _fingerprint(scope: Scope, body: bytes) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    method: str = scope["method"]
    said = hashlib.sha256(method.encode() + b" " + path + b"?" + scope["query_string"] + b"\n")
    said.update(body)
    return said.hexdigest()


def _stored(messages: list[Message]) -> StoredAnswer | None:
    """What is kept of an answer: nothing of one that asks to try again."""
    status: int = messages[0]["status"]
    if status >= 500 or status == 429:
        return None
    headers = [
        [name.decode("latin-1"), value.decode("latin-1")]
        for name, value in messages[0]["headers"]
        if name.lower() not in NOT_KEPT
    ]
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return StoredAnswer(status=status, headers=headers, body=body)


def _replayed(answer: StoredAnswer) -> Response:
    response = Response(answer.body, status_code=answer.status)
    for name, value in answer.headers:
        response.headers.append(name, value)
    response.headers["Idempotency-Replayed"] = "true"
    return response

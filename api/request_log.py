"""A request's id, its line in the log, and its time."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alphagrad.api.problems import problem
from alphagrad.api.prometheus import Monitor
from alphagrad.tuner.log_format import about

logger = logging.getLogger("alphagrad.api.requests")

HEADER = "X-Request-Id"
SANE = re.compile(r"[A-Za-z0-9._~-]{1,64}")
OWN_WORDS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
QUIET = ("GET", "HEAD")


class RequestLog:
    """ASGI middleware, outside of all but one: gives each request an id and says what became of it.

    An id that the caller sends is taken over if it is up to 64 letters, digits and ``._~-``. What
    only reads is logged at DEBUG, since the page asks often; the rest, and what fails, at INFO.

    Args:
        app: what answers.
        monitor: is told how long it took.
    """

    def __init__(self, app: ASGIApp, *, monitor: Monitor) -> None:
        self._app = app
        self._monitor = monitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if SANE.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 0
        streams = False

        async def mark(message: Message) -> None:
            nonlocal status, streams
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                streams = headers.get("content-type", "").startswith("text/event-stream")
            await send(message)

        with about(request_id=request_id):
            try:
                await self._app(scope, receive, mark)
            except Exception:
                if status:
                    raise
                logger.exception("an error of the server's own")
                detail = "an error of the server's own; its log has more"
                await problem(500, "internal", detail)(scope, receive, mark)
            finally:
                self._note(scope, status or 500, time.perf_counter() - started, streams=streams)

    def _note(self, scope: Scope, status: int, seconds: float, *, streams: bool) -> None:
        route = getattr(scope.get("route"), "path_format", None) or "other"
        method = scope["method"] if scope["method"] in OWN_WORDS else "other"
        if not streams:  # which are as long as who listens likes
            self._monitor.requests.labels(method, route, str(status)).observe(seconds)
        quiet = method in QUIET and status < 500
        logger.log(
            logging.DEBUG if quiet else logging.INFO,
            "%s %s %d in %.1f ms",
            method,
            route,
            status,
            1000 * seconds,
            extra={"method": method, "route": route, "status": status, "seconds": seconds},
        )

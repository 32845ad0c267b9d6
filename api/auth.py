"""Who makes a request: a bearer key for everything, a cookie for reading in a browser."""

from __future__ import annotations

from urllib.parse import quote

from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from alphagrad.api.keys import KeyRing, hash_key
from alphagrad.api.principal import Principal
from alphagrad.api.problems import problem
from alphagrad.api.roles import BROWSERS, READING
from alphagrad.api.sessions import Sessions, cookie_name
from alphagrad.tuner.database import is_outage

OPEN_PATHS = ("/healthz", "/readyz", "/login")


class RequireKey:
    """ASGI middleware: no path but health and login answers without a key.

    It finds out who asks, as ``request.state.principal``; what they may do is decided further in.
    A cookie is good for reading alone, so that no other site's page can make a browser write.
    """

    def __init__(self, app: ASGIApp, *, keys: KeyRing, sessions: Sessions) -> None:
        self._app = app
        self._keys = keys
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 (a browser is sent to the login page)."""
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets are served
        request = Request(scope)
        try:
            principal = await self._principal(request)
        except DBAPIError as error:
            if not is_outage(error):
                raise
            answer: Response = problem(
                503, "database-away", "the database does not answer; try again"
            )
        else:
            if principal is not None:
                scope.setdefault("state", {})["principal"] = principal
                await self._app(scope, receive, send)
                return
            answer = _unauthorized(request)
        await answer(scope, receive, send)

    async def _principal(self, request: Request) -> Principal | None:
        hashed = self._hash(request)
        if hashed is None:
            return None
        # From memory without changing threads, which is how nearly all requests go.
        return self._keys.known(hashed) or await run_in_threadpool(self._keys.find, hashed)

    def _hash(self, request: Request) -> str | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme:
            return hash_key(key.strip()) if scheme.lower() == "bearer" else None
        if request.method not in READING and request.url.path not in BROWSERS:
            return None
        return self._sessions.key_hash(request.cookies.get(cookie_name(request), ""))


def _unauthorized(request: Request) -> Response:
    path = request.url.path
    reads = request.method in READING
    if (reads or path in BROWSERS) and "text/html" in request.headers.get("accept", ""):
        wanted = f"{path}?{request.url.query}" if request.url.query else path
        return RedirectResponse(f"/login?next={quote(wanted)}" if reads else "/login", 303)
    return problem(
        401,
        "unauthorized",
        "send the API key: 'Authorization: Bearer <key>'",
        headers={"WWW-Authenticate": "Bearer"},
    )

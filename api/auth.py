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
from alphagrad.api.problems import database_away, problem
from alphagrad.api.roles import BROWSERS, READING
from alphagrad.api.sessions import Sessions
from alphagrad.api.wrong_keys import WrongKeys

OPEN_PATHS = ("/healthz", "/readyz", "/login")


class RequireKey:
    """ASGI middleware: no path but health and login answers without a key.

    It finds out who asks, as ``request.state.principal``; what they may do is decided further in.
    A cookie is good for reading alone, so that no other site's page can make a browser write.
    """

    def __init__(
        self, app: ASGIApp, *, keys: KeyRing, sessions: Sessions, wrong_keys: WrongKeys
    ) -> None:
        self._app = app
        self._keys = keys
        self._sessions = sessions
        self._wrong_keys = wrong_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 (a browser is sent to the login page)."""
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets are served
        request = Request(scope)
        try:
            found = await self._identify(request)
        except DBAPIError as error:
            found = database_away(error)
        if isinstance(found, Principal):
            scope.setdefault("state", {})["principal"] = found
            await self._app(scope, receive, send)
        else:
            await found(scope, receive, send)

    async def _identify(self, request: Request) -> Principal | Response:
        """Who asks, or what to answer instead."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return await self._browser(request)
        if scheme.lower() != "bearer":
            return _unauthorized(request)
        refusal = self._wrong_keys.refusal(request.scope)
        if refusal is not None:
            return refusal
        hashed = hash_key(key.strip())
        # A monitor that knows its key is told that the database is away.
        found = await self._find(hashed, remembering=request.url.path == "/metrics")
        if found is None:
            self._wrong_keys.note(request.scope, hashed)
        return found or _unauthorized(request)

    async def _browser(self, request: Request) -> Principal | Response:
        found = None
        if request.method in READING or request.url.path in BROWSERS:
            hashed = self._sessions.key_hash(self._sessions.cookie_of(request))
            found = None if hashed is None else await self._find(hashed)
        return found or _unauthorized(request)

    async def _find(self, hashed: str, *, remembering: bool = False) -> Principal | None:
        # From memory without changing threads, which is how nearly all requests go.
        known = self._keys.known(hashed)
        if known is not None:
            return known
        try:
            return await run_in_threadpool(self._keys.find, hashed)
        except DBAPIError:
            known = self._keys.remembered(hashed) if remembering else None
            if known is None:
                raise
            return known


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

"""Who may do what: a bearer key for everything, a cookie for reading in a browser."""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from alphagrad.api.keys import KeyCheck, hash_key
from alphagrad.api.problems import problem

COOKIE = "alphagrad_session"
SESSION_SECONDS = 30 * 24 * 3600
SECRET_BYTES = 32
OPEN_PATHS = ("/healthz", "/readyz", "/login")
READING = ("GET", "HEAD")


class Sessions:
    """Cookies that stand for a key, signed with a secret of this installation.

    Args:
        home: the folder that keeps the secret, readable by its owner alone.
    """

    def __init__(self, home: Path) -> None:
        self._secret = _secret(home / "session-secret")

    def issue(self, key: str) -> str:
        """A cookie's value for a key that was checked."""
        body = f"{hash_key(key)}.{int(time.time()) + SESSION_SECONDS}"
        return f"{body}.{self._sign(body)}"

    def key_hash(self, cookie: str) -> str | None:
        """The hash of the key a cookie stands for; ``None`` if forged or too old."""
        body, _, signature = cookie.rpartition(".")
        hashed, _, expires = body.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return None
        return hashed if expires.isdecimal() and int(expires) > time.time() else None

    def _sign(self, body: str) -> str:
        return hmac.new(self._secret, body.encode(), "sha256").hexdigest()


class RequireKey:
    """ASGI middleware: no path but health and login answers without the key.

    A cookie is good for reading alone, so that no other site's page can make a browser write.
    """

    def __init__(self, app: ASGIApp, *, keys: KeyCheck, sessions: Sessions) -> None:
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
        if await run_in_threadpool(self._allowed, request):
            await self._app(scope, receive, send)
        elif request.method in READING and "text/html" in request.headers.get("accept", ""):
            await RedirectResponse(f"/login?next={quote(request.url.path)}", 303)(
                scope, receive, send
            )
        else:
            answer = problem(
                401,
                "unauthorized",
                "send the API key: 'Authorization: Bearer <key>'",
                headers={"WWW-Authenticate": "Bearer"},
            )
            await answer(scope, receive, send)

    def _allowed(self, request: Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme:
            return scheme.lower() == "bearer" and self._keys(key.strip())
        if request.method not in READING:
            return False
        hashed = self._sessions.key_hash(request.cookies.get(COOKIE, ""))
        return hashed is not None and self._keys.has_hash(hashed)


def _secret(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_size < SECRET_BYTES:
        path.unlink(missing_ok=True)
        # Whole before it has its name: a crash must not leave an empty secret.
        with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # readable by its owner alone
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            with suppress(FileExistsError):  # another process was first
                os.link(file.name, path)
    return path.read_bytes()

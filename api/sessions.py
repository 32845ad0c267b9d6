"""Cookies that stand for a key: good for reading in a browser, and no longer than the key."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from alphagrad.api.keys import hash_key

SESSION_SECONDS = 30 * 24 * 3600
SECRET_BYTES = 32


class Sessions:
    """Cookies that stand for a key, signed with a secret of this installation.

    A cookie names the key's hash, so it is worth nothing once the key is rotated or revoked.

    Args:
        home: the folder that keeps the secret, readable by its owner alone.

    Attributes:
        cookie: the cookie's name. Browsers know no ports: services of one host, or behind tunnels
            to one, would take each other's away, had they not each a name of their own.
    """

    def __init__(self, home: Path) -> None:
        self._secret = _secret(home / "session-secret")
        self.cookie = f"alphagrad_session_{hashlib.sha256(self._secret).hexdigest()[:8]}"

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

    def cookie_of(self, request: Request) -> str:
        """The value of a browser's cookie, empty without one."""
        return request.cookies.get(self._name(request), "")

    def set_cookie(self, request: Request, answer: Response, value: str) -> None:
        """Give a browser its cookie."""
        answer.set_cookie(
            self._name(request),
            value,
            max_age=SESSION_SECONDS,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )

    def clear_cookie(self, request: Request, answer: Response) -> None:
        """Take it away again."""
        answer.delete_cookie(
            self._name(request),
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )

    def _name(self, request: Request) -> str:
        """Over https a name that browsers take from this very host alone."""
        return f"__Host-{self.cookie}" if request.url.scheme == "https" else self.cookie

    def _sign(self, body: str) -> str:
        return hmac.new(self._secret, body.encode(), "sha256").hexdigest()


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

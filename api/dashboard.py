"""The Optuna dashboard on our port, for reading.

Its paths are absolute, so it cannot be mounted under a prefix: the paths it knows are handed to
its WSGI application as they are. Its page is given a script that leads back to ours.
"""

from __future__ import annotations

from a2wsgi import WSGIMiddleware
from optuna_dashboard import wsgi
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alphagrad.api.problems import problem
from alphagrad.api.web_files import PREFIX
from alphagrad.tuner.optuna_storage import OptunaStorage

PREFIXES = ("/dashboard/", "/static/", "/api/", "/artifacts/", "/csv/")
PATHS = ("/dashboard", "/favicon.ico")
_BACK = f'<script type="module" src="{PREFIX}/back.js"></script></body>'.encode()


class Dashboard:
    """ASGI application: the dashboard where it knows the path, 404 elsewhere.

    Only GET and HEAD pass: studies are changed over our own API alone.
    """

    def __init__(self, optuna_storage: OptunaStorage) -> None:
        self._app: ASGIApp = WSGIMiddleware(wsgi(optuna_storage.rdb))  # type: ignore[assignment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if path not in PATHS and not path.startswith(PREFIXES):
            await problem(404, "not-found", f"there is nothing at {path}")(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            answer = problem(
                405,
                "method-not-allowed",
                "the dashboard is read-only here; use /v1 to change studies",
                headers={"Allow": "GET, HEAD"},
            )
            await answer(scope, receive, send)
        else:
            # It would compress by itself and state the length of the uncompressed text.
            left_out = {b"accept-encoding"}
            if path == "/dashboard" or path.startswith("/dashboard/"):
                send = _WithWayBack(send)
                # Its dates and tags are those of the page without our script.
                left_out |= {b"if-modified-since", b"if-none-match", b"range"}
            headers = [(k, v) for k, v in scope["headers"] if k not in left_out]
            headers.append((b"accept-encoding", b"identity"))
            await self._app({**scope, "root_path": "", "headers": headers}, receive, send)


class _WithWayBack:
    """Sends an answer on; a page with our script at its end."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        assert self._start is not None
        headers = MutableHeaders(raw=self._start["headers"])
        if headers.get("content-type", "").startswith("text/html"):
            self._body = self._body.replace(b"</body>", _BACK)
            if "content-length" in headers:  # also of an answer to HEAD, which has no body
                longer = int(headers["content-length"]) + len(_BACK) - len(b"</body>")
                headers["content-length"] = str(longer)
        await self._send({**self._start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": self._body})

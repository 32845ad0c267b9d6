"""The Optuna dashboard on our port, for reading.

Its paths are absolute, so it cannot be mounted under a prefix: the paths it knows are handed to
its WSGI application as they are. Its page is given a script that leads back to ours, and a policy.
"""

from __future__ import annotations

from threading import Lock

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alphagrad.api.problems import problem
from alphagrad.api.web_files import PREFIX
from alphagrad.tuner.optuna_storage import OptunaStorage

PREFIXES = ("/dashboard/", "/static/", "/api/", "/artifacts/", "/csv/")
PATHS = ("/dashboard", "/favicon.ico")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the dashboard's page may load: its own script, and nothing of another host."""
_BACK = f'<script type="module" src="{PREFIX}/back.js"></script></body>'.encode()


class Dashboard:
    """ASGI application: the dashboard where it knows the path, 404 elsewhere.

    Only GET and HEAD pass: studies are changed over our own API alone.
    """

    def __init__(self, optuna_storage: OptunaStorage) -> None:
        self._optuna_storage = optuna_storage
        self._app: ASGIApp | None = None
        self._making = Lock()

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
                send = _OurPage(send)
                # Its dates and tags are those of the page without our script.
                left_out |= {b"if-modified-since", b"if-none-match", b"range"}
            headers = [(k, v) for k, v in scope["headers"] if k not in left_out]
            headers.append((b"accept-encoding", b"identity"))
            app = await run_in_threadpool(self.make) if self._app is None else self._app
            await app({**scope, "root_path": "", "headers": headers}, receive, send)

    def make(self) -> ASGIApp:
        """The application of the dashboard, made when it is first asked for.

        It imports scikit-learn, which takes longer than all else, and may never be asked for.
        """
        with self._making:
            if self._app is not None:
                return self._app
            from a2wsgi import WSGIMiddleware
            from optuna_dashboard import wsgi

            app: ASGIApp = WSGIMiddleware(wsgi(self._optuna_storage.rdb))  # type: ignore[assignment]
            self._app = app
            return app


class _OurPage:
    """Sends an answer on, with our policy; a page with our script at its end."""

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
        headers["Content-Security-Policy"] = POLICY
        if headers.get("content-type", "").startswith("text/html"):
            self._body = self._body.replace(b"</body>", _BACK)
            if "content-length" in headers:  # also of an answer to HEAD, which has no body
                longer = int(headers["content-length"]) + len(_BACK) - len(b"</body>")
                headers["content-length"] = str(longer)
        await self._send({**self._start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": self._body})

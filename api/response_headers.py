"""Headers that every answer has: how a browser is to treat it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": a form of ours would then be sent from the origin "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""What is no page loads and runs nothing, if somebody opens it in a browser all the same."""
PAGE_POLICY = "frame-ancestors 'none'"
"""Of pages that do not say more."""
FILES = ("/static/", "/static-ui/", "/favicon.ico")
"""What is the same for all who have a key, and may stay in a browser."""


class ResponseHeaders:
    """ASGI middleware: adds what an answer does not say by itself; nothing of data is kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add to the answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                complete(
                    MutableHeaders(scope=message), path=scope["path"], status=message["status"]
                )
            await send(message)

        await self._app(scope, receive, with_headers)


def complete(headers: MutableHeaders, *, path: str, status: int) -> None:
    """Add what is missing to an answer's headers."""
    for name, value in ALWAYS.items():
        headers.setdefault(name, value)
    is_page = headers.get("content-type", "").startswith("text/html")
    headers.setdefault("Content-Security-Policy", PAGE_POLICY if is_page else DATA_POLICY)
    if status >= 400 or not path.startswith(FILES):
        headers.setdefault("Cache-Control", "no-store")

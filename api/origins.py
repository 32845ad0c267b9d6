"""Pages of other sites: what their browser says of itself is looked at before any key."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from alphagrad.api.problems import problem, shown
from alphagrad.api.roles import READING

OWN_SITES = ("same-origin", "none")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class SameOrigin:
    """ASGI middleware: refuses what a page of another origin makes a browser send.

    Another port of this machine is another origin. No answer ever grants CORS. A link from
    another site is followed, as reading only, and without the strict cookie.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            refused = foreign(headers, reads=scope["method"] in READING)
            if refused is not None:
                detail = f"this service does not answer to pages of other sites: {refused}"
                await problem(403, "foreign-origin", detail)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def foreign(headers: Headers, *, reads: bool) -> str | None:
    """The header that tells of another site's page, ``None`` without one.

    Example:
        >>> foreign(Headers({"host": "lab:8000", "origin": "http://lab:8000"}), reads=False)
        >>> foreign(Headers({"host": "lab:8000", "origin": "http://lab:9000"}), reads=True)
        "Origin 'http://lab:9000'"
    """
    for origin in headers.getlist("origin"):
        if not _is_own(origin, headers.get("host", "")):
            return f"Origin {shown(origin)!r}"
    for site in headers.getlist("sec-fetch-site"):
        follows_link = reads and headers.get("sec-fetch-mode") == "navigate"
        if site.lower() not in OWN_SITES and not follows_link:
            return f"Sec-Fetch-Site {shown(site)!r}"
    return None


def _is_own(origin: str, host: str) -> bool:
    """Whether an origin is where the request went; a proxy may have spoken https with it."""
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    port = DEFAULT_PORTS.get(parts.scheme)
    if port is None or origin.lower() != f"{parts.scheme}://{parts.netloc}":
        return False
    return parts.netloc.removesuffix(port) == host.lower().removesuffix(port)

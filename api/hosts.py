"""The first look at a request: is it made to us, by a path that means one thing alone."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from alphagrad.api.problems import problem

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class AllowedHosts:
    """ASGI middleware: answers only requests made to one of our own names.

    Against DNS rebinding: a page of another name cannot use us. A path with a control character is
    refused too: a route takes ``/v1/audit`` with a newline behind it for ``/v1/audit``, and no
    other check does.

    Args:
        app: what to protect.
        names: host names without a port; an IPv6 address with or without its brackets.
    """

    def __init__(self, app: ASGIApp, *, names: Collection[str]) -> None:
        self._app = app
        self._names = {name.strip("[]").lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400."""
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "")
            if _name(host) not in self._names:
                detail = f"this service does not answer to the host {host!r}"
                await problem(400, "unknown-host", detail)(scope, receive, send)
                return
            if CONTROL.search(scope["path"]):
                detail = f"the path {scope['path']!r} has a control character"
                await problem(400, "malformed-path", detail)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()

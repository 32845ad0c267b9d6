"""How many requests a key may make."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from alphagrad.api.buckets import Buckets
from alphagrad.api.principal import Principal
from alphagrad.api.wrong_keys import rate_limited


class RateLimit:
    """ASGI middleware behind :class:`~alphagrad.api.auth.RequireKey`: 429 for a key too busy.

    A key's bucket holds a minute's requests and is filled evenly. Each process has its own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._buckets = Buckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429."""
        principal: Principal | None = scope.get("state", {}).get("principal")
        if scope["type"] == "http" and principal is not None:
            limit = principal.max_requests_per_minute
            seconds = self._buckets.take(principal.key_id, per_minute=limit)
            if seconds:
                why = f"key {principal.name!r} made more than {limit} requests a minute"
                await rate_limited(seconds, why)(scope, receive, send)
                return
        await self._app(scope, receive, send)

"""What goes into the audit log: every request that was to change something."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alphagrad.api.authorize import STUDIES
from alphagrad.api.buckets import Buckets
from alphagrad.api.principal import Principal
from alphagrad.api.recorder import Recorder
from alphagrad.api.roles import READING
from alphagrad.api.wrong_keys import client_address
from alphagrad.tuner.audit import Entry
from alphagrad.tuner.spec import NAME_PATTERN

ROUTINE = re.compile(r"/trials(:ask|/[0-9]+:(heartbeat|report))")
"""What clients that wait, and trials, say every few seconds; recorded only if it is refused. Who
was given a trial is among its attempts."""

LIMITED_PER_MINUTE = 10
"""Of a key that is too busy; the rest would fill the log."""


class AuditLog:
    """ASGI middleware behind :class:`~alphagrad.api.auth.RequireKey`: records writes.

    Those that fail are recorded too. A key's use is noted here, of reading as well.
    """

    def __init__(self, app: ASGIApp, *, recorder: Recorder) -> None:
        self._app = app
        self._recorder = recorder
        self._limited = Buckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record its answer."""
        principal: Principal | None = scope.get("state", {}).get("principal")
        if scope["type"] != "http" or principal is None:
            await self._app(scope, receive, send)
            return
        self._recorder.used(principal.key_id)
        if scope["method"] in READING:
            await self._app(scope, receive, send)
            return
        status = 500  # unless there is an answer

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            if self._is_recorded(scope, principal, status):
                self._recorder.add(_entry(scope, principal, status))

    def _is_recorded(self, scope: Scope, principal: Principal, status: int) -> bool:
        if status == 429:
            return self._limited.take(principal.key_id, per_minute=LIMITED_PER_MINUTE) == 0
        return status >= 400 or not ROUTINE.search(scope["path"])


def _entry(scope: Scope, principal: Principal, status: int) -> Entry:
    path: str = scope["path"]
    study = re.split("[:/]", path.removeprefix(STUDIES), maxsplit=1)[0]
    is_study = path.startswith(STUDIES) and re.fullmatch(NAME_PATTERN, study)
    return Entry(
        age=0.0,
        key_name=principal.name,
        role=principal.role,
        method=scope["method"],
        path=path,
        study=study if is_study else None,
        status=status,
        request_id=scope["state"].get("request_id"),
        client=client_address(scope),
    )

"""What a key may do: its role by the route, and on studies by who submitted them."""

from __future__ import annotations

import re

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from alphagrad.api.principal import Principal
from alphagrad.api.problems import database_away, problem, shown
from alphagrad.api.roles import READING, needed_role
from alphagrad.tuner.database import Database
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.spec import NAME_PATTERN

STUDIES = "/v1/studies/"
READING_VERBS = (":clone",)
"""What is posted to a study and leaves it as it is."""


class Authorize:
    """ASGI middleware behind :class:`~alphagrad.api.auth.RequireKey`: 403 for what a key may not.

    A submitter changes its own studies, and those that no key submitted; an admin changes all.
    """

    def __init__(self, app: ASGIApp, *, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403, or 503 while the database is away."""
        principal: Principal | None = scope.get("state", {}).get("principal")
        if scope["type"] != "http" or principal is None:
            await self._app(scope, receive, send)  # a path that needs no key
            return
        refusal = await self._refusal(principal, scope["method"], scope["path"])
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, principal: Principal, method: str, path: str) -> Response | None:
        needed = needed_role(method, path)
        if not principal.may(needed):
            article = "an" if needed == "admin" else "a"
            return problem(
                403,
                "forbidden",
                f"key {principal.name!r} is a {principal.role}'s: {method} {shown(path)} needs "
                f"{article} {needed}'s",
            )
        study = changed_study(method, path)
        if study is None or principal.role == "admin":
            return None
        try:
            owner = await run_in_threadpool(self._owner, study)
        except DBAPIError as error:  # the key was still in memory
            return database_away(error)
        if owner is None or owner == principal.name:
            return None
        return problem(
            403,
            "forbidden",
            f"study {study!r} is of key {owner!r}: to change it takes that key or an admin's, and "
            f"{principal.name!r} is a {principal.role}'s",
        )

    def _owner(self, study: str) -> str | None:
        with self._database.read() as session:
            return session.scalar(select(StudyRow.owner).where(StudyRow.name == study))


def changed_study(method: str, path: str) -> str | None:
    """The study that a request is to change, if it is to change one.

    Example:
        >>> changed_study("POST", "/v1/studies/bar/trials:ask")
        'bar'
        >>> changed_study("POST", "/v1/studies/bar:clone") is None
        True
    """
    if method in READING or not path.startswith(STUDIES):
        return None
    segment, _, below = path.removeprefix(STUDIES).partition("/")
    if not below and segment.endswith(READING_VERBS):
        return None
    name = segment.partition(":")[0]
    return name if re.fullmatch(NAME_PATTERN, name) else None  # no study has another name

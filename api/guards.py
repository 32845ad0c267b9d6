"""What a request passes before its route."""

from __future__ import annotations

from fastapi import FastAPI

from alphagrad.api.audit_log import AuditLog
from alphagrad.api.auth import RequireKey
from alphagrad.api.authorize import Authorize
from alphagrad.api.body_limit import BodyLimit
from alphagrad.api.hosts import AllowedHosts
from alphagrad.api.idempotency import IdempotencyKeys
from alphagrad.api.origins import SameOrigin
from alphagrad.api.rate_limit import RateLimit
from alphagrad.api.request_log import RequestLog
from alphagrad.api.response_headers import ResponseHeaders
from alphagrad.api.settings import ApiSettings


def add_guards(app: FastAPI, settings: ApiSettings) -> None:
    """Put the guards before an application; the last one added is the first to be met."""
    app.add_middleware(IdempotencyKeys, database=app.state.database)
    app.add_middleware(BodyLimit, most=settings.max_body_bytes)
    app.add_middleware(Authorize, database=app.state.database)
    app.add_middleware(RateLimit)
    app.add_middleware(AuditLog, recorder=app.state.recorder)
    app.add_middleware(
        RequireKey,
        keys=app.state.keys,
        sessions=app.state.sessions,
        wrong_keys=app.state.wrong_keys,
    )
    app.add_middleware(SameOrigin)
    app.add_middleware(AllowedHosts, names=settings.host_names)
    app.add_middleware(RequestLog, monitor=app.state.monitor)
    app.add_middleware(ResponseHeaders)

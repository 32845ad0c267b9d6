"""``GET /v1/audit``: the audit log, for admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from alphagrad.api.audit_models import AuditOut
from alphagrad.api.deps import DatabaseDep
from alphagrad.api.pages import Page, decode_token, encode_token
from alphagrad.api.recorder import Recorder
from alphagrad.tuner import audit
from alphagrad.tuner.text import Text

router = APIRouter(prefix="/v1/audit", tags=["audit"])

NEWEST = 2**31 - 1


@router.get("")
def list_audit(
    request: Request,
    database: DatabaseDep,
    page_token: str | None = None,
    page_size: Annotated[int, Query(ge=1, le=500)] = 100,
    key: Text | None = None,
    study: Text | None = None,
) -> Page[AuditOut]:
    """What was to be changed, by whom, newest first; all or of one key, or about one study."""
    recorder: Recorder = request.app.state.recorder
    recorder.flush()
    before = decode_token(page_token, default=NEWEST)
    rows = audit.read(database, before=before, limit=page_size + 1, key_name=key, study=study)
    more = len(rows) > page_size
    items = [AuditOut.of(row) for row in rows[:page_size]]
    return Page(items=items, next_page_token=encode_token(items[-1].id) if more else None)

"""``/v1/webhooks``: URLs that events are sent to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from alphagrad.api import webhook_store
from alphagrad.api.deps import DatabaseDep
from alphagrad.api.pages import Page, decode_token, encode_token
from alphagrad.api.settings import ApiSettings
from alphagrad.api.webhook_address import TargetError, look_up, parse_target
from alphagrad.api.webhook_models import CreatedWebhook, NewWebhook, WebhookOut
from alphagrad.api.webhook_signature import make_secret
from alphagrad.tuner.errors import ConflictError, FieldError, SpecError

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

WebhookId = Annotated[int, Path(ge=1, lt=2**63)]


@router.post("", status_code=201)
async def create_webhook(
    new: NewWebhook, request: Request, response: Response, database: DatabaseDep
) -> CreatedWebhook:
    """Send events to a URL from now on. The secret is shown this once."""
    settings: ApiSettings = request.app.state.settings
    if not settings.webhooks:
        raise ConflictError("webhooks are off here: start the server with ALPHAGRAD_WEBHOOKS=true")
    local = settings.webhooks_local
    try:
        await look_up(parse_target(new.url, local=local), local=local)
    except TargetError as error:
        raise SpecError([FieldError("url", new.url, str(error))]) from None
    secret = make_secret()
    row = await run_in_threadpool(
        webhook_store.create,
        database,
        url=new.url,
        globs=new.events,
        study=new.study,
        secret=secret,
    )
    response.headers["Location"] = f"/v1/webhooks/{row.id}"
    return CreatedWebhook.of(row, secret=secret)


@router.get("")
def list_webhooks(
    database: DatabaseDep,
    page_token: str | None = None,
    page_size: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[WebhookOut]:
    """All webhooks, oldest first."""
    after = decode_token(page_token, default=0)
    rows = webhook_store.list_all(database, after=after, limit=page_size + 1)
    more = len(rows) > page_size
    items = [WebhookOut.of(row) for row in rows[:page_size]]
    return Page(items=items, next_page_token=encode_token(items[-1].id) if more else None)


@router.get("/{webhook_id}")
def read_webhook(webhook_id: WebhookId, database: DatabaseDep) -> WebhookOut:
    """One webhook: how far it is, and what went wrong last."""
    row = webhook_store.get(database, webhook_id)
    if row is None:
        raise _not_found(webhook_id)
    return WebhookOut.of(row)


@router.delete("/{webhook_id}", status_code=204)
def delete_webhook(webhook_id: WebhookId, database: DatabaseDep) -> None:
    """Send no more to a URL."""
    if not webhook_store.remove(database, webhook_id):
        raise _not_found(webhook_id)


def _not_found(webhook_id: int) -> HTTPException:
    return HTTPException(404, f"no webhook has the id {webhook_id}")

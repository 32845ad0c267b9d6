"""Webhooks in SQL: who delivers to them, how far they are, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from alphagrad.tuner import events
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import ConflictError
from alphagrad.tuner.models import EventRow
from alphagrad.tuner.text import clean_text
from alphagrad.tuner.webhook_models import WebhookRow

MOST_WEBHOOKS = 50
LEASE_SECONDS = 60.0
"""A webhook whose sender was not heard of for so long is taken over by another one."""
FIRST_PAUSE = 5.0
"""Seconds before an event is sent again, three times as long each time, up to ``LONGEST_PAUSE``."""
LONGEST_PAUSE = 4 * 3600.0
MOST_FAILURES = 12
"""So many failures of one event disable a webhook: about 17 hours after the first."""


def create(
    database: Database, *, url: str, globs: Sequence[str], study: str | None, secret: str
) -> WebhookRow:
    """Store a webhook; it gets the events from now on.

    Raises:
        ConflictError: there are too many.
    """
    position = events.newest(database)
    with database.write() as session:
        if (session.scalar(select(func.count()).select_from(WebhookRow)) or 0) >= MOST_WEBHOOKS:
            raise ConflictError(f"there are {MOST_WEBHOOKS} webhooks, and no more are allowed")
        row = WebhookRow(url=url, events=list(globs), study=study, secret=secret, position=position)
        row.created_at = db_now()
        session.add(row)
        session.flush()
        session.refresh(row)
        return row


def list_all(database: Database, *, after: int = 0, limit: int = 100) -> list[WebhookRow]:
    """Webhooks, oldest first."""
    with database.read() as session:
        rows = select(WebhookRow).where(WebhookRow.id > after).order_by(WebhookRow.id)
        return list(session.scalars(rows.limit(limit)))


def get(database: Database, webhook_id: int) -> WebhookRow | None:
    """One webhook."""
    with database.read() as session:
        return session.get(WebhookRow, webhook_id)


def remove(database: Database, webhook_id: int) -> bool:
    """Delete a webhook; says whether there was one."""
    with database.write() as session:
        gone = delete(WebhookRow).where(WebhookRow.id == webhook_id).returning(WebhookRow.id)
        return session.scalar(gone) is not None


def due(database: Database, *, seen: Mapping[int, int]) -> list[WebhookRow]:
    """Webhooks that nobody delivers to now, and for which there may be something.

    Args:
        database: the database.
        seen: up to which event the caller has looked for each.
    """
    with database.read() as session:
        newest = session.scalar(select(func.max(EventRow.id))) or 0
        free = select(WebhookRow).where(_is_free(), WebhookRow.position < newest)
        rows = session.scalars(free.order_by(WebhookRow.id))
        return [row for row in rows if seen.get(row.id, 0) < newest]


def claim(database: Database, webhook_id: int, *, sender: str) -> WebhookRow | None:
    """Take a webhook's lease; ``None`` if another sender was faster, or it is gone."""
    with database.write() as session:
        return session.scalar(
            update(WebhookRow)
            .where(WebhookRow.id == webhook_id, _is_free())
            .values(sender=sender, lease_expires_at=db_now() + LEASE_SECONDS)
            .returning(WebhookRow)
        )


def delivered(
    database: Database, webhook_id: int, *, sender: str, position: int, sent: bool = True
) -> bool:
    """Note how far a webhook is, and renew its lease; says whether it is still the sender's.

    Args:
        database: the database.
        webhook_id: the webhook.
        sender: who delivers.
        position: the id of the last event that is done.
        sent: whether it was sent, rather than passed over.
    """
    changes = {"position": position, "lease_expires_at": db_now() + LEASE_SECONDS}
    if sent:
        changes |= {"failures": 0, "error": None, "not_before": None, "delivered_at": db_now()}
    return database.retry(
        lambda session: _change(session, webhook_id, sender=sender, changes=changes)
    )


def failed(
    database: Database, webhook: WebhookRow, *, sender: str, error: str, for_good: bool = False
) -> None:
    """Note that an event could not be delivered: it is sent again later, or never.

    Args:
        database: the database.
        webhook: the webhook as it was claimed.
        sender: who delivers.
        error: what went wrong.
        for_good: do not try again.
    """
    failures = webhook.failures + 1
    pause = min(FIRST_PAUSE * 3.0 ** (failures - 1), LONGEST_PAUSE)
    gives_up = for_good or failures >= MOST_FAILURES
    changes = {
        "failures": failures,
        "error": clean_text(error, most=500),
        "not_before": None if gives_up else db_now() + pause,
        "disabled_at": db_now() if gives_up else None,
        "lease_expires_at": None,
        "sender": None,
    }
    database.retry(lambda session: _change(session, webhook.id, sender=sender, changes=changes))


def release(database: Database, *, sender: str, webhook_id: int | None = None) -> None:
    """Give up the lease of one webhook, or all that a sender has."""
    with database.write() as session:
        of_sender = update(WebhookRow).where(WebhookRow.sender == sender)
        if webhook_id is not None:
            of_sender = of_sender.where(WebhookRow.id == webhook_id)
        session.execute(of_sender.values(sender=None, lease_expires_at=None))


def _is_free() -> ColumnElement[bool]:
    return and_(
        WebhookRow.disabled_at.is_(None),
        or_(WebhookRow.not_before.is_(None), WebhookRow.not_before <= db_now()),
        or_(WebhookRow.lease_expires_at.is_(None), WebhookRow.lease_expires_at <= db_now()),
    )


def _change(session: Session, webhook_id: int, *, sender: str, changes: dict[str, object]) -> bool:
    done = session.scalar(
        update(WebhookRow)
        .where(WebhookRow.id == webhook_id, WebhookRow.sender == sender)
        .values(changes)
        .returning(WebhookRow.id)
        .execution_options(synchronize_session=False)
    )
    return done is not None

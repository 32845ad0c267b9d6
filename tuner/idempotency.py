"""Requests that carry a key: one is executed, and who sends it again gets the same answer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.service_models import IdempotencyRow

KEPT_SECONDS = 24 * 3600.0
HOLD_SECONDS = 30.0
"""After so long without a sign of who executes a request, another may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An answer as it was given."""

    status: int
    headers: list[list[str]]
    body: bytes


class MismatchError(Exception):
    """The key belongs to another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a request with a key is to do: execute as ``holder``, give ``answer``, or wait."""

    holder: str | None = None
    answer: StoredAnswer | None = None


def take(database: Database, *, scope: str, key: str, fingerprint: str) -> Turn:
    """Take a key for a request, or see what became of it.

    Args:
        database: the database.
        scope: whose key it is.
        key: the key.
        fingerprint: of the request.

    Returns:
        Whose turn it is: with neither holder nor answer another one executes it now.

    Raises:
        MismatchError: the key was used for another request.
    """
    holder = secrets.token_hex(16)
    where = (IdempotencyRow.scope == scope, IdempotencyRow.key == key)
    try:
        with database.write() as session:
            row = session.scalar(select(IdempotencyRow).where(*where).with_for_update())
            now = session.scalar(select(db_now())) or 0.0
            if row is not None and row.created_at >= now - KEPT_SECONDS:
                if row.fingerprint != fingerprint:
                    raise MismatchError
                if row.status is not None:
                    return Turn(
                        answer=StoredAnswer(
                            status=row.status, headers=row.headers or [], body=row.body or b""
                        )
                    )
                if row.held_until is not None and row.held_until > now:
                    return Turn()
            if row is None:
                row = IdempotencyRow(scope=scope, key=key)
                session.add(row)
            row.fingerprint, row.created_at = fingerprint, now
            row.holder, row.held_until = holder, now + HOLD_SECONDS
            row.status = row.headers = row.body = None
            session.flush()
    except IntegrityError:
        return Turn()  # another one was first
    return Turn(holder=holder)


def hold(database: Database, *, scope: str, key: str, holder: str) -> None:
    """Say that a request is still being executed."""

    def attempt(session: Session) -> None:
        session.execute(_of(scope, key, holder).values(held_until=db_now() + HOLD_SECONDS))

    database.retry(attempt)


def keep(
    database: Database, *, scope: str, key: str, holder: str, answer: StoredAnswer | None
) -> None:
    """Store a request's answer; with none the key is free again, as if it had not been used."""

    def attempt(session: Session) -> None:
        if answer is None:
            session.execute(
                delete(IdempotencyRow).where(
                    IdempotencyRow.scope == scope,
                    IdempotencyRow.key == key,
                    IdempotencyRow.holder == holder,
                ),
                execution_options={"synchronize_session": False},
            )
            return
        session.execute(
            _of(scope, key, holder).values(
                status=answer.status,
                headers=answer.headers,
                body=answer.body,
                holder=None,
                held_until=None,
            )
        )

    database.retry(attempt)


def forget_old(database: Database) -> None:
    """Delete what is older than a day."""
    with database.write() as session:
        session.execute(
            delete(IdempotencyRow).where(IdempotencyRow.created_at < db_now() - KEPT_SECONDS),
            execution_options={"synchronize_session": False},
        )


def _of(scope: str, key: str, holder: str) -> Any:
    return (
        update(IdempotencyRow)
        .where(
            IdempotencyRow.scope == scope,
            IdempotencyRow.key == key,
            IdempotencyRow.holder == holder,
        )
        .execution_options(synchronize_session=False)
    )

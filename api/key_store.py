"""API keys in the database: make, list, rotate and revoke them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from alphagrad.api.keys import CONFIGURED, LOCAL, hash_key, new_key
from alphagrad.api.principal import ROLES, Role
from alphagrad.tuner.access_models import ApiKeyRow
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import ConflictError, FieldError, SpecError

KEY_NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}"
DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """What a key may have at a time; ``None`` is the settings' default."""

    open_studies: int | None = None
    running_trials: int | None = None
    requests_per_minute: int | None = None


def make_key(
    database: Database,
    name: str,
    *,
    role: Role,
    expires_days: float | None = None,
    quotas: Quotas | None = None,
) -> str:
    """Make a key.

    Args:
        database: a migrated database.
        name: what its studies and the audit log call it; a name is never given twice.
        role: reader, submitter or admin.
        expires_days: it works for so many days; by default until it is revoked.
        quotas: its own quotas.

    Returns:
        The key, which is stored nowhere.

    Raises:
        SpecError: a name that is not allowed.
        ConflictError: a key of this name exists, or did.
    """
    if re.fullmatch(KEY_NAME, name) is None or name in (CONFIGURED, LOCAL):
        allowed = f"a name matches {KEY_NAME} and is not {CONFIGURED!r} or {LOCAL!r}"
        raise SpecError([FieldError("name", name, allowed)])
    if role not in ROLES:
        raise SpecError([FieldError("role", role, f"a role is one of {', '.join(ROLES)}")])
    quotas = quotas or Quotas()
    key = new_key()
    row = ApiKeyRow(
        name=name,
        role=role,
        hash=hash_key(key),
        max_open_studies=quotas.open_studies,
        max_running_trials=quotas.running_trials,
        max_requests_per_minute=quotas.requests_per_minute,
    )
    row.created_at = db_now()
    if expires_days is not None:
        row.expires_at = db_now() + expires_days * DAY
    try:
        with database.write() as session:
            session.add(row)
    except IntegrityError:
        message = f"a key named {name!r} exists; rotate it, or choose another name"
        raise ConflictError(message) from None
    return key


def list_keys(database: Database) -> list[ApiKeyRow]:
    """All keys, oldest first, the revoked ones too."""
    with database.read() as session:
        return list(session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.id)))


def rotate_key(
    database: Database,
    name: str,
    *,
    grace_minutes: float = 0.0,
    expires_days: float | None = None,
) -> str:
    """Give a key a new secret; name, role and quotas stay.

    Args:
        database: a migrated database.
        name: of the key.
        grace_minutes: the old secret works for so long beside the new one. A secret before it
            does no longer, whatever grace it was given.
        expires_days: the key works for so many days from now; by default its end stays.

    Returns:
        The new secret, which is stored nowhere.

    Raises:
        ConflictError: no key has this name, it was revoked, or it has expired and no new end is
            given.
    """
    key = new_key()
    with database.write() as session:
        row = _usable(session, name)
        now = session.scalar(select(db_now())) or 0.0
        if expires_days is not None:
            row.expires_at = now + expires_days * DAY
        elif row.expires_at is not None and row.expires_at <= now:
            raise ConflictError(f"key {name!r} has expired; say for how long the new one works")
        row.previous_hash = row.hash if grace_minutes > 0 else None
        row.previous_until = now + grace_minutes * 60 if grace_minutes > 0 else None
        row.hash = hash_key(key)
    return key


def revoke_key(database: Database, name: str) -> None:
    """End a key for good. Its studies stay, and go on.

    Raises:
        ConflictError: no key has this name, or it was revoked before.
    """
    with database.write() as session:
        _usable(session, name).revoked_at = db_now()


def _usable(session: Session, name: str) -> ApiKeyRow:
    row = session.scalar(select(ApiKeyRow).where(ApiKeyRow.name == name).with_for_update())
    if row is None:
        known = ", ".join(session.scalars(select(ApiKeyRow.name).order_by(ApiKeyRow.name)))
        raise ConflictError(f"no key is named {name!r}; there are: {known or 'none'}")
    if row.revoked_at is not None:
        raise ConflictError(f"key {name!r} was revoked; make one of another name")
    return row

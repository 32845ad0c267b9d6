"""API keys as a server checks them: a few hashes in memory, for a second."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from typing import cast

from sqlalchemy import func, or_, select

from alphagrad.api.principal import Principal, Role
from alphagrad.api.settings import ApiSettings
from alphagrad.tuner.access_models import ApiKeyRow
from alphagrad.tuner.database import Database, db_now

CONFIGURED = "configured"
"""The name of the key in the settings."""
LOCAL = "command-line"
"""What the audit log calls a command on the database."""
FRESH_SECONDS = 1.0
"""A key that was revoked, rotated or has expired is refused after so long at the latest."""


def hash_key(key: str) -> str:
    """SHA-256 of a key; keys are random, so a slow hash would add nothing."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_key() -> str:
    """A key of 256 random bits."""
    return f"ag_{secrets.token_urlsafe(32)}"


def ensure_key(database: Database, settings: ApiSettings) -> str | None:
    """Make an admin's key at the first start.

    Returns:
        The new key, to be shown once; ``None`` if one is configured or was made before.
    """
    if settings.api_key is not None:
        return None
    with database.write() as session:
        if session.scalar(select(ApiKeyRow.id).limit(1)) is not None:
            return None
        key = new_key()
        row = ApiKeyRow(name="first", role="admin", hash=hash_key(key))
        row.created_at = db_now()
        session.add(row)
        return key


def has_key(database: Database) -> bool:
    """Whether the database has a key that opens the door now."""
    with database.read() as session:
        valid = or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > db_now())
        query = select(func.count()).where(ApiKeyRow.revoked_at.is_(None), valid)
        return bool(session.scalar(query.select_from(ApiKeyRow)))


@dataclass(frozen=True, slots=True)
class _Known:
    hash: bytes
    until: float | None  # by this process's monotonic clock
    principal: Principal


class KeyRing:
    """Says whose a key is: the one in the settings, and those in the database.

    The hashes are read again when they are a second old, and when a key is not among them, so a
    new key works at once.

    Args:
        database: a migrated database.
        settings: the configured key, and the quotas of keys that have none of their own.
        local: the configured key is that of a command on the database, for itself alone.
    """

    def __init__(self, database: Database, settings: ApiSettings, *, local: bool = False) -> None:
        self._database = database
        self._settings = settings
        self._configured: list[_Known] = []
        if settings.api_key is not None:
            hashed = hash_key(settings.api_key.get_secret_value())
            principal = Principal(
                name=LOCAL if local else CONFIGURED,
                role="admin",
                is_local=local,
                key_id=0,
                max_requests_per_minute=settings.request_limit,
            )
            self._configured = [_Known(hashed.encode(), None, principal)]
        self._stored: list[_Known] = []
        self._loaded_at = float("-inf")
        self._loading = threading.Lock()

    def __call__(self, key: str) -> Principal | None:
        """Whose a key is, ``None`` if nobody's; may read the database."""
        return self.find(hash_key(key))

    def known(self, hashed: str) -> Principal | None:
        """Whose a key with this hash is, from memory; ``None``: ask :meth:`find`."""
        fresh = time.monotonic() - self._loaded_at <= FRESH_SECONDS
        return self._search(hashed, self._stored if fresh else [])

    def remembered(self, hashed: str) -> Principal | None:
        """Whose it was when the database was last read, for what is to answer while it is away."""
        return self._search(hashed, self._stored)

    def find(self, hashed: str) -> Principal | None:
        """The same, after a look into the database where memory does not know it.

        Raises:
            DBAPIError: the database is away.
        """
        found = self.known(hashed)
        if found is None:
            asked_at = time.monotonic()
            with self._loading:
                # One that waited here finds what was read for another since it asked.
                if self._loaded_at < asked_at:
                    self._load()
            found = self._search(hashed, self._stored)
        return found

    def _search(self, hashed: str, stored: list[_Known]) -> Principal | None:
        # No early exit, and no comparison that stops at the first different character.
        sought, now, found = hashed.encode("utf-8", "surrogatepass"), time.monotonic(), None
        for known in (*self._configured, *stored):
            same = hmac.compare_digest(sought, known.hash)
            if same and (known.until is None or now < known.until):
                found = known.principal
        return found

    def _load(self) -> None:
        begun = time.monotonic()
        with self._database.read() as session:
            now = session.scalar(select(db_now())) or 0.0
            rows = session.scalars(select(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None))).all()
        stored = []
        for row in rows:
            principal = self._principal(row)
            until = None if row.expires_at is None else begun + row.expires_at - now
            stored.append(_Known(row.hash.encode(), until, principal))
            if row.previous_hash is not None and row.previous_until is not None:
                grace = begun + row.previous_until - now
                until = grace if until is None else min(grace, until)
                stored.append(_Known(row.previous_hash.encode(), until, principal))
        self._stored, self._loaded_at = stored, begun

    def _principal(self, row: ApiKeyRow) -> Principal:
        studies = row.max_open_studies
        if studies is None and row.role != "admin":
            studies = self._settings.quota_open_studies
        requests = row.max_requests_per_minute
        if requests is None:
            requests = self._settings.request_limit
        return Principal(
            name=row.name,
            role=cast("Role", row.role),
            key_id=row.id,
            max_open_studies=studies,
            max_requests_per_minute=requests,
        )

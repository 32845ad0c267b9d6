"""The API key: made, stored as a hash, checked in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import select

from alphagrad.api.settings import ApiSettings
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.models import ApiKeyRow


def hash_key(key: str) -> str:
    """SHA-256 of a key; keys are random, so a slow hash would add nothing."""
    return hashlib.sha256(key.encode()).hexdigest()


def ensure_key(database: Database, settings: ApiSettings) -> str | None:
    """Make a key at the first start.

    Returns:
        The new key, to be shown once; ``None`` if one is configured or was made before.
    """
    if settings.api_key is not None:
        return None
    with database.write() as session:
        if session.scalar(select(ApiKeyRow.id).limit(1)) is not None:
            return None
        key = f"ag_{secrets.token_urlsafe(32)}"
        row = ApiKeyRow(name="first", role="admin", hash=hash_key(key))
        row.created_at = db_now()
        session.add(row)
        return key


class KeyCheck:
    """Says whether a key is the right one.

    A key in the settings is the only one; otherwise those in the database count.
    """

    def __init__(self, database: Database, settings: ApiSettings) -> None:
        self._database = database
        self._configured = (
            None if settings.api_key is None else hash_key(settings.api_key.get_secret_value())
        )

    def __call__(self, key: str) -> bool:
        """Whether ``key`` may use the API."""
        return self.has_hash(hash_key(key))

    def has_hash(self, hashed: str) -> bool:
        """The same, of a key's hash."""
        # No early exit, and no comparison that stops at the first different character.
        known = [hmac.compare_digest(hashed, candidate) for candidate in self._hashes()]
        return any(known)

    def _hashes(self) -> list[str]:
        if self._configured is not None:
            return [self._configured]
        with self._database.read() as session:
            return list(session.scalars(select(ApiKeyRow.hash)))

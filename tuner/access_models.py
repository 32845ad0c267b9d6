"""Tables of who may use the API and of what they changed."""

from __future__ import annotations

from sqlalchemy import Float, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from alphagrad.tuner.models import Base, _Id


class ApiKeyRow(Base):
    """An API key, of which only hashes are kept. Roles: reader, submitter, admin."""

    __tablename__ = "alphagrad_api_keys"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[float] = mapped_column(Float(53))
    last_used_at: Mapped[float | None] = mapped_column(Float(53))
    """To the minute."""
    expires_at: Mapped[float | None] = mapped_column(Float(53))
    revoked_at: Mapped[float | None] = mapped_column(Float(53))
    previous_hash: Mapped[str | None] = mapped_column(String(64))
    """Of the secret before the last rotation, if it was given a time of grace."""
    previous_until: Mapped[float | None] = mapped_column(Float(53))
    max_open_studies: Mapped[int | None]
    """NULL here and below is the settings' default."""
    max_running_trials: Mapped[int | None]
    max_requests_per_minute: Mapped[int | None]


class AuditRow(Base):
    """One request that was to change something."""

    __tablename__ = "alphagrad_audit"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    at: Mapped[float] = mapped_column(Float(53), index=True)
    key_name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(16))
    method: Mapped[str] = mapped_column(String(32))
    path: Mapped[str] = mapped_column(Text)
    study: Mapped[str | None] = mapped_column(String(100))
    status: Mapped[int]
    request_id: Mapped[str | None] = mapped_column(String(200))
    client: Mapped[str | None] = mapped_column(String(100))

"""Our tables about the service itself: repeated requests, and who works."""

from __future__ import annotations

from sqlalchemy import JSON, Float, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from alphagrad.tuner.models import Base


class IdempotencyRow(Base):
    """A request with an ``Idempotency-Key``: who holds it while it is executed, then its answer."""

    __tablename__ = "alphagrad_idempotency"
    __table_args__ = (Index("ix_alphagrad_idempotency_created_at", "created_at"),)

    scope: Mapped[str] = mapped_column(String(80), primary_key=True)
    """Whose key it is."""
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """SHA-256 of method, path, query and body."""
    holder: Mapped[str | None] = mapped_column(String(32))
    """Who executes it; NULL once it is answered."""
    held_until: Mapped[float | None] = mapped_column(Float(53))
    """After this the holder is taken for dead."""
    status: Mapped[int | None]
    headers: Mapped[list[list[str]] | None] = mapped_column(JSON(none_as_null=True))
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[float] = mapped_column(Float(53))


class WorkerRow(Base):
    """A worker as it said itself, at each renewal of its leases."""

    __tablename__ = "alphagrad_workers"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    engine: Mapped[str] = mapped_column(String(16))
    slots: Mapped[int]
    slots_used: Mapped[int]
    gpus: Mapped[int]
    gpus_used: Mapped[int]
    seen_until: Mapped[float] = mapped_column(Float(53))
    """After this it is taken for gone."""

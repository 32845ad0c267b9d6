"""The table of webhooks."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Float, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from alphagrad.tuner.models import Base, _Id


class WebhookRow(Base):
    """A URL that events are sent to, in their order."""

    __tablename__ = "alphagrad_webhooks"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(JSON)
    """Globs on the kinds of events."""
    study: Mapped[str | None] = mapped_column(String(100))
    """Events of this study alone."""
    secret: Mapped[str] = mapped_column(String(100))
    """As it is, since each delivery is signed with it."""
    position: Mapped[int] = mapped_column(BigInteger)
    """The id of the last event that was delivered, or is not for this webhook."""
    failures: Mapped[int] = mapped_column(default=0)
    """How often the event at hand could not be delivered."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why not, the last time."""
    not_before: Mapped[float | None] = mapped_column(Float(53))
    """When it is tried again."""
    disabled_at: Mapped[float | None] = mapped_column(Float(53))
    """When it was given up."""
    sender: Mapped[str | None] = mapped_column(String(100))
    """The process that delivers now."""
    lease_expires_at: Mapped[float | None] = mapped_column(Float(53))
    delivered_at: Mapped[float | None] = mapped_column(Float(53))
    created_at: Mapped[float] = mapped_column(Float(53))

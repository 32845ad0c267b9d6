"""Webhooks as the API takes and shows them."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from alphagrad.api.pages import timestamp
from alphagrad.tuner.events import KINDS
from alphagrad.tuner.spec import NAME_PATTERN
from alphagrad.tuner.text import Text
from alphagrad.tuner.webhook_models import WebhookRow


def _is_of_a_kind(glob: str) -> str:
    if not any(fnmatchcase(kind, glob) for kind in KINDS):
        raise ValueError(f"matches no kind of event; there are {', '.join(KINDS)}")
    return glob


Glob = Annotated[Text, Field(max_length=100), AfterValidator(_is_of_a_kind)]


class NewWebhook(BaseModel):
    """A URL that events are to be sent to."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://example.org/hook", "events": ["study.*", "trial.ended"]}]
        },
    )

    url: Text = Field(description="https, without user name and password", max_length=2000)
    events: list[Glob] = Field(
        min_length=1, max_length=20, description="globs on the kinds of events"
    )
    study: Annotated[str, Field(pattern=NAME_PATTERN)] | None = Field(
        default=None, description="send the events of this study alone"
    )


class WebhookOut(BaseModel):
    """A webhook, and how it fares."""

    id: int
    url: str
    events: list[str]
    study: str | None
    state: Literal["active", "failing", "disabled"]
    position: int = Field(description="the id of the last event that is done with")
    failures: int = Field(description="how often the next event could not be delivered")
    error: str | None = Field(description="why not, the last time")
    retry_at: datetime | None
    delivered_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: WebhookRow, **more: str) -> Self:
        """From a row."""
        state = "disabled" if row.disabled_at else "failing" if row.failures else "active"
        return cls.model_validate(
            {
                name: getattr(row, name)
                for name in ("id", "url", "events", "study", "position", "failures", "error")
            }
            | {
                "state": state,
                "retry_at": timestamp(row.not_before),
                "delivered_at": timestamp(row.delivered_at),
                "created_at": timestamp(row.created_at),
            }
            | more
        )


class CreatedWebhook(WebhookOut):
    """A new webhook, with the secret that its deliveries are signed with."""

    secret: str = Field(description="shown this once")

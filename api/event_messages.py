"""Events as they are sent: JSON, and messages of a ``text/event-stream``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from alphagrad.api.pages import timestamp
from alphagrad.api.trial_models import KnobOut
from alphagrad.tuner.events import Event
from alphagrad.tuner.models import KnobRow


@dataclass(frozen=True, slots=True)
class EventMessage:
    """An event, encoded once for all who are to have it."""

    id: int
    study: str
    encoded: bytes

    @classmethod
    def of(cls, event: Event) -> Self:
        """From an event."""
        data = json.dumps(
            event_body(event), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        text = f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n"
        return cls(event.id, event.study, text.encode())


def event_body(event: Event) -> dict[str, Any]:
    """An event as the API shows it."""
    at = timestamp(event.at)
    body: dict[str, Any] = {
        "id": event.id,
        "kind": event.kind,
        "study": event.study,
        "trial": event.trial,
        "at": at.isoformat().replace("+00:00", "Z") if at is not None else None,
        **event.data,
    }
    if event.kind == "trial.knob":
        body["knob"] = KnobOut.of(KnobRow(**event.data["knob"])).model_dump(mode="json")
    return body

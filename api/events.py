"""``/v1/events``: what happens, as server-sent events."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Query
from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool

from alphagrad.api.deps import DatabaseDep, EventHubDep
from alphagrad.api.event_hub import EventHub
from alphagrad.tuner import study_store
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import StudyNotFoundError
from alphagrad.tuner.events import has_events
from alphagrad.tuner.spec import NAME_PATTERN

router = APIRouter(tags=["events"])

KEEP_ALIVE_SECONDS = 10
SEND_SECONDS = 60
"""A client that takes nothing for so long is let go."""
SHUTDOWN_SECONDS = 2

After = Annotated[
    int | None, Query(ge=0, lt=2**63, description="start behind the event of this id")
]
LastEventId = Annotated[
    int | None, Header(ge=0, lt=2**63, description="as `after`, and stronger; browsers send it")
]
_STREAM: dict[int | str, dict[str, object]] = {
    200: {
        "description": "A stream without end",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get("/v1/events", response_class=EventSourceResponse, responses=_STREAM)
async def stream_events(
    hub: EventHubDep, after: After = None, last_event_id: LastEventId = None
) -> EventSourceResponse:
    """What happens in all studies, as server-sent events: from now on, or behind an event."""
    return await _stream(hub, after if last_event_id is None else last_event_id)


@router.get("/v1/studies/{name}/events", response_class=EventSourceResponse, responses=_STREAM)
async def stream_events_of_a_study(
    name: str,
    database: DatabaseDep,
    hub: EventHubDep,
    after: After = None,
    last_event_id: LastEventId = None,
) -> EventSourceResponse:
    """What happens in one study, as server-sent events: from now on, or behind an event."""
    await run_in_threadpool(_must_be_known, database, name)
    return await _stream(hub, after if last_event_id is None else last_event_id, name)


async def _stream(
    hub: EventHub, after: int | None, study: str | None = None
) -> EventSourceResponse:
    return EventSourceResponse(
        hub.stream(await hub.position(after), study=study),
        ping=KEEP_ALIVE_SECONDS,
        sep="\n",
        send_timeout=SEND_SECONDS,
        shutdown_grace_period=SHUTDOWN_SECONDS,
    )


def _must_be_known(database: Database, name: str) -> None:
    try:
        with database.read() as session:
            study_store.by_name(session, name)
    except StudyNotFoundError:
        # One that was deleted can still be followed to its last event.
        if re.fullmatch(NAME_PATTERN, name) is None or not has_events(database, name):
            raise

"""How long events are kept."""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import delete, func, literal_column, select

from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.models import EventRow

PROGRESS_SECONDS = 3600.0
"""Workers delete ``trial.progress`` that is older: it says no more than that there is news."""
EVENT_DAYS = 30.0
"""``db prune`` deletes events that are older."""
MOST_EVENTS = 1_000_000
"""Workers delete the oldest events beyond so many."""
TRIMMED = 5000
"""Events deleted in one transaction."""


def trim_events(database: Database, *, older_than_days: float | None = None) -> int:
    """Delete progress of long ago, the oldest events where there are too many, and old ones.

    Args:
        database: the database.
        older_than_days: delete events of any kind that are older; by default none by age.

    Returns:
        How many were deleted.
    """
    with database.read() as session:
        now = session.scalar(select(db_now())) or 0.0
        too_many = (session.scalar(select(func.max(EventRow.id))) or 0) - MOST_EVENTS
    # Written out, or SQLite would not see that it has an index of those alone.
    progress = EventRow.kind == literal_column("'trial.progress'")
    deleted = _delete_oldest(database, progress, before=now - PROGRESS_SECONDS)
    deleted += _delete_oldest(database, EventRow.id <= too_many)
    if older_than_days is not None:
        deleted += _delete_oldest(database, before=now - older_than_days * 86_400)
    return deleted


def _delete_oldest(database: Database, *conditions: Any, before: float = math.inf) -> int:
    """Delete events from the oldest on, up to a time, in parts."""
    deleted = 0
    while True:
        with database.write() as session:
            oldest = select(EventRow.id, EventRow.at).where(*conditions).order_by(EventRow.id)
            ids = [row.id for row in session.execute(oldest.limit(TRIMMED)) if row.at < before]
            session.execute(delete(EventRow).where(EventRow.id.in_(ids)))
        deleted += len(ids)
        if len(ids) < TRIMMED:
            return deleted

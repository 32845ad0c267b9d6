"""Who works: each worker says so when it renews its leases."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.service_models import WorkerRow

RENEWALS = 3
"""A worker that has not renewed its leases so often in a row is forgotten."""


def see(
    database: Database,
    *,
    name: str,
    engine: str,
    slots: tuple[int, int],
    gpus: tuple[int, int],
    lease_seconds: float,
) -> None:
    """Write down that a worker is there, and forget those that are not.

    Args:
        database: the database.
        name: the worker's.
        engine: of the studies it works for.
        slots: its CPUs, and how many of them are in use.
        gpus: the same of its GPUs.
        lease_seconds: how long it is believed to be there.
    """

    def attempt(session: Session) -> None:
        session.execute(
            delete(WorkerRow).where(WorkerRow.seen_until < db_now() - RENEWALS * lease_seconds),
            execution_options={"synchronize_session": False},
        )
        row = session.get(WorkerRow, name)
        if row is None:
            row = WorkerRow(name=name)
            session.add(row)
        row.engine = engine
        row.slots, row.slots_used = slots
        row.gpus, row.gpus_used = gpus
        row.seen_until = db_now() + lease_seconds

    database.retry(attempt)


def forget(database: Database, name: str) -> None:
    """Write down that a worker has left."""
    with database.write() as session:
        session.execute(
            delete(WorkerRow).where(WorkerRow.name == name),
            execution_options={"synchronize_session": False},
        )

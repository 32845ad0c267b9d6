"""Metrics of a trial: buffered in its process, one row per value in SQL, read back thinned."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from time import monotonic
from typing import SupportsFloat

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from alphagrad.tuner import attempts, leases
from alphagrad.tuner.channel import Channel
from alphagrad.tuner.database import Database
from alphagrad.tuner.messages import Metrics
from alphagrad.tuner.models import MetricRow, TrialRow
from alphagrad.tuner.text import check_text

MAX_NAME = 100
"""Characters of a metric's name, at most."""
MAX_NAMES = 1000
"""Different names in one attempt, at most: they stand in the trial's row."""
MAX_BATCH = 10_000
"""Values in a batch, at most: one transaction, 0.1 s on SQLite and 0.4 s on PostgreSQL."""
FLUSH_SECONDS = 0.25

Series = tuple[NDArray[np.int64], NDArray[np.float64]]
"""The steps and the values of one metric, of equal length, in the order they were recorded."""


class MetricBuffer:
    """Holds what a trial records, and sends it in batches.

    A batch goes out with the first value that is recorded 0.25 s after the last batch, so a task
    that records seldom is written at once.

    Args:
        channel: the line to the worker.

    Example:
        >>> from alphagrad.tuner.channel import NullChannel
        >>> MetricBuffer(NullChannel()).add({"losses/td": "low"}, step=1)
        Traceback (most recent call last):
        TypeError: record: 'losses/td' must be a number, got 'low'
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._names: dict[str, int] = {}
        self._which: list[int] = []
        self._steps: list[int] = []
        self._values: list[float] = []
        self._sent = 0
        self._flushed_at = monotonic()

    def add(self, values: Mapping[str, SupportsFloat], *, step: int) -> None:
        """Hold the values of one step; a mapping with a bad name or value leaves nothing.

        Raises:
            TypeError: a name is not text, or a value not a number.
            ValueError: a name that cannot be stored, or one too many.
        """
        numbers = [_number(name, value) for name, value in values.items()]
        if len(self._values) + len(numbers) > MAX_BATCH:
            self.flush()
        names = self._names
        self._which += [names[name] if name in names else self._new(name) for name in values]
        self._steps += [step] * len(numbers)
        self._values += numbers
        if monotonic() - self._flushed_at > FLUSH_SECONDS or len(self._values) >= MAX_BATCH:
            self.flush()

    def flush(self) -> None:
        """Send the values held so far."""
        self._flushed_at = monotonic()
        if not self._values:
            return
        held = list(dict.fromkeys(self._which))
        place = {which: index for index, which in enumerate(held)}
        names = list(self._names)
        batch = Metrics(
            first=self._sent,
            names=[names[which] for which in held],
            which=[place[which] for which in self._which],
            steps=self._steps,
            values=self._values,
        )
        self._sent += len(self._values)
        self._which, self._steps, self._values = [], [], []
        self._channel.send(batch)

    def _new(self, name: str) -> int:
        if not isinstance(name, str):
            raise TypeError(f"record: a name must be text, got {name!r}")
        if not 1 <= len(check_text(name)) <= MAX_NAME:
            raise ValueError(f"record: a name must have 1 to {MAX_NAME} characters, got {name!r}")
        if len(self._names) == MAX_NAMES:
            raise ValueError(f"record: {name!r} is one name too many: {MAX_NAMES} are allowed")
        return self._names.setdefault(name, len(self._names))


def append_metrics(database: Database, *, trial_id: int, fence: int, batch: Metrics) -> None:
    """Store a batch; what an earlier attempt stored from the same steps on is replaced.

    Raises:
        StaleFenceError: the lease was lost.
    """

    def attempt(session: Session) -> None:
        trial = leases.held(session, trial_id, fence)
        known = trial.metrics or []
        if new := [name for name in batch.names if name not in known]:
            trial.metrics = known = known + new
        ids = [known.index(name) for name in batch.names]
        new_from = attempts.unstored(
            session, trial, "values", first=batch.first, count=len(batch.values)
        )
        rows = [
            {
                "trial_id": trial_id,
                "name": ids[which],
                "fence": fence,
                "position": position,
                "step": step,
                "value": None if math.isnan(value) else value,
            }
            for position, (which, step, value) in enumerate(
                zip(batch.which, batch.steps, batch.values, strict=True), start=batch.first
            )
        ][new_from:]
        if not rows:
            return
        if batch.first + new_from == 0:
            session.execute(
                delete(MetricRow).where(
                    MetricRow.trial_id == trial_id,
                    MetricRow.fence < fence,
                    MetricRow.step >= min(batch.steps),
                )
            )
        session.execute(insert(MetricRow), rows)

    database.retry(attempt)


def read_metrics(
    database: Database,
    trial: TrialRow,
    names: Collection[str] | None = None,
    max_steps: int = 2000,
) -> dict[str, Series]:
    """What a trial recorded, by name.

    Args:
        database: the database.
        trial: the trial's row.
        names: the metrics wanted, all by default; one that was not recorded comes back empty.
        max_steps: of a metric with more values so many are given, spread evenly; first and last
            stay. At least 2.
    """
    places = {name: place for place, name in enumerate(trial.metrics or [])}
    with database.read() as session:
        found = {
            name: _read_series(session, trial.id, places.get(name, -1), most=max_steps)
            for name in (places if names is None else names)
        }
    # A name may have lost all its values to a later attempt.
    return {name: (s, v) for name, (s, v) in found.items() if len(s) or names is not None}


def _read_series(session: Session, trial_id: int, name: int, *, most: int) -> Series:
    of_name = (MetricRow.trial_id == trial_id, MetricRow.name == name)
    in_order = (MetricRow.fence, MetricRow.position)
    count = session.scalar(select(func.count()).select_from(MetricRow).where(*of_name)) or 0
    if count <= most:
        chosen = select(MetricRow.step, MetricRow.value).where(*of_name).order_by(*in_order)
    else:
        index = (func.row_number().over(order_by=in_order) - 1).label("index")
        rows = select(MetricRow.step, MetricRow.value, index).where(*of_name).subquery()
        # At row i, i·(most − 1) // (count − 1) rows are due after the first: keep where that grows.
        i = rows.c.index
        due, due_before = (n * (most - 1) // (count - 1) for n in (i, i - 1))
        kept = (i < count) & ((i == 0) | (due > due_before))
        chosen = select(rows.c.step, rows.c.value).where(kept).order_by(i)
    read = session.execute(chosen.limit(most)).all()
    steps = np.array([row.step for row in read], dtype=np.int64)
    return steps, np.array([row.value for row in read], dtype=np.float64)  # NULL becomes NaN


def _number(name: str, value: SupportsFloat) -> float:
    if type(value) is float:
        return value
    if isinstance(value, str | bytes | bool):
        raise TypeError(f"record: {name!r} must be a number, got {value!r}")
    # float() of a tensor that needs a gradient warns; item() does not.
    item = getattr(value, "item", None)
    try:
        return float(value if item is None else item())
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"record: {name!r} must be a number, got {value!r}") from error

"""α traces: float32 arrays in SQL, one row per sampled step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from alphagrad.tuner import attempts, knobs, leases
from alphagrad.tuner.database import Database
from alphagrad.tuner.messages import Trace
from alphagrad.tuner.models import TraceRow, TrialRow

MOST_ROWS = 4096
"""Rows of one trial's trace, at most: past that every second one is deleted, but first and last."""


@dataclass(frozen=True, slots=True)
class AlphaTrace:
    """α and saturation of every layer over a trial's steps.

    Attributes:
        layers: layer names, length L.
        steps: the sampled steps, length N, not decreasing.
        alpha: float32, shape (N, L): what each step used.
        saturation: float32, shape (N, L): what each step measured; NaN without one above ε.
    """

    layers: list[str]
    steps: list[int]
    alpha: NDArray[np.float32]
    saturation: NDArray[np.float32]


def record_layers(database: Database, *, trial_id: int, fence: int, names: list[str]) -> None:
    """Write down a trial's layers.

    Raises:
        StaleFenceError: the lease was lost.
    """

    def attempt(session: Session) -> None:
        leases.held(session, trial_id, fence).layers = names

    database.retry(attempt)


def append_trace(database: Database, *, trial_id: int, fence: int, trace: Trace) -> None:
    """Store samples; what an earlier attempt stored from the same steps on is replaced.

    Those that the attempt has stored already are left out. Knob commands that were applied at these
    steps before are asked for again.

    Raises:
        ConflictError: samples are missing between those stored and these.
        StaleFenceError: the lease was lost.
    """

    def attempt(session: Session) -> None:
        trial = leases.held(session, trial_id, fence)
        new_from = attempts.unstored(
            session, trial, "samples", first=trace.first, count=len(trace.steps)
        )
        if trace.first + new_from == 0:
            session.execute(
                delete(TraceRow).where(
                    TraceRow.trial_id == trial_id, TraceRow.step >= trace.steps[0]
                )
            )
            knobs.ask_again(session, trial, since=trace.steps[0])
        rows = [
            {
                "trial_id": trial_id,
                "fence": fence,
                "step": step,
                "alpha": alpha.tobytes(),
                "saturation": saturation.tobytes(),
            }
            for step, alpha, saturation in zip(
                trace.steps, trace.alpha, trace.saturation, strict=True
            )
        ][new_from:]
        if not rows:
            return
        session.execute(insert(TraceRow), rows)
        _halve(session, trial_id)

    database.retry(attempt)


def _halve(session: Session, trial_id: int) -> None:
    """Thin a trace that has grown too long; what is kept depends on the rows' order alone."""
    of_trial = TraceRow.trial_id == trial_id
    while (count := session.scalar(select(func.count()).where(of_trial)) or 0) > MOST_ROWS:
        place = func.row_number().over(order_by=TraceRow.id).label("place")
        rows = select(TraceRow.id, place).where(of_trial).subquery()
        odd = select(rows.c.id).where(rows.c.place % 2 == 0, rows.c.place < count)
        session.execute(
            delete(TraceRow).where(TraceRow.id.in_(odd)),
            execution_options={"synchronize_session": False},
        )


def latest_saturation(
    database: Database, trial_id: int, *, before: int | None = None, limit: int
) -> tuple[list[int], list[NDArray[np.float32]]]:
    """The last samples of a trial, or of those before a step: steps, and saturation by layer.

    Args:
        database: the database.
        trial_id: our row's id.
        before: the first step that is not wanted, if there is one.
        limit: at most so many.
    """
    query = select(TraceRow.step, TraceRow.saturation).where(TraceRow.trial_id == trial_id)
    if before is not None:
        query = query.where(TraceRow.step < before)
    with database.read() as session:
        rows = session.execute(query.order_by(TraceRow.id.desc()).limit(limit)).all()[::-1]
    saturation = [np.frombuffer(row.saturation, dtype=np.float32) for row in rows]
    return [row.step for row in rows], saturation


def read_trace(
    database: Database,
    trial: TrialRow,
    *,
    max_steps: int = 2000,
    layers: Sequence[str] | None = None,
    after_step: int | None = None,
    before_step: int | None = None,
) -> AlphaTrace:
    """A trial's trace, thinned evenly to at most ``max_steps`` rows; first and last stay.

    Args:
        database: the database.
        trial: the trial's row.
        max_steps: at most so many rows.
        layers: globs on the names of the layers that are wanted; by default all are.
        after_step: only what was sampled after this step.
        before_step: only what was sampled before this step.
    """
    names = trial.layers or []
    kept = [i for i, name in enumerate(names) if layers is None or _matches(name, layers)]
    wanted = [TraceRow.trial_id == trial.id]
    if after_step is not None:
        wanted.append(TraceRow.step > after_step)
    if before_step is not None:
        wanted.append(TraceRow.step < before_step)
    with database.read() as session:
        ids = list(session.scalars(select(TraceRow.id).where(*wanted).order_by(TraceRow.id)))
        if len(ids) > max_steps:
            ids = [ids[i] for i in np.linspace(0, len(ids) - 1, max_steps).round().astype(int)]
        rows = session.execute(
            select(TraceRow.step, TraceRow.alpha, TraceRow.saturation)
            .where(TraceRow.id.in_(ids))
            .order_by(TraceRow.id)
        ).all()
    return AlphaTrace(
        layers=[names[i] for i in kept],
        steps=[row.step for row in rows],
        alpha=_stack([row.alpha for row in rows], width=len(names))[:, kept],
        saturation=_stack([row.saturation for row in rows], width=len(names))[:, kept],
    )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    # As alphagrad.optim.matching_layers, without importing torch.
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _stack(rows: list[bytes], *, width: int) -> NDArray[np.float32]:
    stacked = np.full((len(rows), width), np.nan, dtype=np.float32)
    for index, row in enumerate(rows):
        # A row from before a further optimizer was watched is shorter, and one of an attempt that
        # had more layers than the present one is longer.
        values = np.frombuffer(row, dtype=np.float32)[:width]
        stacked[index, : len(values)] = values
    return stacked

"""Studies side by side: how the best value of each grew, by trial and by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from alphagrad.tuner.best_trials import best_trials
from alphagrad.tuner.database import Database
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.spread import Spread, spread_of
from alphagrad.tuner.study_store import StudyStatus, by_name, status_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How a study's best value grew: a point where it changed, and one at the last trial.

    Attributes:
        at: numbers of trials, or seconds from the study's start to their ends; rising.
        best: the best value up to there.
    """

    at: list[float]
    best: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One study of a comparison.

    Attributes:
        status: the study.
        best: its best trial; ``None`` with several objectives.
        by_trial: the best value by the trial's number; empty with several objectives.
        by_time: the best value by the time of the trial's end; likewise.
        spread: of its values, where it trains one setting again and again.
    """

    status: StudyStatus
    best: TrialRow | None
    by_trial: Curve
    by_time: Curve
    spread: Spread | None = None


def compare(database: Database, study: str) -> Compared:
    """One study as it stands beside others.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    with database.read() as session:
        row = by_name(session, study)
        status = status_of(session, row)
        if row.spec.get("directions"):
            none = Curve(at=[], best=[])
            return Compared(status=status, best=None, by_trial=none, by_time=none)
        best = best_trials(session, row)
        begun = row.started_at or row.created_at
        return Compared(
            status=status,
            best=best[0] if best else None,
            by_trial=_curve(session, row, TrialRow.number),
            by_time=_curve(session, row, TrialRow.finished_at - begun),
            spread=spread_of(session, row),
        )


def _curve(session: Session, study: StudyRow, place: Any) -> Curve:
    """Only the rows where the best value changes leave the database, which are few."""
    maximize = study.spec["direction"] == "maximize"
    wanted: list[ColumnElement[bool]] = [
        TrialRow.study_id == study.id,
        TrialRow.state == "COMPLETE",
        and_(TrialRow.feasible),
        TrialRow.value.is_not(None),
    ]
    best_of = func.max if maximize else func.min
    before = best_of(TrialRow.value).over(order_by=(place, TrialRow.id), rows=(None, -1))
    rows = (
        select(place.label("at"), TrialRow.value.label("value"), before.label("before"))
        .where(*wanted)
        .subquery()
    )
    is_better = rows.c.value > rows.c.before if maximize else rows.c.value < rows.c.before
    points = session.execute(
        select(rows.c.at, rows.c.value)
        .where(rows.c.before.is_(None) | is_better)
        .order_by(rows.c.at)
    ).all()
    at, best = [float(row.at) for row in points], [float(row.value) for row in points]
    last = session.scalar(select(func.max(place)).where(*wanted))
    if at and last is not None and last > at[-1]:
        at.append(float(last))
        best.append(best[-1])
    return Curve(at=at, best=best)

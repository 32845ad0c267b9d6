"""Studies side by side: the best value so far, by trial and by time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from alphagrad.tuner.best_trials import best_trials
from alphagrad.tuner.database import Database
from alphagrad.tuner.models import TrialRow
from alphagrad.tuner.study_store import StudyStatus, by_name, status_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How a study's best value grew: a point where it changed, and one at the last trial.

    Attributes:
        numbers: of trials, rising.
        values: the best value up to each.
        seconds: from the study's start to the ends of trials, rising.
        values_by_time: the best value up to each.
    """

    numbers: list[int]
    values: list[float]
    seconds: list[float]
    values_by_time: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One study of a comparison."""

    status: StudyStatus
    best: TrialRow | None
    curve: Curve


def compare(database: Database, study: str) -> Compared:
    """One study as it stands beside others.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    with database.read() as session:
        row = by_name(session, study)
        status = status_of(session, row)
        best = best_trials(session, row)
        several = bool(row.spec.get("directions"))
        maximize = row.spec.get("direction") == "maximize"
        columns = select(TrialRow.number, TrialRow.value, TrialRow.finished_at).where(
            TrialRow.study_id == row.id, TrialRow.state == "COMPLETE", TrialRow.feasible
        )
        found: list[tuple[int, float, float]] = []
        if not several:
            found = [
                (number or 0, value, (ended or 0.0) - (row.started_at or row.created_at))
                for number, value, ended in session.execute(columns.order_by(TrialRow.number))
                if value is not None
            ]
    by_number = _best_so_far([(number, value) for number, value, _ in found], maximize=maximize)
    by_time = _best_so_far(
        sorted((seconds, value) for _, value, seconds in found), maximize=maximize
    )
    return Compared(
        status=status,
        best=best[0] if best and not several else None,
        curve=Curve(
            numbers=[int(number) for number, _ in by_number],
            values=[value for _, value in by_number],
            seconds=[seconds for seconds, _ in by_time],
            values_by_time=[value for _, value in by_time],
        ),
    )


def _best_so_far(
    points: list[tuple[int, float]] | list[tuple[float, float]], *, maximize: bool
) -> list[tuple[float, float]]:
    """The points where the best value changes, and the last one with the best value at it."""
    steps: list[tuple[float, float]] = []
    for at, value in points:
        if not steps or (value > steps[-1][1] if maximize else value < steps[-1][1]):
            steps.append((at, value))
    if points and steps[-1][0] != points[-1][0]:
        steps.append((points[-1][0], steps[-1][1]))
    return steps

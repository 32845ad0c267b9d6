"""A bounded sample of a study's completed trials, for charts and for parameter importance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import func, select

from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import FieldError, SpecError
from alphagrad.tuner.models import TrialRow
from alphagrad.tuner.space import dimensions
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.study_store import by_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A completed trial: its number, its parameters, a value for each objective."""

    number: int
    params: dict[str, Any]
    values: list[float]
    feasible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Completed trials of a study, by number.

    Attributes:
        study_id: the row's id.
        spec: the study's specification.
        n_trials: how many trials are complete; of more than were asked for, ``points`` is a
            sample, spread evenly over the numbers.
        points: the trials.
    """

    study_id: int
    spec: StudySpec
    n_trials: int
    points: list[Point]


def read_points(database: Database, study: str, *, most: int) -> Points:
    """Read completed trials without more than ``most`` of their rows.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    with database.read() as session:
        row = by_name(session, study)
        complete = (
            TrialRow.study_id == row.id,
            TrialRow.state == "COMPLETE",
            TrialRow.number.is_not(None),
        )
        count = session.scalar(select(func.count()).select_from(TrialRow).where(*complete)) or 0
        columns = (
            TrialRow.number,
            TrialRow.params,
            TrialRow.value,
            TrialRow.objective_values,
            TrialRow.feasible,
        )
        query = select(*columns).where(*complete).order_by(TrialRow.number)
        if count > most:
            # The numbers alone come from an index.
            numbers = session.scalars(
                select(TrialRow.number).where(*complete).order_by(TrialRow.number)
            ).all()
            places = np.linspace(0, len(numbers) - 1, most).round().astype(int)
            query = query.where(TrialRow.number.in_([numbers[place] for place in places]))
        points = [
            Point(
                number=found.number or 0,
                params=found.params or {},
                values=[found.value] if found.value is not None else found.objective_values or [],
                feasible=found.feasible,
            )
            for found in session.execute(query)
        ]
        spec = StudySpec.model_validate(row.spec)
        return Points(study_id=row.id, spec=spec, n_trials=count, points=points)


def check_objective(spec: StudySpec, objective: int) -> None:
    """Check the place of an objective.

    Raises:
        SpecError: the study has fewer.
    """
    if objective >= len(spec.objectives):
        message = f"the study has {len(spec.objectives)}, counted from 0"
        raise SpecError([FieldError("objective", objective, message)])


def check_searched(spec: StudySpec, names: Collection[str] | None) -> Sequence[str]:
    """Names of searched parameters: those given, or all.

    Raises:
        SpecError: the study does not search one.
    """
    searched = dimensions(spec.params)
    if unknown := [name for name in names or () if name not in searched]:
        known = ", ".join(searched) or "nothing"
        message = f"the study does not search it; it searches: {known}"
        raise SpecError([FieldError("param", name, message) for name in unknown])
    return list(searched if names is None else dict.fromkeys(names))

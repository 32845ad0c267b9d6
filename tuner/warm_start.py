"""Warm start: what earlier studies tried, as observations of a new one's sampler and pruner."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import select

from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import FieldError, SpecError
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.space import (
    CategoricalDimension,
    Dimension,
    FloatDimension,
    Parameter,
    dimensions,
    holds,
)
from alphagrad.tuner.spec import StudySpec

logger = logging.getLogger(__name__)

OBSERVED = (TrialState.COMPLETE, TrialState.PRUNED)
WARM_START = "alphagrad:warm_start"
"""The attribute of a trial of Optuna's that says which other trial it repeats: study/number."""


def check_sources(database: Database, spec: StudySpec) -> None:
    """Check that a study can be started from those that it names.

    They must search the same parameters, whose ranges may differ, and have the same directions and
    constraints.

    Raises:
        SpecError: names the study and what differs.
    """
    with database.read() as session:
        rows = session.execute(
            select(StudyRow.name, StudyRow.spec).where(StudyRow.name.in_(spec.warm_start))
        )
        known = {row.name: StudySpec.model_validate(row.spec) for row in rows}
    errors = [
        FieldError(f"warm_start.{place}", name, message)
        for place, name in enumerate(spec.warm_start)
        if (message := _difference(spec, known.get(name)))
    ]
    if errors:
        raise SpecError(errors)


def add_observations(storage: BaseStorage, spec: StudySpec, *, optuna_study_id: int) -> None:
    """Add the finished trials of a study's sources to it in Optuna's tables, those not yet added.

    Each says which trial it repeats from its first moment, so that after a crash none is added
    twice. No two processes may do this at once.
    """
    added = {
        trial.user_attrs.get(WARM_START)
        for trial in storage.get_all_trials(optuna_study_id, deepcopy=False)
    }
    for source in spec.warm_start:
        try:
            source_id = storage.get_study_id_from_name(source)
        except KeyError:
            continue  # submitted a moment ago: it has no trials yet
        left_out = 0
        for trial in storage.get_all_trials(source_id, deepcopy=False, states=OBSERVED):
            if f"{source}/{trial.number}" in added or WARM_START in trial.user_attrs:
                continue  # what the source itself started from is not its own
            repeated = observation(spec, trial, source=source)
            if repeated is None:
                left_out += 1
            else:
                storage.create_new_trial(optuna_study_id, repeated)
        if left_out:
            message = "%s starts without %d trials of %s: they are outside of its space"
            logger.warning(message, spec.name, left_out, source)


def observation(spec: StudySpec, trial: FrozenTrial, *, source: str) -> FrozenTrial | None:
    """A finished trial of another study as one of this study's.

    Args:
        spec: this study.
        trial: the other study's trial.
        source: the other study's name.

    Returns:
        The trial to add, or ``None`` if this study could not have drawn its parameters.
    """
    if not _could_be_drawn(spec.params, trial.params):
        return None
    space = dimensions(spec.params)
    return optuna.trial.create_trial(
        state=trial.state,
        values=trial.values,
        params={name: stored(space[name], value) for name, value in trial.params.items()},
        distributions={name: distribution(space[name]) for name in trial.params},
        intermediate_values=dict(trial.intermediate_values),
        user_attrs={WARM_START: f"{source}/{trial.number}"},
        system_attrs={k: v for k, v in trial.system_attrs.items() if k.startswith("constraints")},
    )


def _difference(spec: StudySpec, other: StudySpec | None) -> str | None:
    if other is None:
        return "no study has this name"
    if other.objectives != spec.objectives:
        return f"its direction is {other.objectives}, that of this study {spec.objectives}"
    if other.constraints != spec.constraints:
        return f"its constraints are {other.constraints}, those of this study {spec.constraints}"
    theirs, ours = dimensions(other.params), dimensions(spec.params)
    if theirs.keys() != ours.keys():
        return f"it searches {sorted(theirs)}, this study {sorted(ours)}"
    for name in ours:
        if theirs[name].type != ours[name].type:
            return f"its {name} is {theirs[name].type!r}, that of this study {ours[name].type!r}"
    return None


def _could_be_drawn(params: Mapping[str, Parameter], point: Mapping[str, Any]) -> bool:
    space = dimensions(params)
    values = {name: value for name, value in params.items() if name not in space}
    for name, dimension in space.items():
        if holds(dimension.when, values) != (name in point):
            return False
        if name in point:
            if not dimension.allows(point[name]):
                return False
            values[name] = point[name]
    return True


def distribution(dimension: Dimension) -> BaseDistribution:
    """A dimension as Optuna's distribution."""
    if isinstance(dimension, CategoricalDimension):
        return CategoricalDistribution(dimension.choices)
    low, top = dimension.low, dimension.top
    if isinstance(dimension, FloatDimension):
        return FloatDistribution(low, top, log=dimension.log, step=dimension.step)
    return IntDistribution(int(low), int(top), log=dimension.log, step=dimension.step)


def stored(dimension: Dimension, value: Any) -> Any:
    """A value that a trial has had, within the distribution: rounding may have taken it above."""
    return min(value, dimension.top) if isinstance(dimension, FloatDimension) else value

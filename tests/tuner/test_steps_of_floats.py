"""A float with a step whose `high` no step meets: its values are those of Optuna, everywhere."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial
from sqlalchemy import select

from alphagrad.tuner import StudySpec, leases, results
from alphagrad.tuner.database import Database
from alphagrad.tuner.grid import Grid
from alphagrad.tuner.importance import Importances
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.optuna_tables import PARAMS
from alphagrad.tuner.population import Population, explore
from alphagrad.tuner.space import FloatDimension, nth
from alphagrad.tuner.warm_start import distribution

Submit = Callable[..., StudyRow]
OFF = {"type": "float", "low": 0.0, "high": 0.75, "step": 0.1}
ROUNDED_UP = 7 * 0.1
"""Above Optuna's last value, 0.7."""


def dimension(**changes: Any) -> FloatDimension:
    return FloatDimension.model_validate(OFF | changes)


def test_the_last_value_is_optunas() -> None:
    assert ROUNDED_UP > 0.7
    assert dimension().top == 0.7
    chance = random.Random(1)
    for _ in range(2000):
        step = round(chance.uniform(0.001, 3), chance.randrange(1, 6)) or 1.0
        low = round(chance.uniform(-5, 5), chance.randrange(6))
        one = dimension(low=low, high=low + chance.uniform(0, 20), step=step)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = FloatDistribution(one.low, one.high, step=one.step)
        assert one.top == theirs.high, one
        assert theirs._contains(nth(one, chance.randrange(30_000))), one


def test_a_grid_and_a_population_stay_within_optunas_range() -> None:
    one = dimension()
    theirs = distribution(one)
    grid = Grid({"x": one}, points=None)
    values = [grid.point(place)["x"] for place in range(grid.size)]
    assert values == pytest.approx([place / 10 for place in range(8)])
    population = Population(perturbation_interval=1, mutate=["x"], perturbation_factors=[9.0])
    values += [explore(population, {"x": one}, {"x": 0.5}, seed=seed)["x"] for seed in range(20)]
    assert max(values) == 0.7
    assert all(theirs._contains(value) for value in values)


def test_stored_values_that_rounding_took_above_do_no_harm(
    database: Database,
    optuna_storage: OptunaStorage,
    submit: Submit,
    optuna_trials: Callable[[Database, str], list[FrozenTrial]],
) -> None:
    params = {"epochs": 1, "momentum": OFF}
    submit(name="source", n_trials=8, parallelism=8, sampler={"type": "grid"}, params=params)
    for _ in range(8):
        run_one(database, optuna_storage)
    with database.write() as session:  # as it was stored before
        last = session.scalars(select(TrialRow).order_by(TrialRow.number.desc())).first()
        assert last is not None
        assert last.params == {"epochs": 1, "momentum": 0.7}
        last.params = {"epochs": 1, "momentum": ROUNDED_UP}
        mine = PARAMS.c.trial_id == last.optuna_trial_id
        session.execute(PARAMS.update().where(mine).values(param_value=ROUNDED_UP))
    assert Importances(database).of("source").importances == {"momentum": 1.0}
    submit(name="warm", warm_start=["source"], params=params)
    theirs = [trial.params["momentum"] for trial in optuna_trials(database, "warm")]
    assert theirs == pytest.approx([place / 10 for place in range(8)])
    assert max(theirs) == 0.7


def run_one(database: Database, storage: OptunaStorage) -> None:
    claimed = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    assert claimed is not None
    spec = StudySpec.model_validate(claimed.study.spec)
    study_id = claimed.study.optuna_study_id or 0
    slot = claimed.trial.slot
    asked = storage.ask(spec, optuna_study_id=study_id, slot=slot, resumed=False)
    results.record_ask(database, claimed, asked)
    value = asked.params["momentum"]
    mine: Any = {"trial_id": claimed.trial.id, "fence": claimed.fence}
    results.finish(database, state="COMPLETE", value=value, **mine)

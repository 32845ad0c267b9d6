"""Each sampler on both databases: it searches, and a seed gives the same search again."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from alphagrad.tuner import StudySpec
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import SpecError
from alphagrad.tuner.grid import Grid
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.space import FloatDimension, IntDimension
from tests.tuner.asker import Asker, play

Spec = Callable[..., StudySpec]

SPACE: dict[str, Any] = {
    "alpha": {"type": "float", "low": 1.0, "high": 100.0, "log": True},
    "momentum": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.1},
    "batch_size": {"type": "int", "low": 32, "high": 256, "log": True},
}
SAMPLERS: dict[str, tuple[dict[str, Any], int]] = {
    "tpe": ({"type": "tpe", "n_startup_trials": 4}, 7),
    "random": ({"type": "random"}, 4),
    "qmc": ({"type": "qmc"}, 4),
    "gp": ({"type": "gp", "n_startup_trials": 3, "deterministic_objective": True}, 5),
    "cmaes": ({"type": "cmaes", "n_startup_trials": 2, "popsize": 4}, 9),
    "cmaes with margin": ({"type": "cmaes", "with_margin": True}, 5),
    "nsga2": ({"type": "nsga2", "population_size": 4, "mutation_prob": 0.3}, 7),
    "grid": ({"type": "grid", "points": 3}, 4),
    "brute force": ({"type": "brute_force"}, 4),
}


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Database]:
    """Another empty database."""
    database = Database(f"sqlite:///{tmp_path / 'second.db'}")
    migrate(database)
    yield database
    database.dispose()


def far(params: Mapping[str, Any]) -> float:
    """How far parameters are from a point, to be minimised."""
    return float(
        abs(params["alpha"] - 30) + params["momentum"] + abs(params["batch_size"] - 64) / 64
    )


@pytest.mark.parametrize(("sampler", "n_trials"), SAMPLERS.values(), ids=SAMPLERS)
def test_a_sequential_study_is_the_same_again_also_after_a_restart(
    database: Database, second: Database, spec: Spec, sampler: dict[str, Any], n_trials: int
) -> None:
    space = SPACE if sampler["type"] != "brute_force" else SPACE | {"alpha": 50.0}
    one = spec(n_trials=n_trials, sampler=sampler, params=space, direction="minimize", seed=5)
    first = play(database, one, far)
    assert play(second, one, far, restart_at=n_trials // 2) == first
    # A genetic algorithm may have the same child twice.
    assert len({str(sorted(params.items())) for params in first}) >= n_trials - 2
    for params in first:
        assert 1.0 <= params["alpha"] <= 100.0
        assert 0.0 <= params["momentum"] <= 0.9 + 1e-9
        assert isinstance(params["batch_size"], int)
        assert 32 <= params["batch_size"] <= 256


@pytest.mark.parametrize(
    "sampler",
    [
        {"type": "random"},
        {"type": "tpe", "n_startup_trials": 8},
        {"type": "cmaes"},
        {"type": "gp", "n_startup_trials": 4},
    ],
    ids=lambda sampler: str(sampler["type"]),
)
def test_a_sampler_that_learns_finds_more_than_a_random_one(
    second: Database, spec: Spec, sampler: dict[str, Any]
) -> None:
    unit = {"type": "float", "low": 0.01, "high": 1.0}
    space = {"alpha": unit, "learning_rate": unit}
    one = spec(n_trials=24, sampler=sampler, params=space, direction="minimize", seed=3)
    played = play(second, one, lambda p: (p["alpha"] - 0.7) ** 2 + (p["learning_rate"] - 0.2) ** 2)
    near = [
        p
        for p in played[12:]
        if abs(p["alpha"] - 0.7) < 0.2 and abs(p["learning_rate"] - 0.2) < 0.2
    ]
    # Of random points 16 % are so near.
    assert (len(near) >= 6) == (sampler["type"] != "random")


CONDITIONAL: dict[str, Any] = {
    "optimizer": {"type": "categorical", "choices": ["alphagrad", "sgd", "adam"]},
    "alpha": {
        "type": "float",
        "low": 10,
        "high": 30,
        "step": 10,
        "when": {"optimizer": "alphagrad"},
    },
    "nesterov": {
        "type": "categorical",
        "choices": [True, False],
        "when": {"optimizer": ["alphagrad", "sgd"]},
    },
    "epochs": 3,
}


def all_points() -> list[dict[str, Any]]:
    found = []
    for optimizer in ("alphagrad", "sgd", "adam"):
        alphas = [10.0, 20.0, 30.0] if optimizer == "alphagrad" else [None]
        looks = [None] if optimizer == "adam" else [True, False]
        for alpha, nesterov in itertools.product(alphas, looks):
            point = {"epochs": 3, "optimizer": optimizer, "alpha": alpha, "nesterov": nesterov}
            found.append({name: value for name, value in point.items() if value is not None})
    return found


@pytest.mark.parametrize("sampler", ["grid", "brute_force"])
def test_each_point_is_taken_once_also_with_conditions(
    database: Database, spec: Spec, sampler: str
) -> None:
    expected = all_points()
    one = spec(n_trials=len(expected), sampler={"type": sampler}, params=CONDITIONAL)
    played = play(database, one, lambda params: 0.0)

    def key(params: Mapping[str, Any]) -> str:
        return str(sorted(params.items()))

    assert sorted(map(key, played)) == sorted(map(key, expected))
    assert (played == expected) == (sampler == "grid")  # the other shuffles
    with pytest.raises(SpecError, match=f"n_trials=10, but the {sampler} has 9 points"):
        spec(n_trials=10, sampler={"type": sampler}, params=CONDITIONAL)


def test_a_number_that_was_lost_leaves_no_gap_in_a_grid(database: Database, spec: Spec) -> None:
    params = {"batch_size": {"type": "int", "low": 1, "high": 3}}
    storage = OptunaStorage(database)
    asker = Asker(storage, spec(sampler={"type": "grid"}, params=params))
    asker.ask(0)
    asker.ask(0)  # a worker that had lost its lease asked too
    numbers = [(asked.number, asked.params["batch_size"]) for asked in map(asker.ask, (1, 2))]
    assert numbers == [(2, 2), (3, 3)]
    storage.dispose()


def test_workers_at_once_take_each_point_of_a_grid_once(database: Database, spec: Spec) -> None:
    params = {"batch_size": {"type": "int", "low": 1, "high": 12}}
    one = spec(n_trials=12, sampler={"type": "brute_force"}, params=params)
    start = threading.Barrier(3)
    taken: list[int] = []

    def ask(slots: range) -> None:
        storage = OptunaStorage(database)
        asker = Asker(storage, one)
        start.wait()
        taken.extend(asker.ask(slot).params["batch_size"] for slot in slots)
        storage.dispose()

    threads = [threading.Thread(target=ask, args=(range(i, 12, 3),)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 13))


def test_the_values_of_a_grid() -> None:
    grid = Grid(
        {
            "a": FloatDimension(type="float", low=1.0, high=100.0, log=True),
            "b": FloatDimension(type="float", low=0.0, high=0.3, step=0.1),
            "c": IntDimension(type="int", low=1, high=6, step=2),
        },
        points=3,
    )
    assert grid.size == 3 * 4 * 3
    points = [grid.point(place) for place in range(grid.size)]
    assert sorted({point["a"] for point in points}) == pytest.approx([1.0, 10.0, 100.0])
    assert sorted({point["b"] for point in points}) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [point["c"] for point in points[:4]] == [1, 3, 5, 1]


def test_rounding_takes_no_value_of_a_grid_above_its_bound() -> None:
    dimension = FloatDimension(type="float", low=0.0, high=0.3, step=0.1)
    grid = Grid({"x": dimension}, points=None)
    last = grid.point(grid.size - 1)["x"]
    assert (grid.size, last) == (4, 0.3)
    assert dimension.allows(last)


@pytest.mark.parametrize(
    ("sampler", "field"),
    [
        ({"type": "tpe", "n_ei_candidates": 10_001}, "sampler.n_ei_candidates"),
        ({"type": "gp", "n_startup_trials": 2**31}, "sampler.n_startup_trials"),
        ({"type": "cmaes", "popsize": 1_000_001}, "sampler.popsize"),
        ({"type": "nsga2", "population_size": 1_000_001}, "sampler.population_size"),
    ],
)
def test_a_number_without_sense_is_named(spec: Spec, sampler: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError, match="less than") as caught:
        spec(sampler=sampler)
    assert [error.field for error in caught.value.errors] == [field]


WHEN = [f"x{i}" for i in range(7)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": {"type": "grid"}}, "alpha has infinitely many values: give it a step"),
        ({"sampler": {"type": "brute_force"}}, "alpha has infinitely many values"),
        ({"sampler": {"type": "brute_force", "points": 3}}, "sampler.points"),
        ({"sampler": {"type": "grid", "points": 2}, "n_trials": 3}, "has 2 points"),
        (
            {"sampler": {"type": "grid", "points": 3}, "enqueue": [{"alpha": 5.0}]},
            "enqueue does not go with grid",
        ),
        (
            {
                "sampler": {"type": "brute_force"},
                "params": {
                    name: {"type": "int", "low": 1, "high": 2000}
                    for name in ("batch_size", "epochs")
                },
            },
            "brute_force over 4000000 points: at most 1000000",
        ),
        (
            {
                "sampler": {"type": "grid"},
                "params": {"batch_size": {"type": "int", "low": 1, "high": 200_000}},
            },
            "more than 100000 values",
        ),
        (
            {
                "engine": "remote",
                "sampler": {"type": "brute_force"},
                "params": {"n": {"type": "int", "low": 0, "high": 2**63 - 1}},
            },
            "n has more than 100000 values",
        ),
        (
            {
                "engine": "remote",
                "sampler": {"type": "brute_force"},
                "params": {"x": {"type": "float", "low": 0, "high": 1e308, "step": 1e-10}},
            },
            "x has more than 100000 values",
        ),
        (
            {
                "engine": "remote",
                "sampler": {"type": "grid"},
                "params": {f"x{i}": {"type": "int", "low": 0, "high": 1} for i in range(600)},
            },
            "600 parameters are searched: at most 200 on a grid",
        ),
        (
            {
                "engine": "remote",
                "sampler": {"type": "grid"},
                "params": {f"x{i}": {"type": "int", "low": 1, "high": 10} for i in range(7)}
                | {"y": {"type": "int", "low": 1, "high": 2, "when": dict.fromkeys(WHEN, 1)}},
            },
            r"x6\) have 10000000 combinations: at most 100000 on a grid",
        ),
    ],
)
def test_a_space_without_such_points_is_refused(
    spec: Spec, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        spec(**{"n_trials": 2, **changes})


@pytest.mark.parametrize(("sampler", "n_trials"), SAMPLERS.values(), ids=SAMPLERS)
def test_a_sampler_writes_nothing_when_a_trial_ends(
    optuna_storage: OptunaStorage, spec: Spec, sampler: dict[str, Any], n_trials: int
) -> None:
    # tuner/optuna_ends.py ends trials without asking it.
    space = SPACE if sampler["type"] != "brute_force" else SPACE | {"alpha": 50.0}
    asker = Asker(optuna_storage, spec(params=space, sampler=sampler))
    rdb, study_id = optuna_storage.rdb, asker.study_id
    for slot in range(n_trials):
        asked = asker.ask(slot)
        study = optuna_storage.study(asker.spec, number=asked.number)
        before = rdb.get_trial(asked.optuna_trial_id), rdb.get_study_system_attrs(study_id)
        study.sampler.after_trial(study, before[0], TrialState.COMPLETE, [1.0])
        after = rdb.get_trial(asked.optuna_trial_id), rdb.get_study_system_attrs(study_id)
        assert after == before
        asker.tell(asked, "COMPLETE", far(asked.params))

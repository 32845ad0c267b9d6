"""Who exploits whom, and what exploring makes of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from alphagrad.tuner import StudySpec
from alphagrad.tuner.errors import SpecError
from alphagrad.tuner.population import Member, Population, explore, sources

Spec = Callable[..., StudySpec]


def population(**changes: Any) -> Population:
    settings: dict[str, Any] = {"perturbation_interval": 1, "mutate": ["alpha"]} | changes
    return Population.model_validate(settings)


def who(scores: list[float | None], *, maximize: bool = True, **changes: Any) -> list[list[int]]:
    """Whom each of the members may exploit."""
    members = [Member(number, score) for number, score in enumerate(scores)]
    return [
        sources(population(**changes), members, number=member.number, maximize=maximize)
        for member in members
    ]


@pytest.mark.parametrize(
    ("scores", "changes", "expected"),
    [
        ([0.5], {}, [[]]),
        ([0.5, 0.7], {}, [[1], []]),
        ([0.5, 0.7, 0.6], {}, [[1], [], []]),
        ([4.0, 3.0, 2.0, 1.0], {}, [[], [], [], [0]]),
        ([4.0, 3.0, 2.0, 1.0], {"quantile_fraction": 0.5}, [[], [], [1, 0], [1, 0]]),
        ([4.0, 3.0, 2.0, 1.0], {"maximize": False}, [[3], [], [], []]),
        ([None, 1.0, 2.0, None], {}, [[2], [], [], []]),
        ([None, 1.0], {"maximize": False}, [[1], []]),
        ([1.0, 1.0, 1.0, 1.0], {}, [[], [], [], []]),
        ([None, None], {}, [[], []]),
    ],
)
def test_the_lower_quantile_exploits_the_upper(
    scores: list[float | None], changes: dict[str, Any], expected: list[list[int]]
) -> None:
    assert who(scores, **changes) == expected


SPACE: dict[str, Any] = {
    "alpha": {"type": "float", "low": 1.0, "high": 100.0, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.125},
    "batch_size": {"type": "int", "low": 16, "high": 256, "step": 16},
    "optimizer": {"type": "categorical", "choices": ["a", "b", "c"]},
    "epochs": 3,
}
VALUES: dict[str, Any] = {"alpha": 10.0, "dropout": 0.25, "batch_size": 64, "optimizer": "b"}


def explored(spec: Spec, values: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    space = StudySpec.model_validate(
        {"name": "s", "task": "any", "n_trials": 2, "params": SPACE}
    ).params
    one = population(mutate=list(VALUES), **changes)
    return [explore(one, space, values, seed=seed) for seed in range(200)]


def test_numbers_are_multiplied_and_choices_move_to_a_neighbour(spec: Spec) -> None:
    found = explored(
        spec, VALUES | {"epochs": 3}, resample_probability=0.0, perturbation_factors=[0.5, 2.0]
    )
    assert {one["alpha"] for one in found} == {5.0, 20.0}
    assert {one["dropout"] for one in found} == {0.125, 0.5}
    assert {one["batch_size"] for one in found} == {32, 128}
    assert {one["optimizer"] for one in found} == {"a", "c"}
    assert {one["epochs"] for one in found} == {3}
    assert len({(one["alpha"], one["batch_size"], one["optimizer"]) for one in found}) == 8
    assert all(type(one["batch_size"]) is int for one in found)


def test_nothing_leaves_its_range(spec: Spec) -> None:
    edge = {"alpha": 100.0, "dropout": 0.0, "batch_size": 256, "optimizer": "c"}
    found = explored(spec, edge, resample_probability=0.0, perturbation_factors=[1.1, 3.0])
    assert {one["alpha"] for one in found} == {100.0}
    assert {one["dropout"] for one in found} == {0.0}
    assert {one["batch_size"] for one in found} == {256}
    assert {one["optimizer"] for one in found} == {"b", "c"}


def test_what_is_drawn_anew_covers_the_range(spec: Spec) -> None:
    found = explored(spec, VALUES, resample_probability=1.0)
    logs = [math.log10(one["alpha"]) for one in found]
    assert 0 <= min(logs) < 0.1 < 1.9 < max(logs) <= 2
    assert 0.8 < sum(logs) / len(logs) < 1.2  # even on the log scale
    assert {one["dropout"] for one in found} == {0.0, 0.125, 0.25, 0.375, 0.5}
    assert {one["batch_size"] for one in found} == set(range(16, 257, 16))
    assert {one["optimizer"] for one in found} == {"a", "b", "c"}


def test_what_the_source_did_not_draw_is_left_out(spec: Spec) -> None:
    assert all(set(one) == {"alpha"} for one in explored(spec, {"alpha": 3.0}))


PBT = {"perturbation_interval": 2, "mutate": ["alpha"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_trials": 1}, "a population needs at least 2 members, got n_trials=1"),
        ({"engine": "ray"}, "engine 'ray' runs no population; use engine 'optuna'"),
        ({"pruner": {"type": "median"}}, "pruner='median' does not go with a population"),
        ({"population": PBT | {"mutate": []}}, "population.mutate: List should have at least 1"),
        ({"population": PBT | {"mutate": ["epochs"]}}, "'epochs' is not searched; searched are"),
        ({"population": PBT | {"mutate": ["alpha"] * 2}}, "the parameters to mutate must differ"),
        ({"population": PBT | {"quantile_fraction": 0.6}}, "less than or equal to 0.5 (got 0.6)"),
        ({"population": PBT | {"perturbation_interval": 0}}, "greater than or equal to 1 (got 0)"),
        ({"population": PBT | {"perturbation_factors": [0.0]}}, "greater than 0 (got 0.0)"),
    ],
)
def test_a_population_that_does_not_fit_is_refused(
    spec: Spec, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as error:
        spec(**{"population": PBT} | changes)
    assert message in str(error.value)


def test_a_stack_is_refused(spec: Spec) -> None:
    params = {"total_timesteps": 2048, "k": {"type": "float", "low": 0.1, "high": 3.0}}
    with pytest.raises(SpecError, match="stack=2 does not go with a population"):
        spec(
            task="ppo",
            params=params,
            stack=2,
            parallelism=2,
            population=PBT | {"mutate": ["k"]},
        )


def test_what_a_task_cannot_change_at_a_checkpoint_is_refused(spec: Spec) -> None:
    params = spec().params | {"epochs": {"type": "int", "low": 2, "high": 4}}
    with pytest.raises(SpecError, match="digits cannot change it at a checkpoint; it can: alpha"):
        spec(params=params, population=PBT | {"mutate": ["alpha", "epochs"]})


def test_what_decides_about_others_is_refused(spec: Spec) -> None:
    params = {
        "optimizer": {"type": "categorical", "choices": ["alphagrad", "adam"]},
        "alpha": {"type": "float", "low": 1.0, "high": 9.0, "when": {"optimizer": "alphagrad"}},
    }
    with pytest.raises(SpecError, match="'optimizer' decides whether 'alpha' is drawn"):
        spec(params=params, population=PBT | {"mutate": ["optimizer"]})
    assert spec(params=params, population=PBT).population is not None


def test_several_objectives_are_refused(spec: Spec) -> None:
    for changes in ({"directions": ["maximize", "minimize"]}, {"constraints": ["size"]}):
        with pytest.raises(SpecError, match="by one objective, without constraints"):
            spec(population=PBT, **changes)


def test_alpha_of_single_layers_mutates(spec: Spec) -> None:
    params = {"alpha[hidden*]": {"type": "float", "low": 1.0, "high": 9.0}}
    one = spec(params=params, population=PBT | {"mutate": ["alpha[hidden*]"]})
    assert one.population is not None

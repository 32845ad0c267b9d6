"""What fits together badly is said where a study is submitted, and not refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from alphagrad.tuner import StudySpec
from alphagrad.tuner.advice import spec_warnings

FLOATS = {
    "alpha": {"type": "float", "low": 1.0, "high": 100.0},
    "momentum": {"type": "float", "low": 0.1, "high": 0.9},
}
CHOICE = {"nesterov": {"type": "categorical", "choices": [True, False]}}
CONDITIONAL = CHOICE | {
    "alpha": {"type": "float", "low": 1, "high": 100, "when": {"nesterov": True}},
    "momentum": {"type": "float", "low": 0.1, "high": 0.9},
    "dampening": 0.0,
}


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"n_trials": 10}, "tpe draws its first n_startup_trials=10 at random: here all 10"),
        ({"n_trials": 11}, None),
        ({"n_trials": 5, "params": {}}, None),
        ({"n_trials": 5, "sampler": {"type": "random"}}, None),
        ({"n_trials": 10_001}, "tpe reads all trials at each ask: with 10001"),
        ({"sampler": {"type": "gp"}, "n_trials": 61}, "gp with 61 trials: each ask takes longer"),
        ({"sampler": {"type": "gp"}}, None),
        (
            {"sampler": {"type": "gp"}, "params": CONDITIONAL},
            "gp draws parameters with a condition at random: alpha",
        ),
        ({"sampler": {"type": "cmaes"}}, None),
        (
            {"sampler": {"type": "cmaes"}, "params": CONDITIONAL},
            "cmaes draws parameters with a condition at random: alpha",
        ),
        (
            {"sampler": {"type": "cmaes"}, "params": {"alpha": FLOATS["alpha"]}},
            "cmaes searches two numbers or more; here it draws at random",
        ),
        (
            {"sampler": {"type": "cmaes"}, "params": FLOATS | CHOICE},
            "cmaes draws choices at random: nesterov",
        ),
        ({"sampler": {"type": "qmc"}}, None),
        (
            {"sampler": {"type": "qmc"}, "params": CONDITIONAL},
            "qmc draws parameters with a condition at random: alpha",
        ),
        ({"sampler": {"type": "qmc"}, "params": FLOATS | CHOICE}, None),
        ({"sampler": {"type": "nsga2"}}, "nsga2 draws its first population_size=50 at random"),
        ({"sampler": {"type": "nsga2", "population_size": 19}}, None),
        (
            {"pruner": {"type": "median", "n_startup_trials": 20}},
            "median prunes nothing in the first n_startup_trials=20: here all 20",
        ),
        ({"pruner": {"type": "percentile", "percentile": 25.0, "n_startup_trials": 9}}, None),
        (
            {"pruner": {"type": "patient", "patience": 1, "wrapped_pruner": {"type": "median"}}},
            None,
        ),
        (
            {
                "pruner": {
                    "type": "patient",
                    "patience": 1,
                    "wrapped_pruner": {"type": "median", "n_startup_trials": 99},
                }
            },
            "median prunes nothing in the first n_startup_trials=99: here all 20",
        ),
        (
            {
                "pruner": {
                    "type": "saturation",
                    "value_pruner": {"type": "median", "n_startup_trials": 99},
                }
            },
            "median prunes nothing",
        ),
        (
            {"pruner": {"type": "hyperband", "min_resource": 9, "max_resource": 20}},
            "hyperband has one bracket only, as successive_halving: max_resource is below "
            "min_resource·reduction_factor",
        ),
        ({"pruner": {"type": "hyperband", "max_resource": 20}}, None),
        (
            {"pruner": {"type": "successive_halving"}, "warm_start": ["other"]},
            "successive_halving judges without regard to the trials of warm_start",
        ),
        (
            {"pruner": {"type": "saturation"}, "params": {"optimizer": "adam"}},
            "the saturation pruner stops nothing with optimizer='adam', which has no alpha",
        ),
    ],
)
def test_what_does_not_fit_is_said(
    spec: Callable[..., StudySpec], changes: dict[str, Any], warning: str | None
) -> None:
    found = spec_warnings(spec(**{"n_trials": 20, "params": FLOATS, **changes}))
    if warning is None:
        assert found == []
    else:
        [said] = found
        assert said.startswith(warning)

"""The parts of `alphagrad demo`; the whole takes minutes."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from alphagrad import demo
from alphagrad.tuner import parse_spec
from alphagrad.tuner.spec_reading import load_toml


@pytest.fixture
def search() -> dict[str, Any]:
    """The study that the demo submits."""
    return load_toml(Path(str(files("alphagrad.studies") / "cartpole_dqn.toml")))


@pytest.mark.parametrize("changes", [{"alpha_rule": "sqrt_d"}, {"optimizer": "adam"}])
def test_a_baseline_is_the_same_study_without_alpha(
    search: dict[str, Any], changes: dict[str, Any]
) -> None:
    spec = parse_spec(demo._baseline(search, "base", **changes))
    assert spec.name == "cartpole_dqn-base"
    assert "alpha" in search["params"]  # the search itself is left as it is
    expected = {k: v for k, v in parse_spec(search).params.items() if k != "alpha"} | changes
    assert spec.params == expected
    assert spec.n_trials == demo.BASELINE_TRIALS


def test_a_repeat_has_constants_and_seeds_of_its_own(search: dict[str, Any]) -> None:
    params = {n: v for n, v in search["params"].items() if not isinstance(v, dict)}
    params |= {"alpha": 12.5, "learning_rate": 1e-3}
    study = {
        "spec": parse_spec(search).model_dump(mode="json"),
        "best": {"params": params, "value": 400.0},
    }
    spec = parse_spec(demo._repeat(study, "again"))
    assert spec.name == "again"
    assert spec.params == params
    assert spec.n_trials == demo.COMPARED_SEEDS
    assert spec.seed == demo.COMPARISON_SEED != search["seed"]
    assert (spec.task, spec.direction, spec.parallelism) == ("dqn", "maximize", 2)
    assert spec.pruner.type == "none"  # all seeds count, the bad ones too

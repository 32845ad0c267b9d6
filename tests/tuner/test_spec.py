import json
import math
from pathlib import Path
from typing import Any

import pytest

from alphagrad.tuner import load_spec, parse_spec, task
from alphagrad.tuner.errors import SpecError
from alphagrad.tuner.registry import _registry

BODY: dict[str, Any] = {
    "name": "bar",
    "task": "dqn",
    "n_trials": 20,
    "parallelism": 2,
    "direction": "maximize",
    "seed": 1,
    "engine": "optuna",
    "sampler": {"type": "tpe"},
    "pruner": {"type": "median"},
    "params": {
        "total_timesteps": 30000,
        "alpha": {"type": "float", "low": 30, "high": 300, "log": True},
    },
}
TOML = """
name = "bar"
task = "dqn"
n_trials = 20
parallelism = 2
direction = "maximize"
seed = 1
engine = "optuna"
sampler.type = "tpe"
pruner.type = "median"

[params]
total_timesteps = 30_000
alpha = { type = "float", low = 30, high = 300, log = true }
"""


def errors(**changes: Any) -> dict[str, Any]:
    body = {name: value for name, value in (BODY | changes).items() if value is not ...}
    with pytest.raises(SpecError) as caught:
        parse_spec(body)
    found = {error.field: error.value for error in caught.value.errors}
    for error in caught.value.errors:
        assert error.message
        assert error.field in str(caught.value)
        assert repr(error.value) in str(caught.value)
    return found


def test_a_toml_file_and_a_json_body_give_the_same_spec(tmp_path: Path) -> None:
    path = tmp_path / "bar.toml"
    path.write_text(TOML)
    spec = parse_spec(json.loads(json.dumps(BODY)))
    assert load_spec(path) == spec
    # What is stored in SQL reads back as the same study.
    assert parse_spec(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


def test_the_defaults() -> None:
    spec = parse_spec({"name": "a", "task": "digits", "n_trials": 1})
    assert (spec.direction, spec.parallelism, spec.retries) == ("maximize", 1, 0)
    assert (spec.engine, spec.timeout, spec.params) == ("optuna", None, {})
    assert (spec.sampler.type, spec.pruner.type) == ("tpe", "none")
    other = parse_spec({"name": "a", "task": "digits", "n_trials": 1})
    assert spec.seed != other.seed


def alpha(**changes: Any) -> dict[str, Any]:
    return {"alpha": {"type": "float", "low": 1, "high": 2} | changes}


WIDE = {"type": "float", "low": -1e308, "high": 1e308}


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"n_trials": 0}, "n_trials", 0),
        ({"n_trials": 2.5}, "n_trials", 2.5),
        ({"n_trials": True}, "n_trials", True),
        ({"n_trials": "20"}, "n_trials", "20"),
        ({"parallelism": 0}, "parallelism", 0),
        ({"direction": "up"}, "direction", "up"),
        ({"timeout": 0}, "timeout", 0),
        ({"timeout": math.inf}, "timeout", math.inf),
        ({"seed": -1}, "seed", -1),
        ({"seed": 2**32}, "seed", 2**32),
        ({"retries": -1}, "retries", -1),
        ({"max_failed_trials": 2**31}, "max_failed_trials", 2**31),
        ({"engine": "slurm"}, "engine", "slurm"),
        ({"task": "nonsense"}, "task", "nonsense"),
        ({"sampler": {"type": "magic"}}, "sampler.type", "magic"),
        ({"sampler": {"type": "tpe", "n_startup_trials": -1}}, "sampler.n_startup_trials", -1),
        ({"pruner": {"type": "magic"}}, "pruner.type", "magic"),
        ({"pruner": {"type": "percentile", "percentile": 100}}, "pruner.percentile", 100),
        ({"colour": "red"}, "colour", "red"),
        ({"params": alpha(low=math.inf)}, "params.alpha.low", math.inf),
        (
            {"engine": "remote", "params": {"n": {"type": "int", "low": 1, "high": 10**400}}},
            "params.n.high",
            10**400,
        ),
        (
            {"engine": "remote", "params": {"x": WIDE}},
            "params.x",
            WIDE,
        ),
        ({"params": alpha(high="big")}, "params.alpha.high", "big"),
        ({"params": alpha(type="gamma")}, "params.alpha", "gamma"),
        ({"params": alpha(type="int", low=0.5)}, "params.alpha.low", 0.5),
        ({"params": alpha(low=-1)}, "params.alpha", -1.0),
        ({"params": {"gamma": 2}}, "params.gamma", 2),
        ({"params": {"batch_size": "many"}}, "params.batch_size", "many"),
        ({"params": {"alhpa": 3.0}}, "params.alhpa", "alhpa"),
    ],
)
def test_a_bad_field_is_named_with_its_value(
    changes: dict[str, Any], field: str, value: Any
) -> None:
    found = errors(**changes)
    assert list(found) == [field]
    assert found[field] == value


def test_an_inverted_range_is_named_with_its_values() -> None:
    found = errors(params=alpha(low=3))
    assert found == {"params.alpha": {"type": "float", "low": 3, "high": 2}}


def test_a_nan_bound_is_named() -> None:
    found = errors(params=alpha(low=math.nan))
    assert list(found) == ["params.alpha.low"]
    assert math.isnan(found["params.alpha.low"])


@pytest.mark.parametrize("field", ["name", "task", "n_trials"])
def test_a_missing_field_is_named(field: str) -> None:
    assert list(errors(**{field: ...})) == [field]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert set(errors(n_trials=0, direction="up", params=alpha(low=math.nan))) == {
        "n_trials",
        "direction",
        "params.alpha.low",
    }


def test_an_unknown_parameter_lists_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"dqn has no such parameter; it has: alpha, alpha_band"):
        parse_spec(BODY | {"params": {"alhpa": 3.0}})


def test_an_unknown_task_lists_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"the registered tasks are: .*digits, dqn"):
        parse_spec(BODY | {"task": "nonsense"})


def test_an_edge_that_the_task_refuses_is_named() -> None:
    found = errors(params={"gamma": {"type": "float", "low": 0.9, "high": 1.5}})
    assert found == {"params.gamma": 1.5}


def test_a_combination_that_the_task_refuses_is_found_before_it_runs() -> None:
    choices = {"type": "categorical", "choices": ["alphagrad", "adam"]}
    with pytest.raises(SpecError, match=r"alpha=1\.0 has no effect with optimizer='adam'"):
        parse_spec(BODY | {"params": alpha() | {"optimizer": choices}})
    params = alpha(when={"optimizer": "alphagrad"}) | {"optimizer": choices}
    assert set(parse_spec(BODY | {"params": params}).params) == {"alpha", "optimizer"}


OPTIMIZER = {"type": "categorical", "choices": ["alphagrad", "adam"]}


@pytest.mark.parametrize("engine", ["optuna", "remote"])
@pytest.mark.parametrize(
    ("when", "parent", "message"),
    [
        ({"optimizer": []}, OPTIMIZER, r"names no value.*\['alphagrad', 'adam'\]"),
        ({"optimizer": "sgd"}, OPTIMIZER, r"'sgd' is never.*\['alphagrad', 'adam'\]"),
        ({"optimizer": ["adam", "sgd"]}, OPTIMIZER, r"'sgd' is never.*\['alphagrad', 'adam'\]"),
        ({"optimizer": "alphagrad"}, "adam", "'alphagrad' is never.*'adam'"),
        ({"optimizer": ["alphagrad"]}, "adam", "'alphagrad' is never.*'adam'"),
        ({"hidden": 4}, {"type": "int", "low": 1, "high": 9, "step": 2}, "4 is never.*'step': 2"),
        ({"hidden": 11}, {"type": "int", "low": 1, "high": 9}, "11 is never.*'high': 9"),
        ({"hidden": "1"}, {"type": "int", "low": 1, "high": 9}, "'1' is never"),
        ({"gamma": 1.5}, {"type": "float", "low": 0.9, "high": 0.99}, "1.5 is never.*'high': 0.99"),
    ],
)
def test_a_condition_that_never_holds_is_named(
    when: dict[str, Any], parent: Any, message: str, engine: str
) -> None:
    [name] = when
    params = alpha(when=when) | {name: parent}
    with pytest.raises(SpecError, match=message) as caught:
        parse_spec(BODY | {"engine": engine, "params": params})
    assert [error.field for error in caught.value.errors] == ["params.alpha.when"]


@pytest.mark.parametrize(
    ("when", "parent"),
    [
        ({"optimizer": ["alphagrad", "adam"]}, "adam"),
        ({"optimizer": ["alphagrad"]}, OPTIMIZER),
        ({"hidden": 3.0}, {"type": "int", "low": 1, "high": 9, "step": 2}),
        ({"hidden": 3.0}, 3),
        ({"hidden": 2}, {"type": "float", "low": 1.0, "high": 9.0, "step": 0.5}),
        ({"hidden": 1}, {"type": "categorical", "choices": [True, False]}),
    ],
)
def test_a_condition_that_may_hold_is_allowed(when: dict[str, Any], parent: Any) -> None:
    [name] = when
    params = alpha(when=when) | {name: parent}
    assert parse_spec(BODY | {"engine": "remote", "params": params}).params.keys() == params.keys()


def test_a_circle_of_conditions_is_named() -> None:
    assert list(errors(params=alpha(when={"alpha": 1.0}))) == ["params"]


@pytest.mark.parametrize("name", ["a", "cartpole_dqn-2.1", "0", "x" * 100])
def test_these_names_are_allowed(name: str) -> None:
    assert parse_spec(BODY | {"name": name}).name == name


@pytest.mark.parametrize(
    "name", ["", "..", ".a", "-a", "a/b", "a b", "a\n", "a\\b", "é", "x" * 101, 5]
)
def test_these_names_are_refused(name: Any) -> None:
    assert errors(name=name) == {"name": name}


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"[params\n"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"not a TOML file.*bad\.toml"):
        load_spec(path)


@pytest.mark.parametrize(
    "param", [math.nan, math.inf, {"type": "categorical", "choices": [1.0, math.nan]}]
)
def test_a_number_that_json_cannot_hold_is_refused(
    param: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PostgreSQL refuses NaN in a JSON column: the study could not be stored.
    monkeypatch.setattr("alphagrad.tuner.registry._registry", dict(_registry))
    task("any-parameters")(lambda trial: 0.0)
    found = errors(task="any-parameters", params={"x": param})
    assert all(field.startswith("params.x") for field in found)

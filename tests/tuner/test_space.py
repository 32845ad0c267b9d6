import math
from typing import Any

import pytest
from optuna.trial import FixedTrial
from pydantic import TypeAdapter, ValidationError

from alphagrad.tuner import parse_spec
from alphagrad.tuner.errors import SpecError
from alphagrad.tuner.registry import get_task
from alphagrad.tuner.space import Parameter, check_point, dimensions, probe_points, suggest

parameters = TypeAdapter(dict[str, Parameter])


def parse(**params: Any) -> dict[str, Any]:
    return parameters.validate_python(params)


@pytest.mark.parametrize(
    ("dimension", "message"),
    [
        ({"type": "float", "low": 2, "high": 1}, "low=2.0 and high=1.0"),
        ({"type": "int", "low": 2, "high": 1}, "low=2 and high=1"),
        ({"type": "float", "low": math.nan, "high": 1}, "finite number, got nan"),
        ({"type": "float", "low": 0, "high": math.inf}, "finite number, got inf"),
        ({"type": "float", "low": 0, "high": 1, "log": True}, "low > 0, got low=0.0"),
        ({"type": "int", "low": 0, "high": 9, "log": True}, "low > 0, got low=0"),
        ({"type": "float", "low": 1, "high": 2, "log": True, "step": 0.5}, "got step=0.5"),
        ({"type": "int", "low": 1, "high": 9, "log": True, "step": 2}, "got step=2"),
        ({"type": "float", "low": 0, "high": 1, "step": 0}, "must be positive, got 0.0"),
        ({"type": "float", "low": 0, "high": 1, "step": math.nan}, "finite number, got nan"),
        ({"type": "int", "low": 0, "high": 9, "step": 0}, "greater than or equal to 1"),
        ({"type": "categorical", "choices": []}, "at least 1 item"),
        ({"type": "categorical", "choices": ["a", "b", "a"]}, "choices must differ"),
        ({"type": "float", "low": 0}, "Field required"),
        ({"type": "float", "low": 0, "high": 1, "lo": 0}, "Extra inputs"),
        ({"type": "gamma"}, "must be 'float', 'int' or 'categorical'"),
        ({"low": 0, "high": 1}, "must be 'float', 'int' or 'categorical'"),
        ({"rule": "sqrt_d"}, "a constant is a plain value or a list, not an object"),
    ],
)
def test_a_dimension_without_sense_is_refused(dimension: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse(x=dimension)


ROWS = [[0, 0.5], [10, 2]]
TABLE = {"rule": "lambda", "points": ROWS, "on": True, "sizes": [1, 2.5], "layers": "*.weight"}


@pytest.mark.parametrize(
    "constant", [1, 0.5, True, "relu", [64, 32], None, [], ROWS, [TABLE, {"rule": "sqrt_d"}]]
)
def test_a_plain_value_is_a_constant(constant: Any) -> None:
    assert parse(x=constant) == {"x": constant}
    assert repr(parse(x=constant)["x"]) == repr(constant)
    assert list(probe_points(parse(x=constant))) == [(None, {"x": constant})]


@pytest.mark.parametrize(
    "constant",
    [
        [[1.0, math.inf]],
        [{"gain": math.nan}],
        [{"points": [[0, math.nan]]}],
        [{"part": {"gain": 1.0}}],
        [{"parts": [{"gain": 1.0}]}],
        [[[1.0]]],
        [{"a\0": 1}],
        [{"name": "\0"}],
        [1, {"gain": 1.0}],
        [{1: 2}],
        {"gain": 1.0},
    ],
)
def test_tables_are_flat_and_numbers_finite(constant: Any) -> None:
    with pytest.raises(ValidationError):
        parse(x=constant)


def test_one_and_true_are_different_choices() -> None:
    [dimension] = parse(x={"type": "categorical", "choices": [1, True]}).values()
    assert dimension.choices == [1, True]


def categorical(*choices: Any, **when: Any) -> dict[str, Any]:
    return {"type": "categorical", "choices": list(choices)} | ({"when": when} if when else {})


def test_dimensions_come_after_those_they_depend_on() -> None:
    params = parse(c=categorical(1, b=1), b=categorical(1, 2, a="x"), a=categorical("x", "y"), k=3)
    assert list(dimensions(params)) == ["a", "b", "c"]


def test_conditions_in_a_circle_are_refused() -> None:
    params = parse(a=categorical(1, b=1), b=categorical(1, a=1), c=categorical(1))
    with pytest.raises(ValueError, match=r"\['a', 'b'\] depend on each other in a circle"):
        dimensions(params)


def test_a_condition_on_itself_is_a_circle() -> None:
    with pytest.raises(ValueError, match="circle"):
        dimensions(parse(a=categorical(1, a=1)))


def test_a_condition_on_no_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.when names 'typo', which is not a parameter"):
        dimensions(parse(a=categorical(1, typo=1)))


@pytest.mark.parametrize(
    ("choice", "drawn"),
    [("x", {"one", "some"}), ("y", {"some"}), ("z", set())],
)
def test_a_condition_is_a_value_or_a_list_of_values(choice: str, drawn: set[str]) -> None:
    params = parse(
        a=categorical("x", "y", "z"), one=categorical(1, a="x"), some=categorical(2, a=["x", "y"])
    )
    values = suggest(FixedTrial({"a": choice, "one": 1, "some": 2}), params)
    assert set(values) - {"a"} == drawn


def test_a_condition_can_name_a_constant() -> None:
    params = parse(mode="fast", a=categorical(1, mode="fast"), b=categorical(2, mode="slow"))
    assert suggest(FixedTrial({"a": 1, "b": 2}), params) == {"mode": "fast", "a": 1}


def test_conditions_chain() -> None:
    params = parse(a=categorical("x", "y"), b=categorical(1, a="x"), c=categorical(2, b=1))
    assert suggest(FixedTrial({"a": "y", "b": 1, "c": 2}), params) == {"a": "y"}


def test_every_kind_draws_within_its_range_and_keeps_its_type() -> None:
    params = parse(
        f={"type": "float", "low": 1, "high": 100, "log": True},
        q={"type": "float", "low": 0, "high": 1, "step": 0.25},
        i={"type": "int", "low": 2, "high": 8, "step": 3},
        c=categorical("a", "b"),
        k=7,
    )
    trial = FixedTrial({"f": 10.0, "q": 0.5, "i": 5, "c": "b"})
    assert suggest(trial, params) == {"k": 7, "f": 10.0, "q": 0.5, "i": 5, "c": "b"}
    float_, quantised, integer, _ = trial.distributions.values()
    assert (float_.low, float_.high, float_.log) == (1.0, 100.0, True)  # type: ignore[attr-defined]
    assert quantised.step == 0.25  # type: ignore[attr-defined]
    assert (integer.low, integer.high, integer.step) == (2, 8, 3)  # type: ignore[attr-defined]


def test_probes_visit_both_edges_and_every_choice() -> None:
    params = parse(x={"type": "float", "low": 0, "high": 1}, c=categorical("a", "b"), k=7)
    points = list(probe_points(params))
    assert points == [
        (None, {"k": 7, "x": 0.0, "c": "a"}),
        ("x", {"k": 7, "x": 0.0, "c": "a"}),
        ("x", {"k": 7, "x": 1.0, "c": "a"}),
        ("x", {"k": 7, "x": 0.618, "c": "a"}),
        ("c", {"k": 7, "x": 0.0, "c": "a"}),
        ("c", {"k": 7, "x": 0.0, "c": "b"}),
    ]


def test_a_conditional_dimension_is_probed_where_it_is_drawn() -> None:
    params = parse(
        optimizer=categorical("adam", "alphagrad"),
        alpha={
            "type": "float", "low": 1, "high": 300, "log": True,
            "when": {"optimizer": "alphagrad"},
        },
    )  # fmt: skip
    points = list(probe_points(params))
    assert ("alpha", {"optimizer": "alphagrad", "alpha": 300.0}) in points
    assert all(("alpha" in values) == (values["optimizer"] == "alphagrad") for _, values in points)
    for _, values in points:
        get_task("digits").complete(values)  # refuses alpha with adam


def test_a_condition_of_several_values_is_probed_at_each() -> None:
    params = parse(a=categorical(1, 2, 3), b=categorical("x", "y", a=[1, 3]))
    probed = [values for name, values in probe_points(params) if name == "b"]
    assert probed == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 3, "b": "x"}]


def test_a_range_of_floats_for_a_whole_number_is_refused_when_it_is_submitted() -> None:
    epochs = {"type": "float", "low": 5, "high": 20}
    with pytest.raises(SpecError, match=r"params\.epochs: Input should be a valid integer"):
        parse_spec({"name": "s", "task": "digits", "n_trials": 1, "params": {"epochs": epochs}})


def test_a_dimension_two_conditions_deep_is_probed() -> None:
    params = parse(a=categorical("x", "y"), b=categorical(1, 2, a=["y"]), c=categorical(3, 4, b=2))
    probed = [values for name, values in probe_points(params) if name == "c"]
    assert probed == [{"a": "y", "b": 2, "c": 3}, {"a": "y", "b": 2, "c": 4}]


EITHER = categorical("adam", "alphagrad")


@pytest.mark.parametrize(
    ("optimizer", "point", "refused"),
    [
        ("adam", {"alpha": 50.0}, "optimizer is 'alphagrad', and optimizer is 'adam'"),
        ("alphagrad", {"alpha": 50.0}, None),
        (
            categorical("adam", "alphagrad"),
            {"alpha": 50.0, "optimizer": "adam"},
            "and optimizer is 'adam'",
        ),
        (EITHER, {"alpha": 50.0, "optimizer": "alphagrad"}, None),
        (
            categorical("adam", "alphagrad"),
            {"alpha": 50.0},
            None,
        ),  # the sampler may choose so that it is used
    ],
)
def test_a_point_whose_value_would_not_be_used_is_refused(
    optimizer: Any, point: dict[str, Any], refused: str | None
) -> None:
    alpha = {"type": "float", "low": 1, "high": 100, "when": {"optimizer": "alphagrad"}}
    params = parse(optimizer=optimizer, alpha=alpha)
    if refused is None:
        check_point(params, point)
        return
    with pytest.raises(ValueError, match=f"alpha = 50.0 would not be used: .*{refused}"):
        check_point(params, point)

import json
import math
import subprocess
import sys
from typing import get_args

import pytest
from pydantic import ValidationError

from alphagrad.studies.alpha_rules import ARGUMENTS
from alphagrad.studies.digits_params import DigitsParams
from alphagrad.studies.dqn_params import DQNParams
from alphagrad.studies.params import OptimizerParams
from alphagrad.studies.scheduler_params import AlphaPart


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("alpha", 0.0),
        ("alpha", -3.0),
        ("alpha", float("nan")),
        ("alpha", float("inf")),
        ("alpha_rule", "step"),
        ("alpha_layers", ""),
        ("alpha_milestones", [0]),
        ("alpha_points", [[-1, 1.0]]),
        ("alpha_points", [[0, 1.0, 2.0]]),
        ("alpha_rate", 1.5),
        ("alpha_gamma", 0.9),
        ("alpha_band_low", 1.0),
        ("mix", 1.5),
        ("mix_total_steps", 10),
        ("mix_curve", "cosine"),
        ("mix_layers", "*.weight"),
        ("beta", 0.0),
        ("dampening", 1.5),
        ("nesterov", "maybe"),
        ("norm", "row"),
        ("transform", "relu"),
        ("weight_decay", -0.1),
        ("backend", "jax"),
        ("batch_size", 0),
        ("buffer_size", 0),
        ("checkpoint_interval", 0),
        ("device", "cuda"),
        ("end_e", -0.1),
        ("env_id", ""),
        ("eps", 0.0),
        ("eval_episodes", 0),
        ("eval_interval", 0),
        ("eval_window", 0),
        ("exploration_fraction", 0.0),
        ("gamma", 1.1),
        ("hidden_sizes", [120, 0]),
        ("k", 0.0),
        ("learning_rate", -1e-3),
        ("learning_rate", float("inf")),
        ("learning_starts", -1),
        ("momentum", 1.0),
        ("optimizer", "rmsprop"),
        ("start_e", 1.5),
        ("target_network_frequency", 0),
        ("tau", 0.0),
        ("total_timesteps", 0),
        ("train_frequency", 0),
        ("unheard_of", 1),
    ],
)
def test_dqn_rejects_and_names_the_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        DQNParams.model_validate({field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("batch_size", 0), ("hidden_sizes", [128, 0]), ("learning_rate", 0.0)],
)
def test_digits_rejects_and_names_the_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        DigitsParams.model_validate({field: value})


@pytest.mark.parametrize(
    "other", [{"optimizer": "adam"}, {"alpha_rule": "sqrt_d"}, {"alpha_rule": "saturation"}]
)
def test_an_alpha_without_effect_is_an_error(other: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"alpha=93\.0 has no effect"):
        OptimizerParams.model_validate({"alpha": 93.0, **other})


def test_an_argument_of_another_rule_is_an_error_that_names_those_it_takes() -> None:
    with pytest.raises(ValidationError, match=r"alpha_gamma=0\.9 has no effect .* alpha_total_st"):
        OptimizerParams.model_validate({"alpha_rule": "linear", "alpha_gamma": 0.9})
    with pytest.raises(ValidationError, match=r"alpha_band_low=0\.3 must be below .*=0\.25"):
        OptimizerParams.model_validate({"alpha_rule": "saturation", "alpha_band_low": 0.3})


def part(**table: object) -> dict[str, object]:
    return {"alpha_rule": "chained", "alpha_parts": [table]}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha_rule": "lambda"}, "alpha_rule='lambda' needs alpha_points"),
        ({"alpha_rule": "lambda", "alpha_points": []}, "alpha_rule='lambda' needs alpha_points"),
        (
            {"alpha_rule": "lambda", "alpha_points": [[5, 1.0], [5, 2.0]]},
            r"steps of alpha_points must rise, got \[5, 5\]",
        ),
        ({"alpha_rule": "chained"}, "needs alpha_parts"),
        (
            {"alpha_rule": "sequential", "alpha_parts": [{"rule": "sqrt_d"}]},
            "'sequential' needs alpha_milestones",
        ),
        (
            {
                "alpha_rule": "sequential",
                "alpha_parts": [{"rule": "sqrt_d"}] * 3,
                "alpha_milestones": [9, 8],
            },
            r"alpha_milestones must rise, got \[9, 8\]",
        ),
        (
            {
                "alpha_rule": "sequential",
                "alpha_parts": [{"rule": "sqrt_d"}] * 2,
                "alpha_milestones": [8, 9],
            },
            r"alpha_milestones=\[8, 9\] must be one less than the 2 alpha_parts",
        ),
        (part(rule="chained"), r"(?s)alpha_parts\.0\.rule.*'chained' itself: parts do not nest"),
        (part(rule="constant"), "rule='constant' needs alpha"),
        (
            part(rule="linear", gain=1.0),
            "gain=1.0 has no effect with rule='linear', which takes: s",
        ),
        (part(rule="linear", k=1.0), "k=1.0 has no effect with rule='linear'"),
        (part(rule="sqrt_d", k=1.0, saturation=0.1), "k=1.0 has no effect with saturation=0.1"),
        (part(rule="linear", alpha_total_steps=9), r"(?s)alpha_parts\.0\.alpha_total_steps.*Extra"),
        (part(rule="dynag", rate=0.0), r"(?s)alpha_parts\.0\.rate.*greater than 0"),
        (part(rule="saturation", gain=math.nan), r"(?s)alpha_parts\.0\.gain.*finite number"),
        (part(layers="*"), r"(?s)alpha_parts\.0\.rule.*required"),
        (
            {"alpha_parts": [{"rule": "sqrt_d"}]},
            r"alpha_parts=\(AlphaPart\(rule='sqrt_d'\),\) has no",
        ),
        (
            {"alpha_rule": "plateau", "alpha_min": 9.0, "alpha_max": 8.0},
            r"alpha_min=9\.0 must be b",
        ),
        ({"alpha_rule": "plateau", "alpha_factor": 1.0}, r"alpha_factor=1\.0 has no effect"),
        ({"alpha_rule": "saturation", "alpha_k_max": 0.001}, r"alpha_k_min=0\.01 must be below"),
        (
            {"alpha_rule": "saturation", "alpha_band_steps": 9},
            "no effect without alpha_band_end_low",
        ),
        ({"alpha_rule": "cosine", "alpha_period_mult": 2}, "no effect without alpha_restarts"),
        ({"alpha_rule": "sqrt_d", "alpha_tau": 2.0}, "no effect without alpha_saturation"),
        (
            {"alpha_rule": "exponential", "alpha_gamma": 0.9, "alpha_end_factor": 2.0},
            r"alpha_end_factor=2\.0 is not on the way of alpha_gamma=0\.9",
        ),
        ({"alpha_rule": "exponential"}, "'exponential' needs alpha_gamma"),
        ({"alpha_rule": "saturation", "k": 0.3}, r"k=0\.3 has no effect with alpha_rule='sat"),
        ({"alpha": 50.0, "k": 0.3}, r"k=0\.3 has no effect with alpha=50\.0"),
        ({"alpha[*]": 50.0, "k": 0.3}, r"k=0\.3 has no effect with alpha\[\*\]=50\.0"),
        (
            {"alpha_rule": "sqrt_d", "alpha_saturation": 0.1, "k": 0.3},
            r"k=0\.3 has no effect with alpha_saturation=0\.1",
        ),
        ({"alpha_layers": "*.weight"}, "alpha_layers=.* has no effect with alpha_rule='constant'"),
        (
            {"alpha_rule": "sqrt_d", "alpha_layers": "w*"},
            "no effect with alpha_rule='sqrt_d' and no",
        ),
        ({"nesterov": True, "momentum": 0.0}, "nesterov=True needs momentum > 0"),
        ({"nesterov": True, "dampening": 0.5}, "nesterov=True needs .* dampening 0"),
    ],
)
def test_arguments_that_do_not_fit_are_named(params: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OptimizerParams.model_validate(params)


@pytest.mark.parametrize(
    "params",
    [
        {"alpha_rule": "saturation", "alpha_start": "keep"},
        {"alpha_rule": "saturation", "optimizer": "adam"},
        {"alpha_rule": "saturation", "alpha_layers": "*.weight"},
        {"alpha": 50.0, "alpha_layers": "*.weight"},
        {"alpha_rule": "sqrt_d"},
        {"alpha_rule": "linear", "alpha_total_steps": 9},
    ],
)
def test_k_stays_where_some_alpha_begins_with_it(params: dict[str, object]) -> None:
    assert OptimizerParams.model_validate(params | {"k": 0.3}).k == 0.3


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lion"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("norm", "group"),
        ("transform", "sin"),
        ("beta", 2.0),
        ("unit_rms", True),
        ("weight_decay", 0.01),
        ("dampening", 0.9),
        ("nesterov", True),
    ],
)
def test_an_option_of_another_optimizer_is_an_error(
    optimizer: str, option: str, value: object
) -> None:
    params = {"optimizer": optimizer, option: value}
    if optimizer == "sgd" and option in ("dampening", "nesterov"):
        assert getattr(OptimizerParams.model_validate(params), option) == value
        return
    with pytest.raises(ValidationError, match=f"{option}=.* has no effect with .*{optimizer}"):
        OptimizerParams.model_validate(params)


def test_training_has_to_begin() -> None:
    with pytest.raises(ValidationError, match=r"learning_starts=10000 .* total_timesteps=10000"):
        DQNParams(total_timesteps=10_000)


@pytest.mark.parametrize("model", [DQNParams, DigitsParams])
def test_every_parameter_is_described_and_defaults_survive_a_round_trip(
    model: type[OptimizerParams],
) -> None:
    for name, field in model.model_fields.items():
        assert field.description, name
    assert model.model_validate_json(model().model_dump_json()) == model()
    assert model(**model().model_dump()) == model()


def test_parts_survive_a_round_trip_as_they_were_given() -> None:
    tables = [
        {"rule": "lambda", "points": [[0, 1.0], [10, 2.0]], "layers": "*.weight"},
        {"rule": "plateau", "min": 2.0, "mode": "max"},
        {"rule": "constant", "alpha": 98.0},
    ]
    params = OptimizerParams.model_validate({"alpha_rule": "chained", "alpha_parts": tables})
    assert json.loads(params.model_dump_json())["alpha_parts"] == tables
    assert OptimizerParams.model_validate_json(params.model_dump_json()) == params
    assert OptimizerParams(**params.model_dump()) == params


def test_each_rule_has_a_description_of_all_it_takes() -> None:
    rules = get_args(OptimizerParams.model_fields["alpha_rule"].annotation)
    assert set(ARGUMENTS) == set(rules)
    for names in ARGUMENTS.values():
        assert set(names) <= set(OptimizerParams.model_fields)
    for name, field in AlphaPart.model_fields.items():
        assert field.description, name


def test_listing_tasks_imports_neither_torch_nor_gymnasium() -> None:
    script = (
        "import sys, alphagrad.studies.tasks as tasks\n"
        "assert tasks.dqn.complete({})['learning_rate'] == 2.5e-4\n"
        "print([name for name in ('torch', 'gymnasium', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr

import subprocess
import sys

import pytest
from pydantic import ValidationError

from alphagrad.studies.digits_params import DigitsParams
from alphagrad.studies.dqn_params import DQNParams
from alphagrad.studies.params import OptimizerParams


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("alpha", 0.0),
        ("alpha", -3.0),
        ("alpha", float("nan")),
        ("alpha", float("inf")),
        ("alpha_rule", "plateau"),
        ("alpha_gamma", 0.9),
        ("alpha_band_low", 1.0),
        ("mix", 1.5),
        ("mix_total_steps", 10),
        ("batch_size", 0),
        ("buffer_size", 0),
        ("checkpoint_interval", 0),
        ("end_e", -0.1),
        ("env_id", ""),
        ("eps", 0.0),
        ("eval_episodes", 0),
        ("eval_interval", 0),
        ("eval_window", 0),
        ("exploration_fraction", 0.0),
        ("gamma", 1.1),
        ("k", 0.0),
        ("learning_rate", -1e-3),
        ("learning_rate", float("inf")),
        ("learning_starts", -1),
        ("momentum", 1.0),
        ("optimizer", "sgd"),
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


def test_listing_tasks_imports_neither_torch_nor_gymnasium() -> None:
    script = (
        "import sys, alphagrad.studies.tasks as tasks\n"
        "assert tasks.dqn.complete({})['learning_rate'] == 2.5e-4\n"
        "print([name for name in ('torch', 'gymnasium', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr

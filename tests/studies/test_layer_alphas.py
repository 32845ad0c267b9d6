"""α of single layers as parameters: `alpha[GLOB]`."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from alphagrad.optim import AlphaGrad
from alphagrad.studies.optimizers import alpha_of_layers, build_optimizer
from alphagrad.studies.params import OptimizerParams
from alphagrad.tuner import get_task, parse_spec, run_study, run_task
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import SpecError
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.traces import read_trace

SEARCHED = {"type": "float", "low": 5.0, "high": 50.0}


def alphas(**params: Any) -> dict[str, float]:
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    checked = OptimizerParams.model_validate(params.pop("more", {}) | params)
    optimizer, _ = build_optimizer(checked, network.named_parameters())
    assert isinstance(optimizer, AlphaGrad)
    return optimizer.alphas()


def test_the_layers_of_a_glob_get_its_alpha_and_the_others_the_common_one() -> None:
    given = {"alpha": 7.0, "alpha[0.*]": 30.0, "alpha[1.bias]": 5}
    assert alphas(more=given) == {
        "0.weight": 30.0,
        "0.bias": 30.0,
        "1.weight": 7.0,
        "1.bias": 5.0,
    }
    rest = alphas(more={"k": 1.0, "alpha[*.weight]": 30.0})
    assert (rest["0.weight"], rest["1.weight"]) == (30.0, 30.0)
    assert rest["0.bias"] == pytest.approx(3**0.5)


def test_a_schedule_starts_from_them() -> None:
    more = {"alpha": 7.0, "alpha[0.*]": 30.0, "alpha_rule": "linear", "alpha_start_factor": 0.5}
    found = alphas(more=more)
    assert (found["0.weight"], found["1.weight"]) == (15.0, 3.5)


def test_what_the_process_is_told_means_the_same() -> None:
    task = get_task("digits")
    complete = task.complete({"alpha[hidden1.*]": 30.0, "alpha[logits.*]": 2.0})
    assert complete["alpha_by_layer"] == {"hidden1.*": 30.0, "logits.*": 2.0}
    assert task.complete(complete) == complete


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha[0.*]": 0.0}, r"alpha\[0\.\*\]=0\.0 must be a finite number above 0"),
        ({"alpha[0.*]": "big"}, "valid number"),
        ({"alpha[0.*]": 1.0, "optimizer": "adam"}, "no effect with optimizer='adam'"),
        ({"alpha[0.*]": 1.0, "alpha_rule": "sqrt_d"}, "no effect with alpha_rule='sqrt_d'"),
        ({"alpha[0.*]": 1.0, "alpha_rule": "saturation"}, "no effect with alpha_rule='saturation'"),
        ({"alpha[0.*]": 1.0, "alpha_rule": "dynag"}, "no effect with alpha_rule='dynag'"),
        ({"alpha[0.*]": 1.0, "alpha": 2.0, "alpha_layers": "1.*"}, "one way only"),
        ({"alpha[]": 1.0}, "Extra inputs"),
        ({"k[0.*]": 1.0}, "Extra inputs"),
    ],
)
def test_what_has_no_effect_or_meaning_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OptimizerParams.model_validate(params)


def test_globs_that_match_nothing_or_the_same_are_refused() -> None:
    layers = ["actor.w", "actor.b"]
    with pytest.raises(ValueError, match=r"alpha\[q\.\*\] matches no layer, .*: actor.w, actor.b"):
        alpha_of_layers({"q.*": 1.0}, layers)
    with pytest.raises(ValueError, match=r"alpha\[\*\.w\] and alpha\[actor\.w\] both match"):
        alpha_of_layers({"*.w": 1.0, "actor.w": 2.0}, layers)
    assert alpha_of_layers({"q.*": 1.0, "*.b": 2.0}, layers, elsewhere=["q.w"]) == {"actor.b": 2.0}


def test_a_task_of_two_optimizers_finds_each_glob_in_one_of_them() -> None:
    sizes = {"total_timesteps": 12, "learning_starts": 4, "batch_size": 4, "hidden_sizes": [4]}
    task = get_task("td3")
    params = sizes | {"env_id": "Pendulum-v1", "alpha[actor.*]": 30.0}
    assert np.isfinite(run_task("td3", params, seed=1))
    with pytest.raises(ValueError, match=r"alpha\[nowhere\] matches no layer"):
        run_task("td3", sizes | {"env_id": "Pendulum-v1", "alpha[nowhere]": 30.0}, seed=1)
    assert task.base_name("alpha[actor.*]") == "alpha"


def test_a_study_searches_the_alpha_of_layers(settings: TunerSettings, database: Database) -> None:
    params = {"epochs": 1, "batch_size": 512, "hidden_sizes": [4], "alpha[hidden1.*]": SEARCHED}
    body = {"name": "s", "task": "digits", "n_trials": 2, "seed": 1, "parallelism": 2}
    run_study(parse_spec(body | {"params": params | {"alpha[logits.*]": 3.0}}), settings)
    for trial in list_trials(database, "s"):
        assert (trial.state, trial.error) == ("COMPLETE", None)
        trace = read_trace(database, trial)
        chosen = (trial.params or {})["alpha[hidden1.*]"]
        assert 5.0 <= chosen <= 50.0
        assert np.allclose(trace.alpha, [chosen, chosen, 3.0, 3.0])


def test_a_study_names_what_is_wrong_with_them() -> None:
    body = {"name": "s", "task": "digits", "n_trials": 1}
    wrong = {"alpha[hidden1.*]": SEARCHED | {"low": -1.0}}
    with pytest.raises(
        SpecError, match=r"params\.alpha\[hidden1\.\*\]: alpha\[hidden1\.\*\]=-1\.0"
    ):
        parse_spec(body | {"params": wrong})
    with pytest.raises(SpecError, match=r"params\.k\[hidden1\.\*\]: digits has no such parameter"):
        parse_spec(body | {"params": {"k[hidden1.*]": 1.0}})
    stack = {"task": "ppo", "stack": 2, "parallelism": 2, "params": {"alpha[actor.*]": SEARCHED}}
    assert parse_spec(body | stack).stack == 2

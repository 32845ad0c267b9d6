"""The parameters of the tasks with continuous actions."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from alphagrad.studies.ppo_params import PPOParams
from alphagrad.studies.td3_params import TD3Params


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            PPOParams(),
            {
                "total_timesteps": 1_000_000,
                "learning_rate": 3e-4,
                "anneal_lr": True,
                "hidden_sizes": (64, 64),
                "num_envs": 1,
                "num_steps": 2048,
                "gamma": 0.99,
                "gae_lambda": 0.95,
                "num_minibatches": 32,
                "update_epochs": 10,
                "norm_adv": True,
                "clip_coef": 0.2,
                "clip_vloss": True,
                "ent_coef": 0.0,
                "vf_coef": 0.5,
                "target_kl": None,
                "eps": 1e-5,
            },
        ),
        (
            TD3Params(),
            {
                "total_timesteps": 1_000_000,
                "learning_rate": 3e-4,
                "hidden_sizes": (256, 256),
                "buffer_size": 1_000_000,
                "gamma": 0.99,
                "tau": 0.005,
                "batch_size": 256,
                "policy_noise": 0.2,
                "exploration_noise": 0.1,
                "learning_starts": 25_000,
                "policy_frequency": 2,
                "noise_clip": 0.5,
            },
        ),
    ],
    ids=["ppo", "td3"],
)
def test_the_defaults_are_those_of_cleanrl(params: BaseModel, expected: dict[str, Any]) -> None:
    found = params.model_dump()
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({}, None),
        ({"optimizer": "lion"}, None),
        ({"optimizer": "adam"}, 0.5),
        ({"optimizer": "sgd"}, 0.5),
        ({"optimizer": "adam", "max_grad_norm": 2.0}, 2.0),
        ({"max_grad_norm": 2.0}, 2.0),
    ],
)
def test_the_gradients_norm_is_bounded_where_steps_depend_on_it(
    options: dict[str, Any], bound: float | None
) -> None:
    assert PPOParams(**options).grad_norm_bound == bound


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"total_timesteps": 2047}, "num_envs=1 × num_steps=2048 must not be above.*=2047"),
        ({"num_envs": 1000}, "num_envs=1000 × num_steps=2048 must not be above"),
        ({"num_minibatches": 30}, "num_minibatches=30 must divide .* = 2048 into equal parts"),
        ({"num_minibatches": 2048}, "num_minibatches=2048 must divide .* of at least 2"),
        ({"backend": "numpy", "device": "cuda"}, "device='cuda' has no effect with backend='numpy"),
        ({"num_envs": 0}, "num_envs"),
        ({"clip_coef": 0}, "clip_coef"),
        ({"target_kl": 0}, "target_kl"),
        ({"hidden_sizes": [0]}, "hidden_sizes"),
    ],
)
def test_what_ppo_cannot_train_with_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PPOParams(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"total_timesteps": 25_000}, "learning_starts=25000 must be below total_timesteps=25000"),
        ({"tau": 0}, "tau"),
        ({"policy_frequency": 0}, "policy_frequency"),
        ({"noise_clip": -0.1}, "noise_clip"),
        ({"device": "cuda"}, "device='cuda' has no effect"),
    ],
)
def test_what_td3_cannot_train_with_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TD3Params(**options)

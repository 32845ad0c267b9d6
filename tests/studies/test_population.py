"""Trainings that go on from a checkpoint with other parameters, as a population's members do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from alphagrad.optim import AlphaGrad
from alphagrad.studies.optimizers import build_optimizer, follow_params
from alphagrad.studies.params import MUTABLE, OptimizerParams
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.registry import get_task
from tests.studies.interrupted import Line, StoppedError, run

Params = dict[str, Any]


def stepped(params: Params, *, steps: int = 3) -> torch.optim.Optimizer:
    """An optimizer that has taken some steps on a small network, the same each time."""
    torch.manual_seed(0)
    network = torch.nn.Linear(4, 3)
    optimizer, _ = build_optimizer(OptimizerParams(**params), network.named_parameters())
    for _ in range(steps):
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
    return optimizer


def followed(before: Params, now: Params) -> AlphaGrad:
    optimizer = stepped(before)
    assert isinstance(optimizer, AlphaGrad)
    follow_params([optimizer], before=before, now=now)
    return optimizer


@pytest.mark.parametrize(
    ("now", "key", "value"),
    [
        ({"learning_rate": 2e-3}, "lr", 2e-3),
        ({"momentum": 0.5}, "momentum", 0.5),
        ({"weight_decay": 0.1}, "weight_decay", 0.1),
        ({"eps": 1e-6}, "eps", 1e-6),
        ({"alpha": 62.5}, "alpha", 62.5),
        ({"beta": 2.0}, "beta", 2.0),
    ],
)
def test_a_setting_follows_and_what_was_gathered_stays(now: Params, key: str, value: float) -> None:
    before = {"alpha": 50.0, "learning_rate": 1e-3}
    optimizer, plain = followed(before, before | now), stepped(before)
    [group], [other] = optimizer.param_groups, plain.param_groups
    assert group[key] == value
    same = [name for name in group if name not in ("params", key)]
    assert all(torch.as_tensor(group[n] == other[n]).all() for n in same if n != "saturation")
    for mine, theirs in zip(optimizer.state.values(), plain.state.values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_each_mutable_parameter_changes_something() -> None:
    before: Params = {"alpha": 50.0, "momentum": 0.5}
    for name in MUTABLE:
        base = {"momentum": 0.5} if name == "k" else before
        field = OptimizerParams(**base)
        now = base | {name: getattr(field, name) * 1.25 or 0.1}
        changed, plain = followed(base, now), stepped(base)
        assert isinstance(plain, AlphaGrad)
        settings = [
            {n: v for n, v in o.param_groups[0].items() if n not in ("params", "saturation")}
            for o in (changed, plain)
        ]
        assert str(settings[0]) != str(settings[1]), name


def test_alpha_keeps_what_a_scheduler_and_the_knob_made_of_it() -> None:
    linear = {"alpha_rule": "linear", "alpha_end_factor": 0.1, "alpha_total_steps": 10}
    before = {"alpha": 50.0, **linear}
    plain = stepped(before)
    assert isinstance(plain, AlphaGrad)
    moved = followed(before, before | {"alpha": 60.0})
    for name, alpha in plain.alphas().items():
        assert alpha != 50.0
        assert moved.alphas()[name] == pytest.approx(alpha * 1.2)

    turned = stepped({"alpha": 50.0})
    assert isinstance(turned, AlphaGrad)
    turned.set_alpha(10.0, "weight")
    follow_params([turned], before={"alpha": 50.0}, now={"alpha": 60.0})
    assert turned.alphas() == pytest.approx({"weight": 12.0, "bias": 60.0})


def test_alpha_of_some_layers_follows_in_those() -> None:
    before: Params = {"alpha": 5.0, "alpha_layers": "weight"}
    bias = followed(before, before).alphas()["bias"]
    assert followed(before, before | {"alpha": 7.0}).alphas() == {"weight": 7.0, "bias": bias}


def test_alpha_by_layer_follows_in_the_optimizer_that_has_the_layer() -> None:
    before: Params = {"alpha_by_layer": {"actor.*": 50.0, "critic.weight": 20.0}}
    now: Params = {"alpha_by_layer": {"actor.*": 60.0, "critic.weight": 20.0}}
    networks = {name: torch.nn.Linear(4, 3) for name in ("actor", "critic")}
    names = {part: [f"{part}.weight", f"{part}.bias"] for part in networks}
    optimizers = [
        build_optimizer(
            OptimizerParams(**before),
            zip(names[part], network.parameters(), strict=True),
            other_layers=names["critic" if part == "actor" else "actor"],
        )[0]
        for part, network in networks.items()
    ]
    follow_params(optimizers, before=before, now=now)
    actor, critic = optimizers
    assert isinstance(actor, AlphaGrad)
    assert isinstance(critic, AlphaGrad)
    assert actor.alphas() == {"actor.weight": 60.0, "actor.bias": 60.0}
    assert critic.alphas()["critic.weight"] == 20.0


def test_networks_that_are_a_layer_each_follow_by_their_names() -> None:
    before: Params = {"norm": "group", "alpha": 50.0, "alpha_layers": "actor"}
    networks = {name: torch.nn.Linear(4, 3) for name in ("critics", "actor")}
    optimizers = [
        build_optimizer(
            OptimizerParams(**before),
            network.named_parameters(part),
            other_layers=["critics" if part == "actor" else "actor"],
            name=part,
        )[0]
        for part, network in networks.items()
    ]
    follow_params(optimizers, before=before, now=before | {"alpha": 60.0})
    critics, actor = optimizers
    assert isinstance(actor, AlphaGrad)
    assert isinstance(critics, AlphaGrad)
    assert actor.alphas() == {"actor": 60.0}
    assert critics.alphas().keys() == {"critics"}
    assert critics.alphas()["critics"] != 60.0


@pytest.mark.parametrize("name", ["adam", "sgd", "lion"])
def test_the_other_optimizers_follow_in_their_step_size(name: str) -> None:
    before = {"optimizer": name, "learning_rate": 1e-3}
    optimizer = stepped(before)
    follow_params([optimizer], before=before, now=before | {"learning_rate": 3e-3})
    assert optimizer.param_groups[0]["lr"] == 3e-3


SMALL: dict[str, tuple[Params, int]] = {
    "digits": ({"epochs": 4, "batch_size": 256, "hidden_sizes": [8]}, 3),
    "names": ({"epochs": 3, "batch_size": 1024, "hidden_sizes": [8]}, 2),
    "chars": (
        {"total_steps": 6, "eval_interval": 2, "width": 16, "layers": 1, "heads": 2, "context": 16},
        6,
    ),
    "dqn": (
        {"total_timesteps": 300, "learning_starts": 50, "eval_interval": 100, "eval_episodes": 1}
        | {"checkpoint_interval": 100, "hidden_sizes": [8]},
        300,
    ),
    "td3": (
        {"env_id": "Pendulum-v1", "total_timesteps": 90, "learning_starts": 20}
        | {"eval_interval": 30, "eval_episodes": 1, "checkpoint_interval": 30}
        | {"hidden_sizes": [8, 8], "batch_size": 16},
        90,
    ),
    "ppo": (
        {"env_id": "Pendulum-v1", "total_timesteps": 192, "num_steps": 64, "num_minibatches": 2}
        | {"update_epochs": 1, "eval_interval": 64, "eval_episodes": 1, "checkpoint_interval": 64},
        192,
    ),
}


def optimizers_in(checkpoint: Mapping[str, Any]) -> list[Params]:
    return [
        group
        for part in checkpoint.values()
        if isinstance(part, Mapping) and "param_groups" in part
        for group in part["param_groups"]
    ]


@pytest.mark.parametrize("name", SMALL)
def test_a_task_goes_on_with_changed_parameters(name: str, tmp_path: Path) -> None:
    assert get_task(name).mutable_params is not None
    params, stop_at = SMALL[name]
    before = params | {"alpha": 50.0, "learning_rate": 1e-3, "momentum": 0.9}
    now = before | {"alpha": 62.5, "learning_rate": 5e-4}
    with pytest.raises(StoppedError):
        run(name, before, Line(stop_at=stop_at), folder=tmp_path)
    saved = CheckpointStore(tmp_path, fence=1).load()
    assert saved is not None
    assert {group["alpha"] for group in optimizers_in(saved)} == {50.0}

    line = Line()
    run(name, now, line, folder=tmp_path, attempt=2)
    assert min(line.reports) > 1  # it went on, and did not start anew
    after = CheckpointStore(tmp_path, fence=2).load()
    assert after is not None
    groups = optimizers_in(after)
    assert groups
    assert {group["alpha"] for group in groups} == {62.5}
    if name != "ppo":  # whose step size falls with each iteration
        assert {group["lr"] for group in groups} == {5e-4}
    assert after["params"]["alpha"] == 62.5

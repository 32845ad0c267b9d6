"""Libraries that build, wrap and save the optimizer themselves: Stable-Baselines3, Accelerate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from sklearn.datasets import load_digits
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from alphagrad.optim import AlphaGrad

VECTORS = ("alpha", "saturation", "pinned", "skipped")
ROLLOUT, ROLLOUTS = 256, 24


def assert_same(one: AlphaGrad, other: AlphaGrad) -> None:
    for a, b in zip(one.param_groups, other.param_groups, strict=True):
        assert a["lr"] == b["lr"]
        for key in VECTORS:
            torch.testing.assert_close(a[key], b[key], rtol=0, atol=0, equal_nan=True)
        for p, q in zip(a["params"], b["params"], strict=True):
            assert torch.equal(p, q)
            buffer = one.state[p]["momentum_buffer"]
            assert buffer.any()
            assert torch.equal(buffer, other.state[q]["momentum_buffer"])


def learning_rate(remaining: float) -> float:
    """A schedule of Stable-Baselines3; momentum 0.9 makes the step ten times as long."""
    return 3e-4 * (0.1 + 0.9 * remaining)


class TurnsTheKnob(BaseCallback):
    """Pins α of the first layer after a few rollouts, and notes each update's learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        optimizer = optimizer_of(self.model)
        self.rates.append(optimizer.param_groups[0]["lr"])
        if len(self.rates) == 4:
            assert optimizer.set_alpha(40.0, "0.0", pin=True) == ["0.0"]


def optimizer_of(model: Any) -> AlphaGrad:
    optimizer = model.policy.optimizer
    assert isinstance(optimizer, AlphaGrad)
    return optimizer


def reward(model: PPO) -> float:
    env = model.get_env()
    assert env is not None
    mean, _ = evaluate_policy(model, env, n_eval_episodes=10, deterministic=False)
    assert isinstance(mean, float)
    return mean


def test_ppo_of_stable_baselines3_learns_and_is_saved_whole(tmp_path: Path) -> None:
    model = PPO(
        "MlpPolicy",
        "CartPole-v1",
        learning_rate=learning_rate,
        n_steps=ROLLOUT,
        seed=4,
        device="cpu",
        policy_kwargs={
            "optimizer_class": AlphaGrad,
            "optimizer_kwargs": {"momentum": 0.9, "tau": 2.0},
        },
    )
    model.set_logger(configure(str(tmp_path / "log"), []))  # its own would lie elsewhere
    optimizer = optimizer_of(model)
    untrained = reward(model)
    before = [p.detach().clone() for p in model.policy.parameters()]
    callback = TurnsTheKnob()
    model.learn(ROLLOUT * ROLLOUTS, callback=callback)

    parameters = list(model.policy.parameters())
    assert not any(torch.equal(p, q) for p, q in zip(before, parameters, strict=True))
    assert untrained < 50
    assert reward(model) > 100

    # PPO passes the parameters without names: layers are called by their place.
    saturation = optimizer.saturation()
    assert list(saturation) == [f"0.{i}" for i in range(len(parameters))]
    assert all(p.grad is not None for p in parameters)
    assert all(0.0 <= share <= 1.0 for share in saturation.values())
    assert optimizer.param_groups[0]["tau"] == 2.0
    assert callback.rates == pytest.approx(
        [learning_rate(1 - i / ROLLOUTS) for i in range(ROLLOUTS)]
    )

    model.save(tmp_path / "ppo")
    loaded = PPO.load(tmp_path / "ppo", device="cpu")
    resumed = optimizer_of(loaded)
    assert resumed is not optimizer
    assert resumed.alphas() == optimizer.alphas()
    assert resumed.alphas()["0.0"] == 40.0
    assert resumed.pinned()["0.0"]
    assert_same(optimizer, resumed)
    for one in (optimizer, resumed):
        for p in one.param_groups[0]["params"]:
            p.grad = torch.ones_like(p)
        one.step()
    assert_same(optimizer, resumed)


class Run:
    """A small classifier under Accelerate."""

    def __init__(self, place: Path, seed: int) -> None:
        torch.manual_seed(seed)
        images, labels = load_digits(return_X_y=True)
        dataset = TensorDataset(
            torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
        )
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        self.alphagrad = AlphaGrad(model.named_parameters(), lr=1e-3, momentum=0.9)
        self.accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2, project_dir=place)
        self.model, self.optimizer, self.batches = self.accelerator.prepare(
            model, self.alphagrad, DataLoader(dataset, batch_size=64, shuffle=True)
        )

    def epoch(self) -> float:
        """Mean loss of one pass; every second batch is a step."""
        losses = []
        for images, labels in self.batches:
            with self.accelerator.accumulate(self.model):
                loss = cross_entropy(self.model(images), labels)
                self.accelerator.backward(loss)
                self.optimizer.step()
                self.optimizer.zero_grad()
            losses.append(loss.item())
        return sum(losses) / len(losses)


def test_accelerate_trains_with_it_and_continues_bit_for_bit(tmp_path: Path) -> None:
    run = Run(tmp_path, seed=0)
    assert isinstance(run.optimizer, AcceleratedOptimizer)
    assert run.optimizer.optimizer is run.alphagrad
    assert run.alphagrad.layer_names() == ["0.weight", "0.bias", "2.weight", "2.bias"]
    losses = [run.epoch() for _ in range(4)]
    assert losses[-1] < 0.5 * losses[0]
    for key in VECTORS:
        assert run.optimizer.param_groups[0][key] is run.alphagrad.param_groups[0][key]
        assert run.optimizer.param_groups[0][key].shape[-1] == 4
    assert not any(sum(counts.values()) for counts in run.alphagrad.skipped().values())

    run.alphagrad.set_alpha(20.0, "0.*", pin=True)
    run.accelerator.save_state(str(tmp_path / "state"))
    after = run.epoch()

    resumed = Run(tmp_path, seed=1)
    resumed.accelerator.load_state(str(tmp_path / "state"))
    assert resumed.alphagrad.alphas()["0.weight"] == 20.0
    assert resumed.epoch() == after
    assert_same(run.alphagrad, resumed.alphagrad)

"""α in Ray Tune and Ray Train, on a real local cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
import ray
import torch
from ray import train, tune
from ray.train import ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from torch import nn

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler
from alphagrad.scheduler.callbacks_ray import alpha_report, load_checkpoint, save_checkpoint

EPOCHS, STEPS = 6, 2


class Run:
    """A small regression, the same in the test's process and in Ray's."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 16))
        self.optimizer = AlphaGrad(self.net.named_parameters(), lr=1e-2)
        self.scheduler = SaturationScheduler(self.optimizer, (0.3, 0.5), start="keep").attach()

    def epoch(self, number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        for _ in range(STEPS):
            inputs = torch.randn(32, 16, generator=generator)
            self.optimizer.zero_grad()
            (self.net(inputs) - inputs.sin()).square().mean().backward()
            self.optimizer.step()

    def save(self, folder: str, epoch: int) -> None:
        save_checkpoint(
            folder,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            model=self.net.state_dict(),
            epoch=epoch,
        )

    def load(self, folder: str) -> int:
        """Load the states and give the epoch to go on with."""
        more = load_checkpoint(folder, optimizer=self.optimizer, scheduler=self.scheduler)
        self.net.load_state_dict(more["model"])
        return int(more["epoch"]) + 1


def run_epochs(config: dict[str, Any], session: Any) -> None:
    """Train under Ray; the first attempt dies in the middle, if the config says so."""
    run, start = Run(), 0
    if checkpoint := session.get_checkpoint():
        with checkpoint.as_directory() as folder:
            start = run.load(folder)
    for epoch in range(start, config["epochs"]):
        if config["dies"] and epoch == EPOCHS // 2 and start == 0:
            raise RuntimeError("the machine was taken away")
        run.epoch(epoch)
        with TemporaryDirectory() as folder:
            run.save(folder, epoch)
            metrics = {"epoch": epoch, "start": start, **alpha_report(run.optimizer)}
            session.report(metrics, checkpoint=session.Checkpoint.from_directory(folder))


def expected() -> dict[str, float]:
    run = Run()
    for epoch in range(EPOCHS):
        run.epoch(epoch)
    assert run.scheduler.last_step == EPOCHS * STEPS
    return alpha_report(run.optimizer)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    variables = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    }
    # Ray sets RAY_AUTH_MODE, with which drivers of later tests could not use their cluster.
    with patch.dict(os.environ, variables):
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def check(metrics: dict[str, Any] | None) -> None:
    assert metrics is not None
    assert metrics["epoch"] == EPOCHS - 1
    assert metrics["start"] == EPOCHS // 2
    assert expected().items() <= metrics.items()
    assert metrics["alpha/0.weight"] != 1.5 * (16 * 24) ** 0.5
    assert 0.01 * 16**0.5 <= metrics["alpha_min"] <= metrics["alpha_max"] <= 100 * 384**0.5


def test_a_trial_of_tune_goes_on_from_its_checkpoint(cluster: None, tmp_path: Path) -> None:
    tuner = tune.Tuner(
        lambda config: run_epochs(config, tune),
        param_space={"dies": True, "epochs": EPOCHS},
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            failure_config=tune.FailureConfig(max_failures=1),
            verbose=0,
        ),
    )
    check(tuner.fit()[0].metrics)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")
def test_a_worker_of_train_leaves_a_checkpoint_to_go_on_from(cluster: None, tmp_path: Path) -> None:
    trainer = TorchTrainer(
        lambda config: run_epochs(config, train),
        train_loop_config={"dies": False, "epochs": EPOCHS // 2},
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(num_workers=1),
        run_config=train.RunConfig(storage_path=str(tmp_path)),
    )
    result = trainer.fit()
    run, start = Run(), 0
    assert result.checkpoint is not None
    with result.checkpoint.as_directory() as folder:
        start = run.load(folder)
    assert start == EPOCHS // 2
    reported = alpha_report(run.optimizer)
    assert result.metrics is not None
    assert reported.items() <= result.metrics.items()
    for epoch in range(start, EPOCHS):
        run.epoch(epoch)
    assert alpha_report(run.optimizer) == expected() != reported


def test_a_checkpoint_with_or_without_a_scheduler(tmp_path: Path) -> None:
    run = Run()
    run.epoch(0)
    save_checkpoint(tmp_path, optimizer=run.optimizer)
    other = Run()
    with pytest.raises(ValueError, match="given is one, the checkpoint has none"):
        load_checkpoint(tmp_path, optimizer=other.optimizer, scheduler=other.scheduler)
    assert load_checkpoint(tmp_path, optimizer=other.optimizer) == {}
    assert other.optimizer.alphas() == run.optimizer.alphas()
    run.save(str(tmp_path), 0)
    with pytest.raises(ValueError, match="given is none, the checkpoint has one"):
        load_checkpoint(tmp_path, optimizer=other.optimizer)

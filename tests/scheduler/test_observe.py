"""Metrics on their way to the schedulers that move by them."""

import warnings
from functools import partial

import pytest
import torch

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import (
    AlphaScheduler,
    ChainedAlpha,
    ExponentialAlpha,
    PlateauAlpha,
    SequentialAlpha,
)
from alphagrad.scheduler.resume import Factory
from alphagrad.tuner import Trial


def make() -> AlphaGrad:
    params = {"w": torch.zeros(4, requires_grad=True), "b": torch.zeros(4, requires_grad=True)}
    return AlphaGrad(params.items(), alpha=8.0)


def test_others_take_no_notice() -> None:
    optimizer = make()
    scheduler = ExponentialAlpha(optimizer, gamma=0.5)
    optimizer.step()
    scheduler.observe(1.0)
    assert optimizer.alphas() == {"w": 8.0, "b": 8.0}
    assert not scheduler.by_metric


def test_what_is_reported_before_the_first_step_says_nothing_of_alpha() -> None:
    optimizer = make()
    scheduler = PlateauAlpha(optimizer, patience=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            scheduler.observe(1.0)
    assert scheduler.num_bad_steps == 0
    optimizer.step()
    scheduler.observe(1.0)
    scheduler.observe(1.0)
    assert optimizer.alphas() == {"w": 4.0, "b": 4.0}


def test_a_chain_hands_metrics_on_and_does_not_step_a_plateau() -> None:
    optimizer = make()
    plateau = PlateauAlpha(optimizer, patience=1, layers="w")
    decay = ExponentialAlpha(optimizer, gamma=0.5, layers="b")
    chain = ChainedAlpha([plateau, decay]).attach()
    for _ in range(3):
        optimizer.step()
        chain.observe(1.0)
    assert optimizer.alphas() == {"w": 4.0, "b": 1.0}
    assert (decay.last_step, plateau.last_step) == (3, 1)


def test_a_sequence_hands_metrics_to_the_one_at_work() -> None:
    optimizer = make()

    def plateau(optimizer: AlphaGrad) -> AlphaScheduler:
        return PlateauAlpha(optimizer, patience=0, factor=0.25)

    def decay(optimizer: AlphaGrad) -> AlphaScheduler:
        return ExponentialAlpha(optimizer, gamma=0.5)

    sequence = SequentialAlpha(
        optimizer, schedulers=[decay, plateau, decay], milestones=[1, 4]
    ).attach()
    seen = []
    for _ in range(6):
        optimizer.step()
        sequence.observe(1.0)
        seen.append(optimizer.alphas()["w"])
    assert seen == [4.0, 4.0, 1.0, 0.25, 0.125, 0.0625]


def test_a_plateau_in_mid_sequence_goes_on_from_its_state() -> None:
    def sequence(optimizer: AlphaGrad) -> SequentialAlpha:
        parts: list[Factory] = [partial(PlateauAlpha, patience=2), ExponentialAlpha]
        return SequentialAlpha(optimizer, schedulers=parts, milestones=[9]).attach()

    optimizer = make()
    first = sequence(optimizer)
    for _ in range(3):
        optimizer.step()
        first.observe(1.0)
    resumed = make()
    resumed.load_state_dict(optimizer.state_dict())
    second = sequence(resumed)
    second.load_state_dict(first.state_dict())
    for one, scheduler in ((optimizer, first), (resumed, second)):
        one.step()
        scheduler.observe(1.0)
    assert optimizer.alphas() == resumed.alphas() == {"w": 4.0, "b": 4.0}


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_trial_tells_its_schedulers_what_is_reported(mode: str) -> None:
    optimizers = [make(), AlphaGrad([("other", torch.zeros(2))], alpha=8.0)]
    trial = Trial(params={})
    for optimizer in optimizers:
        scheduler = PlateauAlpha(optimizer, patience=0, mode=mode)  # type: ignore[arg-type]
        trial.watch(optimizer, scheduler)
        optimizer.step()
    for step, value in enumerate([1.0, 2.0, 3.0]):
        trial.report(value, step)
    alpha = 8.0 if mode == "max" else 2.0
    assert optimizers[0].alphas() == {"w": alpha, "b": alpha}
    assert optimizers[1].alphas() == {"other": alpha}

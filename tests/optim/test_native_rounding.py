"""Stochastic rounding in the native kernel."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.optim.kernel_step import gradient, step

pytestmark = pytest.mark.usefixtures("kernel")


def test_stochastic_rounding_is_right_on_average() -> None:
    value, rounds = 1.0 + 2.0**-7 / 4, 400  # a quarter of the way to the next number
    g, total = torch.ones(5000, dtype=torch.bfloat16), torch.zeros(5000)
    for seed in range(rounds):
        p = torch.ones(5000, dtype=torch.bfloat16)
        step([p], [g], lr=1 - value, alpha=1e9, seed=seed)
        assert set(p.tolist()) == {1.0, 1.0 + 2.0**-7}
        total += p.float()
    share = (total / rounds - 1) / 2.0**-7
    deviation = math.sqrt(0.25 * 0.75 / rounds)
    assert share.mean().item() == pytest.approx(0.25, abs=5 * deviation / math.sqrt(5000))
    assert share.std().item() == pytest.approx(deviation, rel=0.1)
    # One step's entries are not related to each other.
    up = (p.float() > 1).float() - 0.25
    assert abs((up[1:] * up[:-1]).mean()) <= 5 * 0.1875 / math.sqrt(5000)


def test_stochastic_rounding_differs_by_seed_and_by_tensor() -> None:
    g = torch.ones(5000, dtype=torch.bfloat16)

    def move(seed: int) -> list[Tensor]:
        ps = [torch.ones_like(g), torch.ones_like(g)]
        step(ps, [g, g], lr=-1e-3, alpha=1e9, seed=seed)
        return ps

    first, second = move(1), move(2)
    assert torch.equal(first[0], move(1)[0])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[0])


def test_stochastic_rounding_leaves_the_momentum_and_what_is_no_number() -> None:
    g = torch.ones(5000, dtype=torch.bfloat16)
    p, v = torch.full_like(g, math.nan), torch.zeros_like(g)
    p[::2] = math.inf
    step([p], [g], [v], lr=1.001, alpha=1e9, momentum=0.5, seed=3)
    assert (v == 1).all()
    assert p[::2].isposinf().all()
    assert p[1::2].isnan().all()


def test_a_seed_does_nothing_to_other_types() -> None:
    g = gradient(100)
    ps = [torch.zeros(100), torch.zeros(100)]
    step([ps[0]], [g], seed=1)
    step([ps[1]], [g])
    assert torch.equal(ps[0], ps[1])

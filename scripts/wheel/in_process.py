"""AlphaGrad and its scheduler in a training loop, with the native kernel."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import alphagrad
from alphagrad.optim import AlphaGrad, native
from alphagrad.scheduler import SaturationScheduler
from alphagrad.studies import activations

assert Path(alphagrad.__file__).is_relative_to(sys.prefix), alphagrad.__file__
assert native.is_built(), "the wheel has no native kernel"
assert activations.built is not None, "the wheel has no native tanh"

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
optimizer = AlphaGrad(model.named_parameters(), lr=1e-3)
SaturationScheduler(optimizer).attach()

inputs = torch.randn(256, 20)
targets = inputs[:, :1].sin()
losses = []
for _ in range(200):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(inputs), targets)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

assert losses[-1] < losses[0] / 2, losses
assert set(optimizer.alphas()) == {"0.weight", "0.bias", "2.weight", "2.bias"}
print(
    f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, saturation {optimizer.saturation()['0.weight']:.3f}"
)

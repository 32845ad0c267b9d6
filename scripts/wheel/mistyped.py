"""A user's mistakes, for the type checker alone: it must find each, and nothing else."""

from __future__ import annotations

import torch

from alphagrad.client import Client
from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler
from alphagrad.tuner import Trial, task

optimizer = AlphaGrad(torch.nn.Linear(2, 1).named_parameters(), steepness=3.0)  # wrong
optimizer.set_alpha("20")  # wrong
SaturationScheduler(optimizer, start="middle")  # wrong


@task("t")  # wrong
def trained(trial: Trial, seed: int) -> float:
    """Takes an argument that no one gives."""
    trial.report("0.5", seed)  # wrong
    return 0.5


for trial in Client().study("bar").trials(state="RUNING"):  # wrong
    print(trial.valeu)  # wrong

"""Runs of control rules on random gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from control_rules import BAND, Rule
from gradients import GRADIENTS, matching_alpha
from torch import Generator, Tensor

from alphagrad.optim import AlphaGrad, sqrt_d_alpha

# Where α starts: so many times the matching α, or 1.5·√d and whatever the rule makes of it.
STARTS = {"own": None, "kept": None, "match": 1.0, "high": 30.0, "low": 1 / 30}
Plan = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Trace:
    """What one rule did, one column per run.

    Args:
        starts: where each run started.
        alpha: (steps, runs), the α that each step used.
        s: (steps, runs), the S that each step had; NaN where the gradient was zero.
    """

    starts: list[str]
    alpha: Tensor
    s: Tensor

    def of(self, start: str, steps: slice = slice(None)) -> Trace:
        """Only the runs from one start, and only some steps."""
        chosen = [i for i, name in enumerate(self.starts) if name == start]
        return Trace([start] * len(chosen), self.alpha[steps, chosen], self.s[steps, chosen])


class Recorder:
    """An optimizer under a rule, and what it did.

    Args:
        optimizer: has the rule attached already, so that one that acts before a step is seen.
    """

    def __init__(self, optimizer: AlphaGrad) -> None:
        self.optimizer = optimizer
        self.alpha: list[Tensor] = []
        self.s: list[Tensor] = []
        optimizer.register_step_pre_hook(lambda *_: self.alpha.append(self._row("alpha")))

    def step(self, gradients: Iterable[Tensor]) -> None:
        """Take a step with these gradients, one per tensor in the order of the groups."""
        params = [p for group in self.optimizer.param_groups for p in group["params"]]
        for p, g in zip(params, gradients, strict=True):
            p.grad = g
        self.optimizer.step()
        self.s.append(self._row("saturation"))

    def trace(self, starts: list[str]) -> Trace:
        """What happened so far."""
        return Trace(starts, torch.stack(self.alpha), torch.stack(self.s))

    def _row(self, key: str) -> Tensor:
        return torch.cat([group[key] for group in self.optimizer.param_groups])


@dataclass(frozen=True)
class Job:
    """Runs of several rules on the same gradients: one tensor per start and seed.

    Args:
        rules: the rules.
        plan: names in ``GRADIENTS``, and for how many steps.
        d: entries of a tensor.
        starts: names in ``STARTS``.
        seeds: gradients drawn at a step, each of which one tensor per start and rule gets.
    """

    rules: Mapping[str, Rule]
    plan: Plan
    d: int
    starts: Sequence[str]
    seeds: int

    @property
    def sizes(self) -> dict[str, int]:
        """Entries of the tensors of each column name."""
        return dict.fromkeys(self.starts, self.d)

    def run(self, tick: Callable[[], object]) -> dict[str, Trace]:
        """Take the steps, with a call of ``tick`` at each; gives a trace per rule."""
        columns = [(start, seed) for start in self.starts for seed in range(self.seeds)]
        recorders = {}
        for name, rule in self.rules.items():
            first = self.plan[0][0]
            optimizer = AlphaGrad(
                [(f"{at}.{seed}", torch.zeros(self.d, requires_grad=True)) for at, seed in columns],
                lr=0.0,
                alpha=[start_alpha(at, first, self.d, rule.tau) for at, _ in columns],
                tau=rule.tau,
            )
            rule.attach(optimizer, self.d)
            recorders[name] = Recorder(optimizer)
        generator = Generator().manual_seed(0)
        for gradient, steps in self.plan:
            for _ in range(steps):
                drawn = GRADIENTS[gradient].sample(self.seeds, self.d, generator)
                for recorder in recorders.values():
                    recorder.step(drawn[seed] for _, seed in columns)
                tick()
        names = [start for start, _ in columns]
        return {name: recorder.trace(names) for name, recorder in recorders.items()}


@dataclass(frozen=True)
class ModelJob:
    """Runs of several rules on models of two layers, each model a group: "weight" and "bias".

    Args:
        rules: the rules.
        gradients: the weight's and the bias's name in ``GRADIENTS``.
        steps: how many.
        sizes: entries of each.
        seeds: how many models.
    """

    rules: Mapping[str, Rule]
    gradients: tuple[str, str]
    steps: int
    sizes: Mapping[str, int]
    seeds: int

    @property
    def plan(self) -> Plan:
        """The gradients as one name."""
        return [(" / ".join(self.gradients), self.steps)]

    def run(self, tick: Callable[[], object]) -> dict[str, Trace]:
        """As :meth:`Job.run`."""
        recorders = {}
        for name, rule in self.rules.items():
            models = [
                [(f"{n}.{i}", torch.zeros(d, requires_grad=True)) for n, d in self.sizes.items()]
                for i in range(self.seeds)
            ]
            optimizer = AlphaGrad([{"params": model} for model in models], lr=0.0, tau=rule.tau)
            rule.attach(optimizer, sum(self.sizes.values()))
            recorders[name] = Recorder(optimizer)
        generator = Generator().manual_seed(0)
        for _ in range(self.steps):
            drawn = [
                GRADIENTS[gradient].sample(self.seeds, d, generator)
                for gradient, d in zip(self.gradients, self.sizes.values(), strict=True)
            ]
            for recorder in recorders.values():
                recorder.step(g[i] for i in range(self.seeds) for g in drawn)
            tick()
        names = list(self.sizes) * self.seeds
        return {name: recorder.trace(names) for name, recorder in recorders.items()}


def start_alpha(start: str, gradient: str, d: int, tau: float) -> float:
    """The α that a run starts from."""
    factor = STARTS[start]
    if factor is None:
        return sqrt_d_alpha(d)
    return factor * tau * matching_alpha(gradient, d, BAND.middle)

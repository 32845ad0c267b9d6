"""The rules that benchmarks/saturation_control.py compares, each on AlphaGrad's own signal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.optim.layers import matching_layers
from alphagrad.scheduler import AlphaScheduler, Band, DynAGAlpha, SaturationScheduler
from alphagrad.scheduler.quantile_start import quantile_alpha

BAND = Band(0.05, 0.25)
TAU = 2.5
DYNAG_TAU = 1.25


class Multiplicative(AlphaScheduler):
    """α ± 2 % toward the band after each step that left S outside."""

    RATE = 1.02

    def get_alpha(self) -> list[Tensor]:
        """Give α after one step of the rule."""
        computed = []
        for group, alpha in zip(self.optimizer.param_groups, self.alpha_vectors(), strict=True):
            s = group["saturation"]
            above = torch.where(s > BAND.high, alpha / self.RATE, alpha)
            computed.append(torch.where(s < BAND.low, alpha * self.RATE, above))
        return computed


class ExactQuantile(AlphaScheduler):
    """Before each step, α from the quantile of the gradient of that very step."""

    def get_alpha(self) -> list[Tensor]:
        """Give the α at which this step's S is the band's middle."""
        computed = []
        for group, alpha in zip(self.optimizer.param_groups, self.alpha_vectors(), strict=True):
            found = quantile_alpha(group, BAND.middle, tau=TAU)
            computed.append(torch.where(found.isnan(), alpha, found))
        return computed

    def attach(self) -> Self:
        """Go before each step, not after it."""
        self._handle = self.optimizer.register_step_pre_hook(self.before_step)
        return self

    @torch.no_grad()
    def before_step(self, *_: object) -> None:
        """Set α."""
        self._write()


@dataclass(frozen=True)
class Rule:
    """One rule as it is compared.

    Args:
        title: how tables and the plot call it.
        attach: puts the rule on an optimizer; its second argument is D, the entries of one model.
        tau: the τ that the rule counts S with.
    """

    title: str
    attach: Callable[[AlphaGrad, int], Any]
    tau: float = TAU


@dataclass(frozen=True, slots=True)
class RestingBand(Band):
    """A band in which control comes to rest somewhere else than at the geometric means.

    Args:
        low: lower edge.
        high: upper edge.
        width: of the inner band, as a share of the band's on a logarithmic scale.
    """

    width: float = 0.5

    @property
    def inner(self) -> tuple[float, float]:
        """Where control comes to rest."""
        edges = ((edge / self.middle) ** self.width for edge in (self.low, self.high))
        low, high = (self.middle * edge for edge in edges)
        return low, high


def attach_ours(optimizer: AlphaGrad, _: int, *, band: Band = BAND, **options: Any) -> None:
    """Attach SaturationScheduler: with its quantile start to runs called own, "keep" to the others.

    Each tensor is a run of its own here, so that small ones must not be pooled.
    """
    names = optimizer.layer_names()
    for layers, start in (("own.*", "quantile"), ("[!o]*", "keep")):
        if matching_layers(names, layers):
            chosen: dict[str, Any] = {"tau": TAU, "start": start, "min_numel": 1, **options}
            SaturationScheduler(optimizer, band, layers=layers, **chosen).attach()


def dynag(optimizer: AlphaGrad, *, total: int) -> None:
    """Attach DynAG's rule as it is in DynAG, without a bound; ``total`` is its D."""
    DynAGAlpha(optimizer, total=total, tau=DYNAG_TAU, k_max=math.inf).attach()


def ours(title: str, **options: Any) -> Rule:
    """SaturationScheduler with options that are not its defaults."""
    return Rule(title, partial(attach_ours, **options))


RULES = {
    "ours": ours("SaturationScheduler"),
    "dynag": Rule("DynAG", lambda o, total: dynag(o, total=total), DYNAG_TAU),
    "multiplicative": Rule("± 2 %", lambda o, _: Multiplicative(o).attach()),
    "exact": Rule("exact quantile", lambda o, _: ExactQuantile(o).attach()),
}
# No rule: α stays where it starts. At the matching α this is what the noise of S alone allows.
HELD = Rule("α held", lambda o, _: AlphaScheduler(o).attach())


def together(title: str, **options: Any) -> Rule:
    """SaturationScheduler as it is used: on all layers of a model."""
    return Rule(
        title, lambda optimizer, _: SaturationScheduler(optimizer, tau=TAU, **options).attach()
    )


# Whether a small layer of a model follows the S of all layers or its own.
POOLING = {
    "pooled": together("… min_numel=256", min_numel=256),
    "apart": together("… min_numel=1", min_numel=1),
}
MODEL_RULES = RULES | {"ours": together("SaturationScheduler")}
GAINS = (0.5, 1.0, 2.0, 4.0, 8.0)
MAX_LOG_STEPS = (0.1, 0.25, 0.5, 1.0)
WIDTHS = (0.0, 0.25, 0.5, 1.0)
# The options of each variant of ours, as the sensitivity sweep names them.
SWEEP = {
    f"gain {gain:g}, max_log_step {most:g}, width {width:g}": {
        "gain": gain,
        "max_log_step": most,
        "width": width,
    }
    for width in WIDTHS
    for most in MAX_LOG_STEPS
    for gain in GAINS
}
VARIANTS = {
    name: ours(
        name,
        gain=options["gain"],
        max_log_step=options["max_log_step"],
        band=RestingBand(BAND.low, BAND.high, options["width"]),
    )
    for name, options in SWEEP.items()
}

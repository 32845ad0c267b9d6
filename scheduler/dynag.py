"""The rule by which DynAG, a later optimizer of the paper's author, moves α."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.linalg import vector_norm

from alphagrad.optim import AlphaGrad, layer_sizes
from alphagrad.optim.rule import as_real
from alphagrad.optim.sharded import local_parts
from alphagrad.scheduler.counting import CountingScheduler
from alphagrad.scheduler.factor import check_count, check_positive


class DynAGAlpha(CountingScheduler):
    r"""Moves α toward DynAG's α̂, a function of each gradient's shape and saturation.

    .. math::
        \hat\alpha = \kappa\,\frac{\lVert g\rVert + \epsilon}{\sigma + \epsilon}
        \left(\frac dD\right)^{\beta} \left(\frac{p^*}{S + \epsilon}\right)^{\eta'}, \qquad
        \alpha \leftarrow (1 - \rho)\,\alpha + \rho\,\hat\alpha

    with σ the deviation of the gradient's entries, d their number, D that of the whole model and
    κ = τ/Z for p*, the k at which a Gaussian gradient has the saturation p*. A baseline to compare
    with, kept as its author has it: S is up to ``every`` steps old, (d/D)^β pulls small layers
    far below p*, and where S stays 0 nothing brings α̂ back, so that α̂ would grow without end
    as σ falls, in a layer of one entry at once; here ``k_max`` ends that. DynAG also shrinks the
    whole update, which is no rule for α and is left out, and waits for the device at each step,
    which this does not. A step that measured no S holds α.

    Args:
        optimizer: the optimizer whose α to move. Its groups' ``tau`` is set to ``tau``.
        target: p*, the wanted saturation, in (0, 1) (default: 0.1).
        power: η', how much S counts (default: 0.3).
        size_power: β, how much the layer's size counts (default: 1/3).
        rate: ρ, how far α goes toward α̂ in a step, in (0, 1] (default: 0.1).
        every: steps from one measurement of S to the next (default: 10).
        tau: τ: an entry is saturated when |α·g̃| > τ (default: 1.25).
        k_max: upper bound of α̂/√d; ``math.inf`` for DynAG's own, that of float32 alone
            (default: 100.0).
        total: D; None for the number of entries in the optimizer (default: None).
        layers: glob of the layers to act on (default: all).

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: an argument is out of its range, or no layer matches ``layers``.

    Example:
        >>> weight = torch.zeros(64, 64, requires_grad=True)
        >>> optimizer = AlphaGrad([weight])
        >>> scheduler = DynAGAlpha(optimizer).attach()
        >>> for _ in range(100):
        ...     weight.grad = torch.randn(64, 64)
        ...     optimizer.step()
        ...
        >>> 0.09 < optimizer.saturation()["0.0"] < 0.11
        True
    """

    _not_saved: ClassVar[frozenset[str]] = CountingScheduler._not_saved | {
        "_limits",
        "_sizes",
        "_shares",
    }
    EPS: ClassVar[float] = 1e-8

    def __init__(
        self,
        optimizer: AlphaGrad,
        *,
        target: float = 0.1,
        power: float = 0.3,
        size_power: float = 1 / 3,
        rate: float = 0.1,
        every: int = 10,
        tau: float = 1.25,
        k_max: float = 100.0,
        total: int | None = None,
        layers: str = "*",
    ) -> None:
        if not 0 < target < 1:
            raise ValueError(f"Invalid target: {target}, must be in (0, 1)")
        if not 0 < rate <= 1:
            raise ValueError(f"Invalid rate: {rate}, must be in (0, 1]")
        for name, value in {"power": power, "size_power": size_power}.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"Invalid {name}: {value}, must be finite and >= 0")
        check_positive(tau=tau)
        check_count(every=every, total=1 if total is None else total)
        if not k_max > 0:
            raise ValueError(f"Invalid k_max: {k_max}, must be > 0")
        self.target, self.power, self.size_power = target, power, size_power
        self.rate, self.every, self.k_max = rate, every, k_max
        self.total = total
        self.kappa = tau / -NormalDist().inv_cdf(target / 2)
        self._measured: list[Tensor] = []
        self._limits: list[Tensor] = []
        self._shares: list[Tensor] = []
        self._sizes: list[Tensor] = []
        super().__init__(optimizer, tau=tau, layers=layers)
        self._refresh()

    def on_groups(self) -> None:
        """Compute what depends on d and D, and set τ of the groups with a layer to act on."""
        super().on_groups()
        groups = self.optimizer.param_groups
        sizes = [layer_sizes(group["params"], norm=group["norm"]) for group in groups]
        total = self.total or sum(sum(layer_sizes(group["params"])) for group in groups)
        most = torch.finfo(torch.float32).max
        self._limits, self._shares, self._sizes = [], [], []
        for g, group in enumerate(groups):
            device = group["pinned"].device
            wide = _wide(device)
            d = torch.tensor(sizes[g], dtype=wide)
            self._sizes.append(d.to(device))
            self._limits.append((self.k_max * d.sqrt()).clamp(max=most).to(device))
            self._shares.append((d / total).pow(self.size_power).to(device))
            if g < len(self._measured):
                self._measured[g] = self._measured[g].to(device)
            else:  # as if the wanted S had been measured
                self._measured.append(torch.full_like(group["saturation"], self.target))

    def get_alpha(self) -> list[Tensor]:
        """Give α after one step of the rule."""
        computed = []
        for g, (group, alpha) in enumerate(
            zip(self.optimizer.param_groups, self.alpha_vectors(), strict=True)
        ):
            if not group["params"]:
                computed.append(alpha)
                continue
            s = self.counted(g, group)
            if (self.last_step - 1) % self.every == 0:
                self._measured[g] = torch.where(s.isnan(), self._measured[g], s)
            wanted = self._wanted(g, group)
            moved = torch.lerp(alpha, wanted, self.rate)
            computed.append(torch.where(s.isnan() | wanted.isnan(), alpha, moved))
        return computed

    def _wanted(self, g: int, group: dict[str, Any]) -> Tensor:
        """Give α̂, float32 (n,)."""
        params, d = group["params"], self._sizes[g]
        _, grads, _, reduce = local_parts(params, [p.grad for p in params], ())
        total, square = reduce(torch.stack([_sums(grad, d) for grad in grads], 1)).unbind()
        if group["norm"] == "group":
            total, square = total.sum().expand_as(d), square.sum().expand_as(d)
        deviation = (square / d - (total / d).square()).clamp(min=0).sqrt()
        shape = (square.sqrt() + self.EPS) / (deviation + self.EPS) * self._shares[g]
        pull = ((self._measured[g].to(d.dtype) + self.EPS) / self.target).pow(-self.power)
        wanted = torch.where(square == 0, torch.nan, self.kappa * shape * pull)
        return wanted.minimum(self._limits[g]).to(torch.float32)


def _wide(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def _sums(grad: Tensor | None, like: Tensor) -> Tensor:
    """Give the sum of a gradient's entries and of their squares, (2,) in the type of ``like``."""
    if grad is None:
        return like.new_zeros(2)
    entries = as_real(grad)
    return torch.stack((entries.sum(dtype=like.dtype), vector_norm(entries, dtype=like.dtype) ** 2))

"""The dynamic rule: hold each layer's saturation in a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad, layer_sizes, native
from alphagrad.optim.rehearsal import is_rehearsal
from alphagrad.scheduler.band import Band, BandSchedule, as_band
from alphagrad.scheduler.band_rule import BandRule
from alphagrad.scheduler.counting import CountingScheduler
from alphagrad.scheduler.quantile_start import quantile_alpha

TRIES = 4
"""Steps in which layers may start: a GradScaler skips the first ones, or a gradient is zero yet."""


class SaturationScheduler(CountingScheduler):
    r"""Moves α until each layer's saturation S is in a band (paper, section 7.3).

    Three parts: the signal is S as the optimizer measured it, pooled over the group for small
    layers; the target is a :class:`Band`, or a :class:`BandSchedule` that moves; the rule is a
    :class:`BandRule`. α stays in [k_min, k_max]·√d while it is moved: a layer that cannot reach the
    band ends at a bound, and leaves it as soon as its gradients allow. A step that measured no S
    (zero, non-finite or missing gradient, one below ε, or masked by a GradScaler) holds α.

    Attached, it starts from the first gradients themselves: before the optimizer's first step each
    α is set to where a sample of the gradient has the band's middle as its S. Layers of a group
    that is added later start likewise; one whose first gradient comes later, since it was frozen,
    goes on from the α that it has.

    Args:
        optimizer: the optimizer whose α to move. Its groups' ``tau`` is set to ``tau``.
        band: two edges, 0 < low < high < 1, or a target (default: (0.05, 0.25)).
        tau: τ: an entry is saturated when |α·g̃| > τ (default: 0.5, where tanh bends by 8 %, which
            is α of about 0.3·√d; the paper's 2.5, where tanh is nearly flat, is about 1.5·√d).
        gain: change of log α per unit of S (default: 2.0).
        max_log_step: largest change of log α in one step (default: 0.5).
        k_min: lower bound of α/√d (default: 0.01).
        k_max: upper bound of α/√d (default: 100.0).
        min_numel: a layer of fewer entries follows the S of its whole group, since its own is
            a noisy count of few; 1 lets each layer follow its own (default: 32).
        start: ``"quantile"`` for that start, or ``"keep"`` to go on from the α that is there
            (default: ``"quantile"``).
        layers: glob of the layers to act on (default: all).

    Attributes:
        band: the target.
        rule: the rule.

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: an argument is out of its range.

    Example:
        >>> weight = torch.zeros(64, 64, requires_grad=True)
        >>> optimizer = AlphaGrad([weight], alpha=2.0)
        >>> scheduler = SaturationScheduler(optimizer).attach()
        >>> for _ in range(10):
        ...     weight.grad = torch.randn(64, 64)
        ...     optimizer.step()
        ...     assert 0.05 <= optimizer.saturation()["0.0"] <= 0.25
    """

    _not_saved: ClassVar[frozenset[str]] = CountingScheduler._not_saved | {
        "band",
        "rule",
        "_roots",
        "_small",
        "_own",
        "_fixed_numbers",
        "_quantile",
    }

    def __init__(
        self,
        optimizer: AlphaGrad,
        band: Sequence[float] | Band | BandSchedule = (0.05, 0.25),
        *,
        tau: float = 0.5,
        gain: float = 2.0,
        max_log_step: float = 0.5,
        k_min: float = 0.01,
        k_max: float = 100.0,
        min_numel: int = 32,
        start: Literal["quantile", "keep"] = "quantile",
        layers: str = "*",
    ) -> None:
        if not 0 < k_min < k_max < math.inf:
            raise ValueError(f"Invalid k_min, k_max: {k_min}, {k_max}, must be 0 < k_min < k_max")
        if not 0 < tau < math.inf:
            raise ValueError(f"Invalid tau: {tau}, must be finite and > 0")
        if min_numel < 1:
            raise ValueError(f"Invalid min_numel: {min_numel}, must be >= 1")
        if start not in ("quantile", "keep"):
            raise ValueError(f"Invalid start: {start!r}, must be 'quantile' or 'keep'")
        self.band = as_band(band)
        self.rule = BandRule(gain=gain, max_log_step=max_log_step)
        self.k_min, self.k_max, self.min_numel = k_min, k_max, min_numel
        self._quantile = start == "quantile"
        self._tries = 0
        self._started: list[Tensor] = []
        self._active: list[Tensor] = []
        self._roots: list[Tensor] = []
        self._small: list[Tensor | None] = []
        self._own: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []
        self._fixed_numbers: tuple[Band, BandRule, native.BandNumbers] | None = None
        super().__init__(optimizer, tau=tau, layers=layers)
        self._refresh()

    @torch.no_grad()
    def start(self) -> None:
        """Set α by the gradients that are there now; :meth:`attach` does so by itself, once."""
        for started in self._started:
            started.zero_()
        self._start()

    def _start(self) -> None:
        """Set α of the layers that have not started and have a gradient to start from."""
        self.alpha_vectors()
        self._refresh()
        self._set_tau()
        middle = self.band.at(self.last_step).middle
        for group, mask, root, started in zip(
            self.optimizer.param_groups, self._masks, self._roots, self._started, strict=True
        ):
            if not group["params"]:
                continue
            found = quantile_alpha(group, middle, tau=self.tau, min_numel=self.min_numel)
            free = mask & ~group["pinned"] & ~started & ~found.isnan()
            bounded = found.clamp(self.k_min * root, self.k_max * root)
            group["alpha"].copy_(torch.where(free, bounded, group["alpha"]))
            started |= ~found.isnan()

    def start_once(self) -> None:
        """Start layers by their first gradients, in the first few steps that have any.

        A gradient that is zero, missing or not finite starts nothing: the next step's does. Where
        gradients come inside ``optimizer.step(closure)``, the hook that :meth:`attach` sets finds
        none before the first step, and starts at the second; call this in the closure instead.
        """
        groups = self.optimizer.param_groups
        if not self._tries or (not self.optimizer.state and is_rehearsal(groups)):
            return
        if any(p.grad is not None for group in groups for p in group["params"]):
            self._tries -= 1
            self._start()

    def on_groups(self) -> None:
        """Compute √d and which layers are small, and set τ of the groups with a layer to act on."""
        super().on_groups()
        self._roots, self._small = [], []
        for g, group in enumerate(self.optimizer.param_groups):
            device = group["pinned"].device
            sizes = layer_sizes(group["params"], norm=group["norm"])
            self._roots.append(torch.tensor(sizes, dtype=torch.float32).sqrt().to(device))
            small = [size < self.min_numel for size in sizes]
            self._small.append(torch.tensor(small).to(device) if any(small) else None)
            if g < len(self._active):
                self._active[g] = self._active[g].to(device)
                self._started[g] = self._started[g].to(device)
            else:
                self._active.append(torch.zeros_like(group["pinned"]))
                self._started.append(torch.zeros_like(group["pinned"]))
                self._tries = TRIES if self._quantile else 0

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where another was, with its ``tau``, ``layers``, bounds of α and ``min_numel``.

        The band and the rule stay those of this one; load the optimizer's state too.

        Args:
            state_dict: from :meth:`state_dict`.

        Raises:
            ValueError: it is from another class, or of groups of other sizes.
        """
        sizes = [len(active) for active in state_dict.get("_active", ())]
        here = [len(group["params"]) for group in self.optimizer.param_groups]
        if any(saved != now for saved, now in zip(sizes, here, strict=False)):
            raise ValueError(
                f"Invalid scheduler state of groups of {sizes} parameters, must be {here}"
            )
        super().load_state_dict(state_dict)

    def get_alpha(self) -> list[Tensor]:
        """Give α after one step of the rule."""
        band = self.band.at(self.last_step)
        computed = []
        for g, (group, alpha) in enumerate(
            zip(self.optimizer.param_groups, self.alpha_vectors(), strict=True)
        ):
            root = self._roots[g]
            move, active = self.rule.move(self._signal(g, group, alpha), band, self._active[g])
            self._active[g] = active
            moved = (alpha * move.exp()).clamp(self.k_min * root, self.k_max * root)
            computed.append(torch.where(move == 0.0, alpha, moved))
        return computed

    def _signal(self, g: int, group: dict[str, Any], alpha: Tensor) -> Tensor:
        """Give S per layer; a small layer that measured one has that of the group."""
        s, small, root = self.counted(g, group), self._small[g], self._roots[g]
        if small is None:
            return s
        # Of the layers that can be moved: the S of others would lead small ones to a bound.
        within = (alpha > self.k_min * root) & (alpha < self.k_max * root)
        moved = self._masks[g] & ~group["pinned"] & (small | within)
        weight = torch.where(s.isnan() | ~moved, 0.0, root.square())
        pooled = (weight * s.nan_to_num(0.0)).sum() / weight.sum()
        return torch.where(small & ~s.isnan(), pooled, s)

    def _advance(self) -> None:
        if not self._devices:  # a state was loaded: step as without, for the ways round differently
            self.alpha_vectors()
            self._refresh()
            self._own = self._rows()
        if not (self._is_native() and self._hold_band()):
            self._write()  # takes up groups that were added
            self._own = self._rows()

    def _is_native(self) -> bool:
        """Whether the kernel's rule is this scheduler's: neither replaced nor overridden."""
        ours, mine = SaturationScheduler, type(self)
        return type(self.rule) is BandRule and (
            mine is ours or (mine.get_alpha is ours.get_alpha and mine._signal is ours._signal)
        )

    def _hold_band(self) -> bool:
        """Let the kernel move α; says whether it did."""
        groups = self.optimizer.param_groups
        return native.hold_band(groups, self._own, self.tau, self._band_numbers())

    def _rows(self) -> list[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
        """Give what the native rule needs of each group."""
        return list(zip(self._active, self._masks, self._roots, self._small, strict=True))

    def _band_numbers(self) -> native.BandNumbers:
        """Give the band at this step and the rule as numbers."""
        fixed = self._fixed_numbers
        if fixed is not None and fixed[0] is self.band and fixed[1] is self.rule:
            return fixed[2]
        band, rule = self.band.at(self.last_step), self.rule
        low, high = band.inner
        numbers = (
            *(band.low, low, band.middle, high, band.high),
            *(rule.gain, rule.max_log_step, self.k_min, self.k_max),
        )
        if band is self.band:
            self._fixed_numbers = band, rule, numbers
        return numbers

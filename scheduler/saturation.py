"""The dynamic rule: hold each layer's saturation in a band."""

import math

import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad, layer_sizes
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler


class SaturationScheduler(AlphaScheduler):
    r"""Moves α until each layer's saturation S is in a band (paper, section 7.3).

    With f = √(lo·hi) the law is, per layer and step,
    log α ← log α + clip(gain·(f − S), ±max_log_step). It acts from the step at which S leaves
    [lo, hi] until S is in the inner band [√(lo·f), √(f·hi)], and rests otherwise, so that noise in
    S does not move α. A step that measured no S holds α. While it acts, α stays in
    [k_min, k_max]·√d: a layer that cannot reach the band ends at a bound, and leaves it as soon as
    its gradients allow.

    On Gaussian gradients S changes by at most 0.49 per unit of log α, so the loop does not
    oscillate while gain < 2/0.49, nor overshoot while gain < 1/0.49.

    Args:
        optimizer: the optimizer whose α to move. Its groups' ``tau`` is set to ``tau``.
        band: lo and hi, 0 < lo < hi < 1 (default: (0.05, 0.25)).
        tau: τ: an entry is saturated when |α·g̃| > τ (default: 2.5).
        gain: change of log α per unit of S (default: 2.0).
        max_log_step: largest change of log α in one step (default: 0.5).
        k_min: lower bound of α/√d (default: 0.01).
        k_max: upper bound of α/√d (default: 100.0).
        layers: glob of the layers to act on (default: all).

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: an argument is out of its range.

    Example:
        >>> weight = torch.zeros(64, 64, requires_grad=True)
        >>> optimizer = AlphaGrad([weight], alpha=2.0)
        >>> scheduler = SaturationScheduler(optimizer).attach()
        >>> for _ in range(25):
        ...     weight.grad = torch.randn(64, 64)
        ...     optimizer.step()
        >>> 0.05 <= optimizer.saturation()["0.0"] <= 0.25
        True
    """

    _not_saved = AlphaScheduler._not_saved | {"_roots", "_covered"}

    def __init__(
        self,
        optimizer: AlphaGrad,
        band: tuple[float, float] = (0.05, 0.25),
        *,
        tau: float = 2.5,
        gain: float = 2.0,
        max_log_step: float = 0.5,
        k_min: float = 0.01,
        k_max: float = 100.0,
        layers: str = "*",
    ) -> None:
        low, high = band
        if not 0 < low < high < 1:
            raise ValueError(f"Invalid band: {band}, must be 0 < low < high < 1")
        if not 0 < k_min < k_max < math.inf:
            raise ValueError(f"Invalid k_min, k_max: {k_min}, {k_max}, must be 0 < k_min < k_max")
        for name, value in {"tau": tau, "gain": gain, "max_log_step": max_log_step}.items():
            if not 0 < value < math.inf:
                raise ValueError(f"Invalid {name}: {value}, must be finite and > 0")
        self.band = (float(low), float(high))
        self.tau = tau
        self.gain = gain
        self.max_log_step = max_log_step
        self.k_min = k_min
        self.k_max = k_max
        self._active: list[Tensor] = []
        self._roots: list[Tensor] = []
        self._covered: set[int] = set()
        super().__init__(optimizer, layers=layers)
        self._refresh()

    def on_groups(self) -> None:
        """Compute √d, and set τ of the groups with a layer to act on."""
        groups = self.optimizer.param_groups
        self._covered = {layer.group for layer in self.covered_layers()}
        self._set_tau()
        self._roots = []
        for g, group in enumerate(groups):
            device = group["pinned"].device
            sizes = torch.tensor(layer_sizes(group["params"], norm=group["norm"]))
            self._roots.append(sizes.to(torch.float32).sqrt().to(device))
            if g < len(self._active):
                self._active[g] = self._active[g].to(device)
            else:
                self._active.append(torch.zeros_like(group["pinned"]))

    def get_alpha(self) -> list[Tensor]:
        """Give α after one step of the control law."""
        # Each time, because loading a state into the optimizer brings the τ it was saved with.
        self._set_tau()
        low, high = self.band
        middle = math.sqrt(low * high)
        inner_low, inner_high = math.sqrt(low * middle), math.sqrt(middle * high)
        computed = []
        for g, (group, alpha) in enumerate(
            zip(self.optimizer.param_groups, self.alpha_vectors(), strict=True)
        ):
            s, root = group["saturation"], self._roots[g]
            # A NaN fails each comparison: whether the layer is active stays as it was.
            outside = (s < low) | (s > high)
            inside = (s >= inner_low) & (s <= inner_high)
            active = self._active[g] = (self._active[g] | outside) & ~inside
            move = (self.gain * (middle - s)).clamp(-self.max_log_step, self.max_log_step)
            moved = (alpha * move.exp()).clamp(self.k_min * root, self.k_max * root)
            computed.append(torch.where(active & ~s.isnan(), moved, alpha))
        return computed

    def _set_tau(self) -> None:
        for g in self._covered:
            self.optimizer.param_groups[g]["tau"] = self.tau

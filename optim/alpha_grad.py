"""The AlphaGrad optimizer."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from alphagrad.optim.functional import alphagrad
from alphagrad.optim.knob import Knob
from alphagrad.optim.layers import find_layers
from alphagrad.optim.options import check_options, check_params
from alphagrad.optim.packed import as_alpha, is_packed, pack_group

_OPTIONS = ("lr", "alpha", "k", "momentum", "eps", "tau", "norm", "foreach", "fused")


class AlphaGrad(Optimizer, Knob):
    """Normalise each gradient, then shape it with tanh (S. Sane, AlphaGrad, 2025, section 2).

    With g̃ = g / (‖g‖₂ + ε) and g' = tanh(α·g̃) the step is θ ← θ − η·g' without momentum, and
    v ← γ·v + η·g', θ ← θ − v with it; v starts at 0. A layer is one tensor, or one group when
    ``norm="group"``. A layer whose gradient is zero, non-finite or missing is left untouched,
    with its momentum, and counted once. With ``norm="group"`` one non-finite gradient skips the
    whole group, and only a group without any gradient is missing.

    ``group["alpha"]`` is the only place α lives, a float or a float32 vector with one entry per
    tensor, read at each step. The group also holds ``saturation``, ``pinned`` and ``skipped``,
    packed the same way, on the device of its tensors. The methods of :class:`Knob` read and write
    them by layer name.

    Args:
        params: tensors, named tensors or groups, as for any torch optimizer; each of these options
            may be set per group. The tensors of one group lie on one device.
        lr: η, the length of a step per entry, a Python number (default: 1e-3).
        alpha: α, a number, one number per tensor of a group, or None for k·√d per layer
            (default: None).
        k: k of that rule (default: 1.5).
        momentum: γ in [0, 1); 0 keeps no state per parameter (default: 0.0). The steady step
            is 1/(1−γ) times η.
        eps: ε, added to the norm (default: 1e-8).
        tau: τ: an entry is saturated when |α·g̃| > τ (default: 2.5).
        norm: ``"tensor"`` or ``"group"`` (default: ``"tensor"``).
        foreach: use ``torch._foreach_*``; None means on CUDA only (default: None).
        fused: use the native CPU kernel; None means where it was built and takes the tensors, and
            ``foreach`` is None (default: None).

    Raises:
        TypeError: a tensor is complex or not of a floating point type, or ``lr`` is a tensor.
        ValueError: an option is out of its range, the tensors of a group lie on several devices,
            or two layers have one name.

    Example:
        >>> model = torch.nn.Linear(3, 2)
        >>> optimizer = AlphaGrad(model.named_parameters(), lr=1e-2, alpha=50.0)
        >>> model(torch.ones(1, 3)).sum().backward()
        >>> optimizer.step()
        >>> optimizer.set_alpha(20, "w*")
        ['weight']
        >>> optimizer.alphas()
        {'weight': 20.0, 'bias': 50.0}
        >>> optimizer.saturation()
        {'weight': 1.0, 'bias': 1.0}
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        *,
        alpha: float | Sequence[float] | Tensor | None = None,
        k: float = 1.5,
        momentum: float = 0.0,
        eps: float = 1e-8,
        tau: float = 2.5,
        norm: Literal["tensor", "group"] = "tensor",
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        options = {"k": k, "momentum": momentum, "eps": eps, "tau": tau, "norm": norm}
        paths = {"foreach": foreach, "fused": fused}
        defaults = {"lr": lr, "alpha": alpha, **options, **paths}
        check_options(defaults)
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, with the options it does not set taken from the constructor.

        Args:
            param_group: ``{"params": …}`` and any option; changed in place.

        Raises:
            TypeError: as for the constructor.
            ValueError: as for the constructor; the optimizer is then as it was.
        """
        super().add_param_group(param_group)
        try:
            check_options(param_group)
            check_params(param_group["params"])
            find_layers(self.param_groups)
            # The vectors are this optimizer's own, even when the dict comes from another one.
            for key in ("saturation", "pinned", "skipped"):
                param_group.pop(key, None)
            param_group["alpha"] = as_alpha(param_group["alpha"], param_group)
            pack_group(param_group)
        except BaseException:
            self.param_groups.pop()
            raise

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name in _OPTIONS:
                group.setdefault(name, self.defaults[name])
            pack_group(group)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step on every group.

        Args:
            closure: computes the loss anew, with gradients, before the step (default: None).

        Returns:
            What the closure returned, else None.

        Raises:
            RuntimeError: a gradient is sparse; or ``fused`` is True and the kernel cannot run.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params: list[Tensor] = group["params"]
            if not params:
                continue
            if not is_packed(group, params[0].device):
                pack_group(group)
            grads = [p.grad for p in params]
            momentum = group["momentum"]
            alphagrad(
                params,
                grads,
                self._momentum_buffers(params, grads) if momentum else (),
                alpha=group["alpha"],
                saturation=group["saturation"],
                skipped=group["skipped"],
                lr=group["lr"],
                momentum=momentum,
                eps=group["eps"],
                tau=group["tau"],
                norm=group["norm"],
                foreach=group["foreach"],
                fused=group["fused"],
            )
        return loss

    def _momentum_buffers(
        self, params: list[Tensor], grads: list[Tensor | None]
    ) -> list[Tensor | None]:
        buffers: list[Tensor | None] = []
        for p, g in zip(params, grads, strict=True):
            if g is None:
                buffers.append(None)
                continue
            state = self.state[p]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(p)
            buffers.append(state["momentum_buffer"])
        return buffers

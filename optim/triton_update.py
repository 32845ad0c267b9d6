"""The update on Triton's kernels: two launches for all tensors of a group, on a GPU."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from alphagrad.optim.layer_math import LayerMath, Reduce
from alphagrad.optim.rule import Rule
from alphagrad.optim.triton_plan import DTYPES, Plan, make_plan

if TYPE_CHECKING:
    from alphagrad.optim.triton_kernels import Build

logger = logging.getLogger(__name__)

WARPS = 8


@cache
def is_installed() -> bool:
    """Say whether the triton package is there; it is not imported before a kernel runs."""
    return find_spec("triton") is not None


def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    buffers: Sequence[Tensor | None],
    *,
    rule: Rule,
    saturation: Tensor,
    skipped: Tensor,
    reduce: Reduce | None = None,
) -> bool:
    """Take the step of :func:`alphagrad.optim.alphagrad` if the kernels take the tensors.

    Stochastic rounding is seeded by a number that torch's generator of the device draws on the
    device, so ``torch.manual_seed`` rules it and a replayed CUDA graph draws anew.

    Args:
        params: n tensors.
        grads: their gradients, None where missing.
        buffers: v per tensor, None where the gradient is missing; empty without momentum.
        rule: the options.
        saturation: float32 (n,), written.
        skipped: int64 (3, n), added to.
        reduce: sums a (k, n) matrix over the processes that hold parts of the tensors; None where
            each tensor is whole (default: None).

    Returns:
        Whether it was taken; if not, nothing has changed.
    """
    device = params[0].device
    if torch.compiler.is_compiling() or reason_against(device) is not None:
        return False
    given = (rule.alpha, rule.beta, rule.mix, rule.grad_scale, rule.found_inf, saturation, skipped)
    for tensor in given:
        if isinstance(tensor, Tensor) and (tensor.device != device or not tensor.is_contiguous()):
            return False
    here = device.type == "cpu" or torch.cuda.current_device() == device.index
    with nullcontext() if here else torch.cuda.device(device):
        plan = make_plan(params, grads, buffers)
        if plan is None:
            return False
        launches = _Launches(plan, rule, alone=reduce is None)
        if reduce is None:
            launches.measure(skipped)
            if rule.unit_rms:  # a layer's RMS must be known before its first entry moves
                launches.preview()
            launches.update(saturation)
        else:
            layers = LayerMath(rule, grads, saturation, skipped, reduce)
            _step_of_parts(launches, layers, plan.layout.work)
    # Autograd notices a write to a tensor that it saved only by the tensor's version.
    increment_version([*params, *(b for b in buffers if b is not None)] if buffers else params)
    return True


def _step_of_parts(launches: _Launches, layers: LayerMath, work: Tensor) -> None:
    """Take a step on this process's parts of tensors, with sums over all processes."""
    scale, count, factor, hits, power, _ = work.unbind()
    layers.in_vectors = True
    launches.measure(layers.skipped)
    (found,) = layers.scales([scale.sqrt()], [count])
    scale.copy_(found)
    count.copy_(layers.live)
    if layers.rule.unit_rms:
        launches.preview()
        (found,) = layers.record([hits], [power])
        factor.copy_(found)
        launches.update(layers.saturation)
    else:
        launches.update(layers.saturation)
        layers.record([hits])


@cache
def reason_against(device: torch.device) -> str | None:
    """Say why no kernel can run on a device; None if they can. The first call compiles one."""
    if not is_installed():
        return "triton is not installed"
    if device.type != ("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"):
        return "the kernels need all tensors on one CUDA device"
    try:
        _try(device)
    except Exception as error:  # noqa: BLE001  (no C compiler, an old GPU: torch can do it all)
        reason = f"triton cannot compile here: {type(error).__name__}: {error}"
        logger.warning("AlphaGrad steps run in torch's own operations: %s", reason)
        return reason
    return None


def _try(device: torch.device) -> None:
    rule = Rule(
        alpha=1.0,
        beta=1.0,
        mix=1.0,
        lr=0.0,
        momentum=0.0,
        dampening=0.0,
        nesterov=False,
        weight_decay=0.0,
        maximize=False,
        eps=1e-8,
        tau=2.5,
        normalise=True,
        pooled=False,
        transform="tanh",
        unit_rms=False,
        stochastic_rounding=False,
        grad_scale=None,
        found_inf=None,
        dtype=torch.float32,
    )
    one = torch.zeros(1, device=device)
    plan = make_plan([one], [one], [])
    assert plan is not None
    launches = _Launches(plan, rule, alone=True)
    launches.measure(torch.zeros(3, 1, dtype=torch.int64, device=device))
    launches.update(one)


def needs(device: torch.device) -> str:
    """Say what the kernels need, for an error's text."""
    return reason_against(device) or (
        "all tensors must be on one CUDA device, contiguous or channels_last, and of float32, "
        "bfloat16 or float16"
    )


class _Launches:
    """The launches of one step."""

    def __init__(self, plan: Plan, rule: Rule, *, alone: bool) -> None:
        from alphagrad.optim import triton_kernels

        self.kernels, self.plan, self.rule = triton_kernels, plan, rule
        table = plan.table
        lr = rule.lr
        self.lr = float(lr) if not isinstance(lr, Tensor) or lr.device != table.device else lr
        self.shape = (
            rule.alpha if isinstance(rule.alpha, Tensor) else float(rule.alpha),
            _unless_one(rule.beta),
            _unless_one(rule.mix),
        )
        vectors = [isinstance(given, Tensor) for given in (*self.shape, self.lr)]
        self.builds = [
            _build(
                kind,
                nesterov=rule.nesterov,
                sine=rule.transform == "sin",
                normalise=rule.normalise,
                maximize=rule.maximize,
                aligned=plan.aligned,
                pooled=rule.pooled and alone,
                alone=alone,
                unit_rms=rule.unit_rms,
                alphas=vectors[0],
                betas=vectors[1],
                mixes=vectors[2],
                rates=vectors[3],
            )
            for kind in plan.kinds
        ]
        self.device = table.device.index
        self.blocks, self.rows = plan.layout.owners.shape[0], table.shape[0]

    def measure(self, skipped: Tensor) -> None:
        """Sum over each layer, and decide on its scale."""
        rule, layout = self.rule, self.plan.layout
        given = (float(rule.eps), rule.grad_scale, rule.found_inf)
        self._launch(
            self.kernels.measure,
            (self.plan.table, layout.owners, layout.parts, layout.counters, layout.work),
            (skipped, self.shape[0], *given),
        )

    def preview(self) -> None:
        """Sum the squares of g'."""
        layout = self.plan.layout
        self._launch(
            self.kernels.preview,
            (self.plan.table, layout.owners, layout.parts, layout.counters, layout.work),
            (*self.shape, float(self.rule.tau)),
        )

    def update(self, saturation: Tensor) -> None:
        """Move the tensors."""
        rule, layout = self.rule, self.plan.layout
        seed = None
        if rule.stochastic_rounding:
            seed = torch.randint(2**62, (1,), device=self.plan.table.device)
        given = (rule.weight_decay, rule.momentum, 1 - rule.dampening, rule.tau)
        numbers = (self.lr, *map(float, given))
        self._launch(
            self.kernels.update,
            (self.plan.table, layout.owners, layout.counters, layout.work),
            (saturation, *self.shape, *numbers, seed),
        )

    def _launch(self, kernel: Any, fixed: Sequence[Tensor], given: Sequence[Any]) -> None:
        types = [x.dtype if isinstance(x, Tensor) else type(x) for x in given]
        # Each launch passes over the blocks of other kinds; there is seldom more than one kind.
        for kind, build in zip(self.plan.kinds, self.builds, strict=True):
            args = (*fixed, self.rows, kind, *given, build)
            key = (kernel.__name__, self.device, build, *types)
            compiled = _compiled.get(key)
            if compiled is not None:
                compiled[self.blocks, 1, 1](*args)
            else:
                _compiled[key] = kernel[self.blocks, 1, 1](*args, num_warps=WARPS)


# Triton looks for what it compiled by every argument; knowing which it is halves a launch. Its
# interpreter compiles nothing.
_compiled: dict[tuple[Any, ...], Any] = {}


def _unless_one(value: float | Tensor) -> float | Tensor | None:
    """Give None for the number 1, which the compiled kernel then leaves out."""
    if isinstance(value, Tensor):
        return value
    return None if value == 1.0 else float(value)


@lru_cache(maxsize=256)
def _build(kind: int, **options: Any) -> Build:
    """Give what a kernel is compiled for; of a plan's kinds, each has its types."""
    import triton.language

    from alphagrad.optim.triton_kernels import Build

    places = (kind % 4, kind // 4 % 4, kind // 16)
    types: list[Any] = [
        getattr(triton.language, str(DTYPES[place]).removeprefix("torch."))
        if place < len(DTYPES)
        else None
        for place in places
    ]
    return Build(*types, **options)

"""The update on Triton's kernels: a few launches for all tensors of a group, on a GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from alphagrad.optim.layer_math import LayerMath
from alphagrad.optim.multi_tensor import multi_tensor_alphagrad
from alphagrad.optim.rule import Rule

if TYPE_CHECKING:
    from alphagrad.optim.triton_kernels import Build, Numbers, Vectors

_DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}
_PLAIN = (Tensor, torch.nn.Parameter)
_LAST = (torch.channels_last, torch.channels_last_3d)

Kind = tuple[torch.dtype, torch.dtype, torch.dtype | None]


@cache
def is_installed() -> bool:
    """Say whether the triton package is there; it is not imported before a kernel runs."""
    return find_spec("triton") is not None


def needs() -> str:
    """Say what the kernels need, for an error's text."""
    if not is_installed():
        return "triton is not installed"
    return (
        "all tensors must be on one CUDA device, contiguous or channels_last, and of float32, "
        "bfloat16 or float16"
    )


def can_run(*lists: Sequence[Tensor]) -> bool:
    """Say whether the kernels take a group.

    Args:
        lists: parameters, gradients and, with momentum, buffers: only what is present.
    """
    lists = tuple(tensors for tensors in lists if tensors)
    if not lists or not is_installed() or torch.compiler.is_compiling():
        return False
    device = lists[0][0].device
    if device.type != ("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"):
        return False
    for tensors in lists:
        for t in tensors:
            # A subclass of Tensor may have no memory of its own.
            if type(t) not in _PLAIN or t.dtype not in _DTYPES or t.device != device:
                return False
    return all(map(_lie_alike, zip(*lists, strict=True)))


def _lie_alike(tensors: tuple[Tensor, ...]) -> bool:
    """Say whether the tensors have equal entries in equal places, without gaps."""
    for t in tensors:
        if not t.is_contiguous():
            break
    else:
        return True
    return any(all(t.is_contiguous(memory_format=f) for t in tensors) for f in _LAST)


def triton_alphagrad(
    params: list[Tensor], grads: list[Tensor], buffers: list[Tensor], layers: LayerMath, rule: Rule
) -> None:
    """Update present, non-empty tensors in place, in Triton's kernels.

    Stochastic rounding is seeded by a number that torch's generator of the device draws on the
    device, so ``torch.manual_seed`` rules it and a replayed CUDA graph draws anew.

    Args:
        params: m tensors that :func:`can_run` accepts.
        grads: their gradients.
        buffers: v per tensor; empty without momentum.
        layers: the vectors of the group.
        rule: the options.
    """
    if not params:  # nothing to launch, but other ranks wait for this one's share of the sums
        multi_tensor_alphagrad(params, grads, buffers, layers, rule)
        return
    layers.in_vectors = True
    with torch.cuda.device_of(params[0]):  # type: ignore[no-untyped-call]
        step = _Step(_plan(params, grads, buffers, layers), rule)
        squares, counts = step.measure()
        (scale,) = layers.scales([squares.sqrt()], [counts])
        vectors, numbers = _vectors(scale, layers), step.numbers()
        if rule.unit_rms:  # a layer's RMS must be known before its first entry moves
            hits, powers = step.preview(vectors, numbers)
            (factor,) = layers.record([hits], [powers])
            step.update(vectors._replace(factor=factor.float()), numbers)
        else:
            layers.record([step.update(vectors, numbers)])
    # Autograd notices a write to a tensor that it saved only by the tensor's version.
    torch.autograd.graph.increment_version([*params, *buffers])


def _vectors(scale: Tensor, layers: LayerMath) -> Vectors:
    from alphagrad.optim.triton_kernels import Vectors

    beta = layers.constants(layers.rule.beta)
    mixing = layers.mixing()
    return Vectors(
        live=layers.live.float(),
        scale=scale.float(),
        beta=None if beta is None else beta[0].float(),
        mix=None if mixing is None else mixing[0][0].float(),
        rest=None if mixing is None else mixing[1][0].float(),
        factor=None,
    )


class _Plan(NamedTuple):
    """Where the tensors are; see :mod:`alphagrad.optim.triton_kernels`."""

    table: Tensor
    owners: Tensor
    kinds: tuple[Kind, ...]
    aligned: bool


class _Step:
    """The launches of one step."""

    def __init__(self, plan: _Plan, rule: Rule) -> None:
        import triton.language

        from alphagrad.optim import triton_kernels

        self.plan, self.rule, self.kernels = plan, rule, triton_kernels
        self.types = {None: None} | {
            dtype: getattr(triton.language, name) for dtype, name in _DTYPES.items()
        }

    def numbers(self) -> Numbers:
        """Give what all tensors share."""
        rule, device = self.rule, self.plan.table.device
        rate = torch.ones((), dtype=torch.float64, device=device) * rule.lr
        return self.kernels.Numbers(
            rates=torch.stack((rate, 1 - rate * rule.weight_decay)).float(),
            seed=torch.randint(2**62, (1,), device=device) if rule.stochastic_rounding else None,
            tau=rule.tau,
            momentum=rule.momentum,
            share=1 - rule.dampening,
        )

    def measure(self) -> Tensor:
        """Give the sum of squares of g, and the number of non-zero entries, -1 where missing."""
        parts = self._launch(self.kernels.measure, rows=2)
        return self._total(parts, missing=(0.0, -1.0))

    def preview(self, vectors: Vectors, numbers: Numbers) -> Tensor:
        """Give the number of entries beyond τ, and the sum of squares of g'; move nothing."""
        parts = self._launch(self.kernels.update, vectors, numbers, rows=2, moves=False)
        return self._total(parts, missing=(0.0, 0.0))

    def update(self, vectors: Vectors, numbers: Numbers) -> Tensor:
        """Move the tensors; give the number of entries beyond τ."""
        parts = self._launch(self.kernels.update, vectors, numbers, rows=1, moves=True)
        return self._total(parts, missing=(0.0,))[0]

    def _launch(self, kernel: Any, *args: Any, rows: int, **options: Any) -> Tensor:
        """Run a kernel over all blocks; give what it wrote, ``rows`` numbers per block."""
        plan, blocks = self.plan, len(self.plan.owners)
        parts = torch.empty(rows, blocks, dtype=torch.float64, device=plan.table.device)
        # Each launch passes over the blocks of other kinds; there is seldom more than one kind.
        for i, kind in enumerate(plan.kinds):
            build = self._build(kind)
            kernel[(blocks,)](
                plan.table, plan.owners, parts, i, *args, build=build, num_warps=8, **options
            )
        return parts

    def _total(self, parts: Tensor, missing: tuple[float, ...]) -> Tensor:
        """Sum what was written, per tensor of the group."""
        (rows, blocks), tensors = parts.shape, len(self.plan.table)
        sums = parts.new_empty(rows, tensors)
        self.kernels.total[(tensors,)](
            self.plan.table, parts, sums, blocks, rows=rows, missing=missing
        )
        return sums

    def _build(self, kind: Kind) -> Build:
        param, grad, buffer = (self.types[dtype] for dtype in kind)
        return self.kernels.Build(
            param=param,
            grad=grad,
            buffer=buffer,
            nesterov=self.rule.nesterov,
            sine=self.rule.transform == "sin",
            aligned=self.plan.aligned,
        )


def _plan(
    params: list[Tensor], grads: list[Tensor], buffers: list[Tensor], layers: LayerMath
) -> _Plan:
    """Bring the tensors' addresses to the device, if they are not there already."""
    kinds: dict[Kind, int] = {}
    rows = [(0, 0, 0, 0, -1 if i in layers.missing else 0) for i in range(layers.n)]
    for k, i in enumerate(layers.present):
        p, g, b = params[k], grads[k], buffers[k] if buffers else None
        kind = kinds.setdefault((p.dtype, g.dtype, None if b is None else b.dtype), len(kinds))
        address = 0 if b is None else b.data_ptr()
        rows[i] = (p.data_ptr(), g.data_ptr(), address, p.numel(), kind)
    device, stream, capturing = params[0].device, 0, False
    if device.type == "cuda":
        stream = torch.cuda.current_stream().cuda_stream
        capturing = torch.cuda.is_current_stream_capturing()
    # A captured copy is written anew by each replay and belongs to the graph.
    build = _tables.__wrapped__ if capturing else _tables
    table, owners, aligned = build(tuple(rows), device, stream, capturing)
    return _Plan(table, owners, tuple(kinds), aligned)


# Addresses mostly repeat: those of parameters always, those of gradients when the allocator gives
# the same places again. A table is used only on the stream that wrote it, and 32 of them serve
# several groups and gradients that alternate between places.
@lru_cache(maxsize=32)
def _tables(
    rows: tuple[tuple[int, ...], ...], device: torch.device, stream: int, capturing: bool
) -> tuple[Tensor, Tensor, bool]:
    """Give the kernels' table, the row that each block belongs to, and whether all is aligned."""
    from alphagrad.optim.triton_kernels import BLOCK

    numbers: list[int] = []
    blocks, bits = 0, 0
    for param, grad, buffer, size, kind in rows:
        numbers += (param, grad, buffer, size, blocks, kind)
        blocks += -(-size // BLOCK.value)
        bits |= param | grad | buffer
    table = _spelled(numbers, device) if capturing else _copied(numbers, device)
    table = table.view(len(rows), -1)
    counts = (table[:, 3] + (BLOCK.value - 1)) // BLOCK.value
    # With the size given, this does not wait for the counts.
    owners = torch.repeat_interleave(counts, output_size=blocks)
    return table, owners, bits % 16 == 0


def _copied(numbers: list[int], device: torch.device) -> Tensor:
    vector = torch.tensor(numbers, dtype=torch.int64)
    if device.type != "cuda":
        return vector
    # torch keeps pinned memory from being used again until the copy is done.
    return vector.pin_memory().to(device, non_blocking=True)


def _spelled(numbers: list[int], device: torch.device) -> Tensor:
    """Write numbers on the device as arguments of launches, which a CUDA graph keeps.

    Of a copy a graph keeps only where it came from, and that memory would have to last as long.
    """
    vector = torch.zeros(len(numbers), dtype=torch.int64, device=device)
    torch._foreach_add_(list(vector.unbind()), numbers)
    return vector

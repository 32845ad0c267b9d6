"""Where the tensors of a group lie, as the Triton kernels read it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from threading import get_ident
from typing import NamedTuple

import torch
from torch import Tensor

from alphagrad.optim import native

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
NO_BUFFER = 3
_PLAIN = (Tensor, torch.nn.Parameter)
_LAST = (torch.channels_last, torch.channels_last_3d)
_ROW = struct.Struct("=5q")
_MISSING = _ROW.pack(0, 0, 0, -1, -1)


class Layout(NamedTuple):
    """What depends on the sizes of the tensors alone.

    Attributes:
        owners: int32, the tensor that each block of entries belongs to.
        first: int64 (n,), on the CPU, each tensor's first block.
        many: int64 (n,), on the CPU, the number of its blocks, at least 1.
        parts: float64 (2, blocks), for the sums of the blocks.
        counters: int64 (n,), of the blocks that are done; 0 between launches.
        work: float64 (6, n): ±α/(‖g‖ + ε); the number of non-zero entries of a layer that moves,
            else 0; 1/RMS; the entries beyond τ; the sum of squares of g'; the number of non-zero
            entries where saturation is told, else NaN. Where the entries lie on several processes,
            the first two are the sum of squares of g and the number of non-zero entries, -1 where
            g is missing, until the processes have added theirs, and the last is not used.
    """

    owners: Tensor
    first: Tensor
    many: Tensor
    parts: Tensor
    counters: Tensor
    work: Tensor


class Plan(NamedTuple):
    """What the kernels need to know of a group's tensors.

    Attributes:
        table: int64 (n, 7): the addresses of parameter, gradient and momentum buffer; the number of
            entries, -1 where the gradient is missing; the kind, a number for the three types; the
            first block; the number of blocks.
        kinds: the kinds there are.
        aligned: whether every address is a multiple of 16.
        layout: the rest.
    """

    table: Tensor
    kinds: tuple[int, ...]
    aligned: bool
    layout: Layout


def make_plan(
    params: Sequence[Tensor], grads: Sequence[Tensor | None], buffers: Sequence[Tensor | None]
) -> Plan | None:
    """Find where tensors are, and bring it to their device if it is not there already.

    Args:
        params: n tensors.
        grads: their gradients, None where missing.
        buffers: v per tensor, None where the gradient is missing; empty without momentum.

    Returns:
        None if the kernels do not take them: they take plain tensors of float32, bfloat16 and
        float16 on one device, contiguous or all in one channels_last format.
    """
    device = params[0].device
    rows = find_rows(params, grads, buffers, device)
    if rows is None:
        return None
    stream, capturing = 0, False
    if device.type == "cuda":
        from triton.runtime import driver

        # torch.cuda.current_stream makes an object, which takes 8 µs.
        stream = driver.active.get_current_stream(device.index)
        capturing = torch.cuda.is_current_stream_capturing()
    # A captured copy is written anew by each replay and belongs to the graph.
    build = _plan.__wrapped__ if capturing else _plan
    return build(rows, device, stream, capturing, get_ident())


def find_rows(
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    buffers: Sequence[Tensor | None],
    device: torch.device,
) -> bytes | None:
    """Give five numbers of int64 per tensor: the first five columns of the table.

    The native extension does it in a tenth of a microsecond per tensor, Python in two.

    Returns:
        None if the kernels do not take the tensors.
    """
    if native.is_built():
        return native.rows(params, grads, buffers, device.type)
    rows = []
    for i, p in enumerate(params):
        g, b = grads[i], buffers[i] if buffers else None
        if g is None:
            rows.append(_MISSING)
            continue
        tensors = (p, g) if b is None else (p, g, b)
        if not _fit(tensors, device):
            return None
        kind = DTYPES.index(p.dtype) + 4 * DTYPES.index(g.dtype)
        kind += 16 * (NO_BUFFER if b is None else DTYPES.index(b.dtype))
        address = 0 if b is None else b.data_ptr()
        rows.append(_ROW.pack(p.data_ptr(), g.data_ptr(), address, p.numel(), kind))
    return b"".join(rows)


def _fit(tensors: tuple[Tensor, ...], device: torch.device) -> bool:
    """Say whether the kernels take a parameter, its gradient and its buffer."""
    for t in tensors:
        # A subclass of Tensor may have no memory of its own.
        if type(t) not in _PLAIN or t.dtype not in DTYPES or t.device != device or t.is_neg():
            return False
        if t.shape != tensors[0].shape:
            return False
    if all(t.is_contiguous() for t in tensors):
        return True
    return any(all(t.is_contiguous(memory_format=f) for t in tensors) for f in _LAST)


# Addresses mostly repeat: those of parameters always, those of gradients when the allocator gives
# the same places again. A plan is used only on the stream that wrote it, and by the thread:
# threads share a stream, and what one measures must not be written over before its update has read
# it. 32 of them serve several groups and gradients that alternate between places.
@lru_cache(maxsize=32)
def _plan(
    rows: bytes, device: torch.device, stream: int, capturing: bool, thread: int
) -> Plan | None:
    found = torch.frombuffer(bytearray(rows), dtype=torch.int64).view(-1, 5)
    kinds = tuple(dict.fromkeys(kind for kind in found[:, 4].tolist() if kind >= 0))
    if not kinds:
        return None  # nothing but missing gradients
    build = _layout.__wrapped__ if capturing else _layout
    layout = build(tuple(found[:, 3].tolist()), device, stream, capturing, thread)
    found[:, 4].clamp_(min=kinds[0])  # who is missing is counted with the first kind
    table = torch.cat((found, layout.first.unsqueeze(1), layout.many.unsqueeze(1)), 1)
    aligned = not (found[:, :3] % 16).any().item()
    return Plan(_brought(table, device, capturing), kinds, aligned, layout)


@lru_cache(maxsize=32)
def _layout(
    sizes: tuple[int, ...], device: torch.device, stream: int, capturing: bool, thread: int
) -> Layout:
    from alphagrad.optim.triton_math import BLOCK

    n = len(sizes)
    many = torch.tensor([max(-(-size // BLOCK.value), 1) for size in sizes])
    first, blocks = many.cumsum(0) - many, int(many.sum())
    # With the size given, this does not wait for the counts.
    owners = torch.repeat_interleave(_brought(many, device, capturing), output_size=blocks)
    parts = torch.empty(2, blocks, dtype=torch.float64, device=device)
    counters = torch.zeros(n, dtype=torch.int64, device=device)
    work = torch.zeros(6, n, dtype=torch.float64, device=device)
    return Layout(owners.int(), first, many, parts, counters, work)


def _brought(numbers: Tensor, device: torch.device, capturing: bool) -> Tensor:
    """Bring numbers from the CPU to the device, without waiting for it."""
    if capturing:
        return _spelled(numbers, device)
    if device.type != "cuda":
        return numbers
    # torch keeps pinned memory from being used again until the copy is done.
    return numbers.pin_memory().to(device, non_blocking=True)


def _spelled(numbers: Tensor, device: torch.device) -> Tensor:
    """Write numbers on the device as arguments of launches, which a CUDA graph keeps.

    Of a copy a graph keeps only where it came from, and that memory would have to last as long.
    """
    vector = torch.zeros(numbers.numel(), dtype=torch.int64, device=device)
    torch._foreach_add_(list(vector.unbind()), numbers.flatten().tolist())
    return vector.view(numbers.shape)

"""Parameters spread over ranks: DTensors are stepped part by part, flat shards are refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import Tensor

from alphagrad.optim.layer_math import Reduce

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

# What torch's FSDP1 writes on the tensors that it flattens.
_FLAT_MARKS = ("_is_flat_param", "_fsdp_flattened")


def refuse_flat_shards(params: Sequence[Tensor]) -> None:
    """Refuse tensors whose norm is no layer's norm.

    Args:
        params: the tensors of one group.

    Raises:
        ValueError: a tensor is a slice of several layers, made by FSDP1; or a DTensor of terms that
            are yet to be summed.
    """
    for p in params:
        if any(getattr(p, mark, False) for mark in _FLAT_MARKS):
            raise ValueError(
                f"Invalid parameter: a flat shard of FSDP1 of shape {tuple(p.shape)}, AlphaGrad "
                "needs each layer's own norm; use torch.distributed.fsdp.fully_shard"
            )
        if _is_dtensor(p) and any(placement.is_partial() for placement in p.placements):
            raise ValueError(
                f"Invalid parameter: a DTensor with placements {p.placements}, must be sharded or "
                "replicated"
            )


def is_sharded(tensors: Sequence[Tensor | None]) -> bool:
    """Say whether one of the tensors is a DTensor."""
    # DTensors exist only where their module was imported, which is slow.
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and any(isinstance(t, module.DTensor) for t in tensors)


def local_parts(
    params: Sequence[Tensor], grads: Sequence[Tensor | None], buffers: Sequence[Tensor | None]
) -> tuple[list[Tensor], list[Tensor | None], list[Tensor | None], Reduce]:
    """Give this rank's parts of a group, and the sum over the ranks that hold the others.

    A step sums twice, whatever the number of tensors: norms with counts, then saturated entries
    (with the squares for ``unit_rms``). These cannot be one: which entries are saturated depends on
    the whole norm. A group whose tensors lie on several meshes sums once more for each.

    Args:
        params: n tensors, DTensors or whole ones, which every rank holds alike.
        grads: their gradients, None where missing.
        buffers: v per tensor; empty without momentum.

    Returns:
        The parts, which share memory with the tensors, and a function that sums a (k, n) matrix of
        numbers per tensor: one all-reduce for all tensors that are sharded over the same mesh.

    Raises:
        ValueError: a gradient or buffer is a DTensor where its parameter is none, or the other way
            round, or a buffer is sharded in another way.
    """
    aligned = [None if g is None else _as_placed(g, p) for p, g in zip(params, grads, strict=True)]
    for p, b in zip(params, buffers, strict=False):
        if b is not None and _placements(b) != _placements(p):
            raise ValueError(
                f"Invalid momentum_buffer: {_kind(b)}, must be like its parameter, {_kind(p)}"
            )
    meshes: dict[Any, list[int]] = {}
    for i, p in enumerate(params):
        if _is_dtensor(p):
            # Tensor parallelism under fully_shard has placements that are shards by another name.
            split = tuple(not placement.is_replicate() for placement in p.placements)
            if any(split):
                meshes.setdefault((p.device_mesh, split), []).append(i)

    def reduce(rows: Tensor) -> Tensor:
        for (mesh, split), columns in meshes.items():
            rows = _sum_over(mesh, split, rows, columns)
        return rows

    return (
        [_local(p) for p in params],
        [None if g is None else _local(g) for g in aligned],
        [None if b is None else _local(b) for b in buffers],
        reduce,
    )


def _is_dtensor(t: Tensor) -> TypeGuard[DTensor]:
    return is_sharded([t])


def _placements(t: Tensor) -> object:
    return (t.device_mesh, t.placements) if _is_dtensor(t) else None


def _kind(t: Tensor) -> str:
    return f"a DTensor with placements {t.placements}" if _is_dtensor(t) else "a plain tensor"


def _local(t: Tensor) -> Tensor:
    return t.to_local() if _is_dtensor(t) else t


def _as_placed(g: Tensor, p: Tensor) -> Tensor:
    """Give the gradient laid out as its parameter is."""
    if _is_dtensor(g) and _is_dtensor(p):
        if g.placements != p.placements:
            return g.redistribute(p.device_mesh, p.placements)
    elif _is_dtensor(g) or _is_dtensor(p):
        raise ValueError(f"Invalid gradient: {_kind(g)}, must be like its parameter, {_kind(p)}")
    return g


def _sum_over(mesh: Any, split: tuple[bool, ...], rows: Tensor, columns: Sequence[int]) -> Tensor:
    from torch.distributed.tensor import DTensor, Partial, Replicate

    whole = len(columns) == rows.shape[1]
    parts = rows if whole else torch.stack([rows[:, i] for i in columns], 1)
    placements = [Partial() if s else Replicate() for s in split]
    total = DTensor.from_local(parts, mesh, placements, run_check=False).full_tensor()
    if whole:
        return total
    replaced = dict(zip(columns, total.unbind(1), strict=True))
    return torch.stack([replaced.get(i, rows[:, i]) for i in range(rows.shape[1])], 1)

"""The part of a step that works on vectors with one entry per tensor of a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from alphagrad.optim.rule import Rule

Reduce = Callable[[Tensor], Tensor]


class LayerMath:
    """Turns what is measured per tensor into what each tensor's update needs; never waits.

    The values of one step go through it in this order: :meth:`scales`, then the others as needed.
    :meth:`scales` and :meth:`record` sum over the ranks, so each is called once, even with nothing.

    Args:
        rule: the step's options.
        grads: the group's n gradients, None where missing.
        saturation: float32 (n,), written by :meth:`record`.
        skipped: int64 (3, n), added to by :meth:`record`.
        reduce: sums a (k, n) matrix over the ranks that hold parts of the tensors; None where each
            tensor is whole.
    """

    def __init__(
        self,
        rule: Rule,
        grads: Sequence[Tensor | None],
        saturation: Tensor,
        skipped: Tensor,
        reduce: Reduce | None,
    ) -> None:
        self.rule, self.n, self.reduce = rule, len(grads), reduce
        self.saturation, self.skipped = saturation, skipped
        self.present = [i for i, g in enumerate(grads) if g is not None and g.numel() > 0]
        self.missing = {i for i, g in enumerate(grads) if g is None}
        # A path that measures all tensors at once sets this: then each list of numbers per present
        # tensor, taken or given, is one vector over all n instead, counts being -1 where missing.
        self.in_vectors = False
        # Norms of 1e20 have squares beyond float32. Metal has no float64.
        self.dtype = torch.float32 if saturation.device.type == "mps" else torch.float64

    def scales(self, sizes: Sequence[Tensor], counts: Sequence[Tensor]) -> list[Tensor]:
        """Give ±α/(‖g‖ + ε) per present tensor, 0 where the layer is skipped.

        Args:
            sizes: the norm of each present tensor, or of this rank's part of it.
            counts: its number of non-zero entries.
        """
        rule = self.rule
        # A missing gradient counts as -1 here, so that no index has to go to the device.
        square, self.count = self._total(
            self._stack(sizes).square(), self._stack(counts, missing=-1.0)
        )
        self.finite = square < torch.inf  # one comparison rejects inf and NaN
        self.live = self.finite & (self.count > 0)
        if rule.found_inf is not None:
            self.good = (rule.found_inf == 0).to(self.live.device).view(())
            self.live = self.live & self.good
        by = torch.ones_like(square)
        if rule.grad_scale is not None:
            by = by * rule.grad_scale.to(square.device).view(())
        divisor, self.told = by, self.live
        if rule.normalise:  # (g/s)/(‖g/s‖ + ε) without a pass over g
            norm, eps = _root(square), rule.eps * by
            divisor = norm + eps
            # Below ε a step is to fade with the gradient: S would have α raised against that.
            self.told = self.live & (norm >= eps)
        scale = (-rule.alpha if rule.maximize else rule.alpha) / divisor
        most = torch.finfo(rule.dtype).max
        scale = torch.where(self.live, scale, 0.0).clamp(-most, most)
        return self._pick(scale.to(rule.dtype))

    def constants(self, value: float | Tensor) -> list[Tensor] | None:
        """Give a live constant per tensor; None where it is the number 1."""
        if not isinstance(value, Tensor) and value == 1.0:
            return None
        return self._pick((torch.ones_like(self.count) * value).to(self.rule.dtype))

    def mixing(self) -> tuple[list[Tensor], list[Tensor]] | None:
        """Give λ, and (1−λ)/α, which takes the tanh's input back to g̃; None where λ is 1."""
        mix = self.constants(self.rule.mix)
        if mix is None:
            return None
        rest = (1 - torch.ones_like(self.count) * self.rule.mix) / self.rule.alpha
        return mix, self._pick(rest.to(self.rule.dtype))

    def keep(self) -> list[Tensor]:
        """Give 1 − η·weight_decay per tensor, 1 where the layer is skipped."""
        keep = 1 - self.rule.lr * torch.full_like(self.count, self.rule.weight_decay)
        return self._pick(torch.where(self.live, keep, 1.0).to(self.rule.dtype))

    def momentum(self) -> tuple[list[Tensor], list[Tensor]]:
        """Give per tensor the decay of v and the weight of v in the step: 1 and 0 when skipped."""
        weight = self.live.to(self.rule.dtype)
        # weight * momentum keeps float64, where a Python number would give float32.
        decay = torch.where(self.live, weight * self.rule.momentum, 1.0)
        return self._pick(decay), self._pick(weight)

    def record(self, hits: Sequence[Tensor], squares: Sequence[Tensor] = ()) -> list[Tensor]:
        """Write saturation, count the layers that were skipped, and finish ``unit_rms``.

        Args:
            hits: the number of entries with |α·g̃| > τ of each present tensor.
            squares: with ``unit_rms``, the sum of squares of g' of each present tensor.

        Returns:
            With ``unit_rms``, 1/RMS over the non-zero entries per present tensor.
        """
        rows = [hits, squares] if self.rule.unit_rms else [hits]
        hit, *square = self._total(*(self._stack(row) for row in rows))
        zero = self.finite & (self.count == 0)
        reasons = torch.stack((zero, ~self.finite, self.count < 0))
        if self.rule.found_inf is not None:
            reasons = reasons & self.good
        # Autograd may see the squares, and with them the hits.
        self.saturation.copy_(torch.where(self.told, hit.detach() / self.count, torch.nan))
        self.skipped.add_(reasons)
        if not square:
            return []
        rms = _root(square[0] / self.count.clamp_min(1))
        return self._pick((1 / rms).to(self.rule.dtype))

    def _total(self, *rows: Tensor) -> Tensor:
        """Sum vectors with one entry per tensor over the ranks, and over a pool."""
        total = torch.stack(rows)
        if self.reduce is not None:
            total = self.reduce(total)
        if self.rule.pooled:
            # Only a pool without any gradient is missing, and that ends the step earlier.
            total = total.clamp_min(0).sum(1, keepdim=True).expand(-1, self.n)
        return total

    def _stack(self, values: Sequence[Tensor], *, missing: float = 0.0) -> Tensor:
        """Make one vector of a number per present tensor, with 0 where this rank has no entry."""
        if self.in_vectors:
            return values[0].to(self.dtype)
        if len(values) == self.n:
            return torch.stack(tuple(values)).to(self.dtype)
        device, spread = self.saturation.device, dict(zip(self.present, values, strict=True))
        empty = torch.zeros((), dtype=self.dtype, device=device)
        absent = torch.full((), missing, dtype=self.dtype, device=device)
        return torch.stack(
            [
                absent if i in self.missing else spread.get(i, empty).to(self.dtype)
                for i in range(self.n)
            ]
        )

    def _pick(self, vector: Tensor) -> list[Tensor]:
        if self.in_vectors:
            return [vector]
        parts = vector.unbind()
        return list(parts) if len(self.present) == self.n else [parts[i] for i in self.present]


def _root(square: Tensor) -> Tensor:
    """Give √, and 1 for 0 and NaN: of layers that are skipped, where autograd would make NaN."""
    return torch.where(square > 0, square, 1.0).sqrt()

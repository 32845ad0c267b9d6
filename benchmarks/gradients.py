"""Random gradients with known distributions, for benchmarks/saturation_control.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Generator, Tensor
from torch.linalg import vector_norm


@dataclass(frozen=True)
class Gradient:
    """One distribution.

    Args:
        title: how tables and the plot call it.
        sample: gives so many gradients of so many entries.
    """

    title: str
    sample: Callable[[int, int, Generator], Tensor]


def gaussian(n: int, d: int, generator: Generator) -> Tensor:
    """Entries of N(0, 1)."""
    return torch.randn(n, d, generator=generator)


def laplace(n: int, d: int, generator: Generator) -> Tensor:
    """Entries of the Laplace distribution: exponential magnitudes with random signs."""
    entries = torch.empty(n, d).exponential_(generator=generator)
    return entries.copysign(torch.rand(n, d, generator=generator) - 0.5)


def student(n: int, d: int, generator: Generator, *, freedom: float) -> Tensor:
    """Entries of Student's t: Bailey's exact formula of two uniform numbers (1994)."""
    # In float64, because the tail is made of the smallest uniform numbers.
    u = 1 - torch.rand(n, d, generator=generator, dtype=torch.float64)
    turn = torch.rand(n, d, generator=generator, dtype=torch.float64) * 2 * torch.pi
    return ((freedom * (u ** (-2 / freedom) - 1)).sqrt() * turn.cos()).float()


def sparse(n: int, d: int, generator: Generator, *, share: float, rest: float = 0.0) -> Tensor:
    """Gaussian entries, of which a random share is kept; the others are tiny, or exact zeros."""
    entries = torch.randn(n, d, generator=generator)
    kept = torch.rand(n, d, generator=generator) < share
    return torch.where(kept, entries, entries * rest)


GRADIENTS = {
    "gaussian": Gradient("Gaussian", gaussian),
    "laplace": Gradient("Laplace", laplace),
    "student3": Gradient("Student-t(3)", partial(student, freedom=3.0)),
    "student1.5": Gradient("Student-t(1.5)", partial(student, freedom=1.5)),
    "sparse10": Gradient("10 % non-zero", partial(sparse, share=0.1)),
    "sparse3": Gradient("3 % non-zero", partial(sparse, share=0.03)),
    # S is counted over the non-zero entries: exact zeros do not keep it from the band, this does.
    "tiny97": Gradient("97 % tiny", partial(sparse, share=0.03, rest=1e-9)),
}


@cache
def matching_alpha(name: str, d: int, saturation: float) -> float:
    """The α per τ that puts a typical gradient's S where it should be, from gradients of its own.

    Args:
        name: a name in ``GRADIENTS``; 97 % tiny entries have that of as many zeros.
        d: number of entries.
        saturation: S.

    Returns:
        The median over some gradients of ‖g‖ over the quantile of their non-zero entries.
    """
    n = min(max(2**19 // d, 3), 2000)
    generator = Generator().manual_seed(1)
    g = GRADIENTS["sparse3" if name == "tiny97" else name].sample(n, d, generator)
    entries = g.abs()
    quantiles = entries.where(entries > 0, torch.nan).nanquantile(1 - saturation, dim=1)
    return float((vector_norm(g, dim=1) / quantiles).nanmedian())

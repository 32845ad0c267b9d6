"""Types of the native CPU kernel, `_kernels.c`."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

def setup(tensor: type[Tensor], parameter: type[Tensor], /) -> None: ...
def step(
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    buffers: Sequence[Tensor | None],
    alpha: float | Tensor,
    beta: float | Tensor,
    mix: float | Tensor,
    saturation: Tensor,
    skipped: Tensor,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    eps: float,
    tau: float,
    inv_scale: float,
    flags: int,
    seed: int,
    threads: int,
    /,
) -> bool: ...
def rows(
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    buffers: Sequence[Tensor | None],
    device: int,
    /,
) -> bytes | None: ...
def tanh(x: float, /) -> float: ...
def hold_band(
    groups: list[dict[str, Any]],
    own: list[tuple[Tensor, Tensor, Tensor, Tensor | None]],
    tau: float,
    numbers: tuple[float, float, float, float, float, float, float, float, float],
    /,
) -> bool: ...

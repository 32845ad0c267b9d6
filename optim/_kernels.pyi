"""Types of the native CPU kernel, `_kernels.c`."""

from array import array

def step(
    table: array[int],
    alphas: int,
    alpha: float,
    saturation: int,
    skipped: int,
    lr: float,
    momentum: float,
    eps: float,
    tau: float,
    pooled: bool,
    dtype: int,
    threads: int,
    /,
) -> None: ...
def tanh(x: float, /) -> float: ...

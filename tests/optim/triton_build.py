"""Compiles the Triton kernels for a GPU that need not be there; test_triton.py runs this.

Prints, as JSON, how many instructions of each compiled kernel read or write 16 bytes of memory.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import torch
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from alphagrad.optim import triton_kernels as kernels
from alphagrad.optim.triton_update import WARPS

FLOATS = torch.zeros(8)
INTS = torch.zeros(8, dtype=torch.int64)
OWNERS = torch.zeros(8, dtype=torch.int32)
WORK = torch.zeros(8, dtype=torch.float64)

PLAIN = kernels.Build(
    tl.float32,
    tl.float32,
    None,
    nesterov=False,
    sine=False,
    normalise=True,
    maximize=False,
    aligned=True,
    pooled=False,
    alone=True,
    unit_rms=False,
    alphas=False,
    betas=False,
    mixes=False,
    rates=False,
)
FULL = PLAIN._replace(
    param=tl.bfloat16,
    grad=tl.bfloat16,
    buffer=tl.bfloat16,
    nesterov=True,
    sine=True,
    maximize=True,
    pooled=True,
    unit_rms=True,
    alphas=True,
    betas=True,
    mixes=True,
    rates=True,
)


def wide(kernel: Any, *args: Any, **options: Any) -> int:
    compiled = kernel.warmup(*args, grid=(1,), num_warps=WARPS, **options)
    assert compiled.asm["cubin"]
    ptx: str = compiled.asm["ptx"]
    return ptx.count("ld.global.v4.b32") + ptx.count("st.global.v4.b32")


def main() -> None:
    # What a launch asks of the driver before it compiles; an A100 is the target.
    driver.set_active(
        SimpleNamespace(
            get_current_target=lambda: GPUTarget("cuda", 80, 32),
            get_current_device=lambda: 0,
            get_current_stream=lambda device: 0,
        )
    )
    first = (INTS, OWNERS, WORK, INTS, WORK, 8, 0)
    moved = (INTS, OWNERS, INTS, WORK, 8, 0, FLOATS)
    numbers = (0.1, 0.9, 1.0, 2.5)
    scaler = (INTS, FLOATS, 1e-8, FLOATS, FLOATS)
    shape = (FLOATS, FLOATS, FLOATS)
    update = (*moved, *shape, FLOATS, *numbers, INTS)
    scalar = FULL._replace(param=tl.float16, aligned=False)
    parts = FULL._replace(pooled=False, alone=False)
    counts = {
        "measure": wide(kernels.measure, *first, INTS, 1.0, 0.0, None, None, build=PLAIN),
        "measure, all": wide(kernels.measure, *first, *scaler, build=FULL),
        "plain": wide(kernels.update, *moved, 1.0, None, None, 0.1, *numbers, None, build=PLAIN),
        "preview": wide(kernels.preview, *first, *shape, 2.5, build=FULL),
        "all": wide(kernels.update, *update, build=FULL),
        "parts": wide(kernels.update, *update, build=parts),
        "unaligned": wide(kernels.update, *update, build=scalar),
    }
    print(json.dumps(counts))  # noqa: T201


if __name__ == "__main__":
    main()

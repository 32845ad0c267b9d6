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

FLOATS = torch.zeros(8)
INTS = torch.zeros(8, dtype=torch.int64)
PARTS = torch.zeros(8, dtype=torch.float64)

PLAIN = kernels.Build(tl.float32, tl.float32, None, nesterov=False, sine=False, aligned=True)
FULL = kernels.Build(tl.bfloat16, tl.bfloat16, tl.bfloat16, nesterov=True, sine=True, aligned=True)
NONE = kernels.Vectors(FLOATS, FLOATS, None, None, None, None)
ALL = kernels.Vectors(*(FLOATS,) * 6)


def numbers(seed: torch.Tensor | None) -> kernels.Numbers:
    return kernels.Numbers(FLOATS, seed, tau=2.5, momentum=0.9, share=1.0)


def wide(kernel: Any, *args: Any, **options: Any) -> int:
    compiled = kernel.warmup(*args, grid=(1,), **options)
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
    grads, sums = (INTS, INTS, PARTS, 0), (INTS, PARTS, PARTS, 8)
    plain, full = (*grads, NONE, numbers(None)), (*grads, ALL, numbers(INTS))
    scalar = FULL._replace(param=tl.float16, aligned=False)
    counts = {
        "measure": wide(kernels.measure, *grads, build=PLAIN, num_warps=8),
        "total": wide(kernels.total, *sums, rows=2, missing=(0.0, -1.0)),
        "plain": wide(kernels.update, *plain, build=PLAIN, moves=True, num_warps=8),
        "preview": wide(kernels.update, *full, build=FULL, moves=False, num_warps=8),
        "full": wide(kernels.update, *full, build=FULL, moves=True, num_warps=8),
        "unaligned": wide(kernels.update, *full, build=scalar, moves=True, num_warps=8),
    }
    print(json.dumps(counts))  # noqa: T201


if __name__ == "__main__":
    main()

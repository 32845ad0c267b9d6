"""Arithmetic of the Triton kernels: loads, tanh, rounding."""

import triton
import triton.language as tl

BLOCK = tl.constexpr(4096)


@triton.jit
def entries(
    address: tl.tensor, at: tl.tensor, dtype: tl.constexpr, aligned: tl.constexpr
) -> tl.tensor:
    """Give pointers to entries of the tensor at an address."""
    pointer = address.to(tl.pointer_type(dtype))
    if aligned:  # nothing else tells the compiler that a thread may load 16 bytes at once
        pointer = tl.multiple_of(pointer, 16)
    return pointer + at


@triton.jit
def load(
    address: tl.tensor, at: tl.tensor, mask: tl.tensor, dtype: tl.constexpr, aligned: tl.constexpr
) -> tl.tensor:
    """Load entries as float32, 0 where the mask is."""
    return tl.load(entries(address, at, dtype, aligned), mask=mask, other=0.0).to(tl.float32)


@triton.jit
def inside(at: tl.tensor, n: tl.tensor, whole: tl.constexpr) -> tl.tensor:
    """Say which entries of a block its tensor has."""
    # With a mask that it cannot foresee, the compiler loads entry by entry.
    return tl.full([BLOCK], 1, tl.int1) if whole else at < n


@triton.jit
def number(of: tl.tensor, row: tl.tensor, is_vector: tl.constexpr) -> tl.tensor:
    """Read a tensor's entry of a vector, or a number that all tensors share."""
    return tl.load(of + row).to(tl.float32) if is_vector else of


@triton.jit
def tanh(x: tl.tensor) -> tl.tensor:
    """Tanh of float32."""
    # The fit of _tanh.h; triton's own tanh is not in the core, nor in the interpreter.
    c = tl.minimum(tl.maximum(x, -8.6), 8.6)
    y = c * c
    p = 1.4082282895344633e-08 * y + 2.1122243197169155e-05
    p = p * y + 3.5263930913060904e-03
    p = p * y + 1.3406868278980255e-01
    p = p * y + 1.0
    q = 8.070558692452323e-07 * y + 3.336256486363709e-04
    q = q * y + 2.5993866845965385e-02
    q = q * y + 4.674018919467926e-01
    q = q * y + 1.0
    return tl.minimum(tl.maximum(c * p / q, -1.0), 1.0)


@triton.jit
def rounded(x: tl.tensor, noise: tl.tensor, dtype: tl.constexpr) -> tl.tensor:
    """Round float32 to a type: to the nearest where noise is None, else at random."""
    # At random as alphagrad.optim.rounding does it.
    if dtype == tl.bfloat16:
        bits = x.to(tl.uint32, bitcast=True)
        add = 0x7FFF + ((bits >> 16) & 1) if noise is None else noise & 0xFFFF
        cut = ((bits + add) & 0xFFFF0000).to(tl.float32, bitcast=True)
        x = tl.where(tl.abs(x) < float("inf"), cut, x)
    elif dtype == tl.float16 and noise is not None:
        bits = x.to(tl.uint32, bitcast=True)
        cut = ((bits + (noise & 0x1FFF)) & 0xFFFFE000).to(tl.float32, bitcast=True)
        # Below the normal numbers the spacing is constant, so the mantissa is not what is cut.
        uniform = (noise >> 8).to(tl.float32) * 2.0**-24
        small = tl.floor(x * 2.0**24 + uniform) * 2.0**-24
        cut = tl.where(tl.abs(x) < 2.0**-14, small, cut)
        x = tl.where(tl.abs(x) < float("inf"), cut, x)
    return x.to(dtype)

"""The Triton kernels of a step; :mod:`alphagrad.optim.triton_update` launches them.

One program per block of entries runs over all tensors of a group. What a tensor is stands in its
row of a table: the addresses of parameter, gradient and momentum buffer, the number of entries,
the first of its blocks, and its kind: the types of the three, or -1 where the gradient is missing.
``owners`` gives each block's row. What is summed goes by way of ``parts``, a number per block,
which :func:`total` adds in their order, so a sum does not depend on which block was done first.
"""

from typing import Any, NamedTuple

import triton
import triton.language as tl

COLUMNS = tl.constexpr(6)
BLOCK = tl.constexpr(4096)
MOST = tl.constexpr(3.4028234663852886e38)  # the largest float32
LANES = tl.constexpr(1024)  # blocks whose parts are added at a time


class Vectors(NamedTuple):
    """Float32 numbers per tensor; what is None is left out of the compiled kernel.

    Attributes:
        live: 0 where the layer is skipped.
        scale: ±α/(‖g‖ + ε).
        beta: β.
        mix: λ.
        rest: (1−λ)/α; None if ``mix`` is.
        factor: 1/RMS.
    """

    live: Any
    scale: Any
    beta: Any
    mix: Any
    rest: Any
    factor: Any


class Numbers(NamedTuple):
    """What all tensors share.

    Attributes:
        rates: a float32 vector: η, and what weight decay leaves of a parameter.
        seed: an int64 vector of one entry, for stochastic rounding; None to round to the nearest.
        tau: τ.
        momentum: γ.
        share: of a new step, what momentum takes in.
    """

    rates: Any
    seed: Any
    tau: Any
    momentum: Any
    share: Any


class Build(NamedTuple):
    """What a kernel is compiled for.

    Attributes:
        param: triton's type of the parameters.
        grad: of the gradients.
        buffer: of the momentum buffers, None without momentum.
        nesterov: whether the step looks ahead along v.
        sine: whether β·tanh goes through the sine.
        aligned: whether every tensor starts at a multiple of 16 bytes.
    """

    param: Any
    grad: Any
    buffer: Any
    nesterov: bool
    sine: bool
    aligned: bool


@triton.jit
def _entries(
    address: tl.tensor, at: tl.tensor, dtype: tl.constexpr, aligned: tl.constexpr
) -> tl.tensor:
    pointer = address.to(tl.pointer_type(dtype))
    if aligned:  # nothing else tells the compiler that a thread may load 16 bytes at once
        pointer = tl.multiple_of(pointer, 16)
    return pointer + at


@triton.jit
def _load(
    address: tl.tensor, at: tl.tensor, mask: tl.tensor, dtype: tl.constexpr, aligned: tl.constexpr
) -> tl.tensor:
    return tl.load(_entries(address, at, dtype, aligned), mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _inside(at: tl.tensor, n: tl.tensor, whole: tl.constexpr) -> tl.tensor:
    # With a mask that it cannot foresee, the compiler loads entry by entry.
    return tl.full([BLOCK], 1, tl.int1) if whole else at < n


@triton.jit
def _tanh(x: tl.tensor) -> tl.tensor:
    # The fit of _kernels.c; triton's own tanh is not in the core, nor in the interpreter.
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
def _shaped(x: tl.tensor, row: tl.tensor, vectors: tl.tuple, sine: tl.constexpr) -> tl.tensor:
    u = _tanh(x)
    if vectors.beta is not None:
        u = u * tl.load(vectors.beta + row)
    if sine:
        u = tl.sin(u)
    if vectors.mix is not None:
        u = u * tl.load(vectors.mix + row) + x * tl.load(vectors.rest + row)
    return u


@triton.jit
def _rounded(x: tl.tensor, noise: tl.tensor, dtype: tl.constexpr) -> tl.tensor:
    # To the nearest where noise is None, else at random, as alphagrad.optim.rounding does it.
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


@triton.jit
def _measured(
    line: tl.tensor, at: tl.tensor, n: tl.tensor, build: tl.constexpr, whole: tl.constexpr
) -> tl.tensor:
    x = tl.abs(_load(tl.load(line + 1), at, _inside(at, n, whole), build.grad, build.aligned))
    count = tl.sum((x != 0.0).to(tl.int32)).to(tl.float64)
    x = tl.where(x < float("inf"), x, float("inf"))  # NaN too, which a maximum may leave out
    top = tl.max(x)
    # Squares of float32 end at 1e-23 and 1e19; a power of two changes no digit.
    by = tl.where(top > 1e15, 2.0**-80, tl.where(top < 1e-15, 2.0**100, 1.0))
    x = x * by
    wide = by.to(tl.float64)
    return tl.sum(x * x).to(tl.float64) / (wide * wide), count


@triton.jit(do_not_specialize=["kind"])
def measure(
    table: tl.tensor, owners: tl.tensor, parts: tl.tensor, kind: tl.tensor, build: tl.constexpr
) -> None:
    """Write the sum of squares of each block's gradients, and how many are not zero."""
    block = tl.program_id(0)
    line = table + tl.load(owners + block) * COLUMNS
    if tl.load(line + 5) == kind:
        start, n = (block - tl.load(line + 4)) * BLOCK, tl.load(line + 3)
        at = start + tl.arange(0, BLOCK)
        if start + BLOCK <= n:
            square, count = _measured(line, at, n, build, True)
        else:
            square, count = _measured(line, at, n, build, False)
        tl.store(parts + block, square)
        tl.store(parts + tl.num_programs(0) + block, count)


@triton.jit(do_not_specialize=["blocks"])
def total(
    table: tl.tensor,
    parts: tl.tensor,
    sums: tl.tensor,
    blocks: tl.tensor,
    rows: tl.constexpr,
    missing: tl.constexpr,
) -> None:
    """Add the parts of each tensor's blocks, in each of ``rows`` rows.

    A tensor without blocks has 0, but one without a gradient the row's entry of ``missing``.
    """
    row = tl.program_id(0)
    line = table + row * COLUMNS
    first = tl.load(line + 4)
    count = (tl.load(line + 3) + BLOCK - 1) // BLOCK
    for i in tl.static_range(rows):
        lanes = tl.zeros([LANES], tl.float64)
        for start in range(0, count, LANES):
            at = start + tl.arange(0, LANES)
            lanes += tl.load(parts + i * blocks + first + at, mask=at < count, other=0.0)
        result = tl.where(tl.load(line + 5) < 0, missing[i], tl.sum(lanes))
        tl.store(sums + i * tl.num_programs(0) + row, result)


@triton.jit
def _stepped(
    line: tl.tensor,
    row: tl.tensor,
    at: tl.tensor,
    n: tl.tensor,
    noise: tl.tensor,
    vectors: tl.tuple,
    numbers: tl.tuple,
    build: tl.constexpr,
    moves: tl.constexpr,
    whole: tl.constexpr,
) -> tl.tensor:
    mask = _inside(at, n, whole)
    g = _load(tl.load(line + 1), at, mask, build.grad, build.aligned)
    # Without a norm α·g may overflow, and an infinite x times a rest of 0 would be NaN.
    x = tl.minimum(tl.maximum(g * tl.load(vectors.scale + row), -MOST), MOST)
    u = _shaped(x, row, vectors, build.sine)
    if moves:
        _move(line, at, mask, _factored(u, row, vectors), noise, numbers, build)
    hits = tl.sum((tl.abs(x) > numbers.tau).to(tl.int32))
    return hits.to(tl.float64), tl.sum(u * u).to(tl.float64)  # g' is 0 where the mask is


@triton.jit
def _factored(u: tl.tensor, row: tl.tensor, vectors: tl.tuple) -> tl.tensor:
    return u if vectors.factor is None else u * tl.load(vectors.factor + row)


@triton.jit
def _move(
    line: tl.tensor,
    at: tl.tensor,
    mask: tl.tensor,
    u: tl.tensor,
    noise: tl.tensor,
    numbers: tl.tuple,
    build: tl.constexpr,
) -> None:
    step = u * tl.load(numbers.rates)
    if build.buffer is not None:
        buffer = tl.load(line + 2)
        v = _load(buffer, at, mask, build.buffer, build.aligned) * numbers.momentum
        v = v + step * numbers.share
        place = _entries(buffer, at, build.buffer, build.aligned)
        tl.store(place, _rounded(v, None, build.buffer), mask=mask)
        step = step + v * numbers.momentum if build.nesterov else v
    param = tl.load(line)
    p = _load(param, at, mask, build.param, build.aligned) * tl.load(numbers.rates + 1) - step
    place = _entries(param, at, build.param, build.aligned)
    tl.store(place, _rounded(p, noise, build.param), mask=mask)


@triton.jit(do_not_specialize=["kind"])
def update(
    table: tl.tensor,
    owners: tl.tensor,
    parts: tl.tensor,
    kind: tl.tensor,
    vectors: tl.tuple,
    numbers: tl.tuple,
    build: tl.constexpr,
    moves: tl.constexpr,
) -> None:
    """Move parameters and momentum; write how many entries of each block are beyond τ.

    Without ``moves`` nothing is moved, and the sum of squares of each block's g' is written too.
    """
    block = tl.program_id(0)
    row = tl.load(owners + block)
    line = table + row * COLUMNS
    if tl.load(line + 5) == kind:
        start = (block - tl.load(line + 4)) * BLOCK
        at = start + tl.arange(0, BLOCK)
        # A skipped layer has no entries here: 0 times a non-finite gradient would be NaN.
        n = tl.where(tl.load(vectors.live + row) != 0.0, tl.load(line + 3), 0)
        noise = None
        if numbers.seed is not None:
            counter = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
            # Philox passes the usual batteries of tests with seven rounds; triton's default is ten.
            noise = tl.randint(tl.load(numbers.seed), counter, 7).to(tl.uint32, bitcast=True)
        if start + BLOCK <= n:
            hits, power = _stepped(line, row, at, n, noise, vectors, numbers, build, moves, True)
        else:
            hits, power = _stepped(line, row, at, n, noise, vectors, numbers, build, moves, False)
        tl.store(parts + block, hits)
        if not moves:
            tl.store(parts + tl.num_programs(0) + block, power)

"""The Triton kernels of a step; :mod:`alphagrad.optim.triton_update` launches them.

One program per block of entries runs over all tensors of a group; :class:`Plan` in
:mod:`alphagrad.optim.triton_plan` says where they lie. Each block leaves what it summed in
``parts``; the last block of a layer to be done adds them in their order, so a sum does not depend
on which was last, and decides for the layer. So a step takes two launches, and none of its numbers
leaves the device. A layer is one tensor or, pooled, all of a group.
"""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from alphagrad.optim.triton_math import BLOCK, entries, inside, load, number, rounded, tanh

COLUMNS = tl.constexpr(7)  # of the table: see Plan
MOST = tl.constexpr(3.4028234663852886e38)  # the largest float32
LANES = tl.constexpr(1024)  # blocks whose parts are added at a time
SCALE, COUNT, FACTOR, HITS, POWER, TOLD = map(tl.constexpr, range(6))  # rows of work: see Plan
DONE = tl.constexpr(2**40)  # counts a block that is done, beside the hits


class Build(NamedTuple):
    """What a kernel is compiled for.

    Attributes:
        param: triton's type of the parameters.
        grad: of the gradients.
        buffer: of the momentum buffers, None without momentum.
        nesterov: whether the step looks ahead along v.
        sine: whether β·tanh goes through the sine.
        normalise: whether gradients are divided by their norm.
        maximize: whether the step ascends.
        aligned: whether every tensor starts at a multiple of 16 bytes.
        pooled: whether the tensors are one layer.
        alone: whether this process has every entry. If not, sums are left in ``work``, and scale,
            count and factor are read from there.
        unit_rms: whether g' is divided by its RMS.
        alphas: whether α is a vector, and not one number for all tensors.
        betas: whether β is.
        mixes: whether λ is.
        rates: whether η lies on the device.
    """

    param: Any
    grad: Any
    buffer: Any
    nesterov: bool
    sine: bool
    normalise: bool
    maximize: bool
    aligned: bool
    pooled: bool
    alone: bool
    unit_rms: bool
    alphas: bool
    betas: bool
    mixes: bool
    rates: bool


@triton.jit
def _layer(line: tl.tensor, row: tl.tensor, rows: tl.tensor, build: tl.constexpr) -> tl.tensor:
    # A layer's counter, its rows from which to which, its first block and the number of its blocks.
    if build.pooled:
        layer = 0, 0, rows, 0, tl.num_programs(0)
    else:
        layer = row, row, row + 1, tl.load(line + 5), tl.load(line + 6)
    return layer


@triton.jit
def _is_last(counter: tl.tensor, blocks: tl.tensor) -> tl.tensor:
    # What the other blocks of the layer stored before they counted is seen by who counts last.
    last = tl.atomic_add(counter, 1) == blocks - 1
    tl.store(counter, 0, mask=last)
    return last


@triton.jit
def _added(parts: tl.tensor, first: tl.tensor, blocks: tl.tensor) -> tl.tensor:
    lanes = tl.zeros([LANES], tl.float64)
    for start in range(0, blocks, LANES):
        at = start + tl.arange(0, LANES)
        lanes += tl.load(parts + first + at, mask=at < blocks, other=0.0)
    return tl.sum(lanes)


@triton.jit
def _measured(
    line: tl.tensor, at: tl.tensor, n: tl.tensor, build: tl.constexpr, whole: tl.constexpr
) -> tl.tensor:
    x = tl.abs(load(tl.load(line + 1), at, inside(at, n, whole), build.grad, build.aligned))
    count = tl.sum((x != 0.0).to(tl.int32)).to(tl.float64)
    x = tl.where(x < float("inf"), x, float("inf"))  # NaN too, which a maximum may leave out
    top = tl.max(x)
    # Squares of float32 end at 1e-23 and 1e19; a power of two changes no digit.
    by = tl.where(top > 1e15, 2.0**-80, tl.where(top < 1e-15, 2.0**100, 1.0))
    x = x * by
    wide = by.to(tl.float64)
    return tl.sum(x * x).to(tl.float64) / (wide * wide), count


@triton.jit
def _decide(
    row: tl.tensor,
    rows: tl.tensor,
    square: tl.tensor,
    count: tl.tensor,
    work: tl.tensor,
    skipped: tl.tensor,
    alpha: tl.tensor,
    eps: tl.tensor,
    grad_scale: tl.tensor,
    found_inf: tl.tensor,
    build: tl.constexpr,
) -> None:
    # As LayerMath.scales and LayerMath.record do it.
    finite = square < float("inf")
    good = True if found_inf is None else tl.load(found_inf) == 0.0
    live = finite & (count > 0.0) & good
    by = tl.full([], 1.0, tl.float64)
    if grad_scale is not None:
        by = tl.load(grad_scale).to(tl.float64)
    told = live
    if build.normalise:
        norm, least = tl.sqrt(square), eps * by
        told = live & (norm >= least)
        by = norm + least
    scale = number(alpha, row, build.alphas) / tl.where(live, by, 1.0)
    scale = tl.minimum(scale, MOST)  # an infinite scale would make NaN of the entries that are 0
    scale = tl.where(live, -scale if build.maximize else scale, 0.0)
    tl.store(work + SCALE * rows + row, scale)
    tl.store(work + COUNT * rows + row, tl.where(live, count, 0.0))
    tl.store(work + TOLD * rows + row, tl.where(told, count, float("nan")))
    reason = tl.where(count < 0.0, 2, tl.where(finite, 0, 1))
    place = skipped + reason * rows + row
    tl.store(place, tl.load(place) + 1, mask=(live == 0) & good)


# What a caller gives may lie at any address, so that one compiled kernel serves all.
_GIVEN = ["rows", "kind", "skipped", "saturation", "alpha", "beta", "mix", "lr"]
_GIVEN += ["grad_scale", "found_inf"]


@triton.jit(do_not_specialize=_GIVEN)
def measure(
    table: tl.tensor,
    owners: tl.tensor,
    parts: tl.tensor,
    counters: tl.tensor,
    work: tl.tensor,
    rows: tl.tensor,
    kind: tl.tensor,
    skipped: tl.tensor,
    alpha: tl.tensor,
    eps: tl.tensor,
    grad_scale: tl.tensor,
    found_inf: tl.tensor,
    build: tl.constexpr,
) -> None:
    """Sum the squares of each layer's gradients, count those not zero, and decide on its scale."""
    block = tl.program_id(0)
    row = tl.load(owners + block)
    line = table + row * COLUMNS
    if tl.load(line + 4) == kind:
        n, start = tl.load(line + 3), (block - tl.load(line + 5)) * BLOCK
        at = start + tl.arange(0, BLOCK)
        if start + BLOCK <= n:
            square, count = _measured(line, at, n, build, True)
        else:
            square, count = _measured(line, at, n, build, False)
            if not build.pooled:
                count = tl.where(n < 0, -1.0, count)  # missing
        tl.store(parts + block, square)
        tl.store(parts + tl.num_programs(0) + block, count)
        slot, begin, end, first, blocks = _layer(line, row, rows, build)
        if _is_last(counters + slot, blocks):
            square = _added(parts, first, blocks)
            count = _added(parts + tl.num_programs(0), first, blocks)
            if build.alone:
                for r in range(begin, end):
                    _decide(
                        r, rows, square, count, work, skipped, alpha, eps, grad_scale, found_inf,
                        build,
                    )  # fmt: skip
            else:
                tl.store(work + SCALE * rows + row, square)
                tl.store(work + COUNT * rows + row, count)


@triton.jit
def _shaped(
    line: tl.tensor,
    row: tl.tensor,
    at: tl.tensor,
    mask: tl.tensor,
    scale: tl.tensor,
    alpha: tl.tensor,
    beta: tl.tensor,
    mix: tl.tensor,
    build: tl.constexpr,
) -> tl.tensor:
    g = load(tl.load(line + 1), at, mask, build.grad, build.aligned)
    # Without a norm α·g may overflow, and an infinite x times a share of 0 would be NaN.
    x = tl.minimum(tl.maximum(g * tl.load(scale).to(tl.float32), -MOST), MOST)
    u = tanh(x)
    if beta is not None:
        u = u * number(beta, row, build.betas)
    if build.sine:
        u = tl.sin(u)
    if mix is not None:
        share = number(mix, row, build.mixes)
        u = u * share + x * ((1.0 - share) / number(alpha, row, build.alphas))
    return x, u


@triton.jit
def _over(x: tl.tensor, tau: tl.tensor) -> tl.tensor:
    return tl.sum((tl.abs(x) > tau).to(tl.int32))


@triton.jit
def _move(
    line: tl.tensor,
    at: tl.tensor,
    mask: tl.tensor,
    u: tl.tensor,
    noise: tl.tensor,
    rate: tl.tensor,
    keep: tl.tensor,
    momentum: tl.tensor,
    share: tl.tensor,
    build: tl.constexpr,
) -> None:
    step = u * rate
    if build.buffer is not None:
        buffer = tl.load(line + 2)
        v = load(buffer, at, mask, build.buffer, build.aligned) * momentum
        v = v + step * share
        place = entries(buffer, at, build.buffer, build.aligned)
        tl.store(place, rounded(v, None, build.buffer), mask=mask)
        step = step + v * momentum if build.nesterov else v
    param = tl.load(line)
    p = load(param, at, mask, build.param, build.aligned) * keep - step
    place = entries(param, at, build.param, build.aligned)
    tl.store(place, rounded(p, noise, build.param), mask=mask)


@triton.jit(do_not_specialize=_GIVEN)
def preview(
    table: tl.tensor,
    owners: tl.tensor,
    parts: tl.tensor,
    counters: tl.tensor,
    work: tl.tensor,
    rows: tl.tensor,
    kind: tl.tensor,
    alpha: tl.tensor,
    beta: tl.tensor,
    mix: tl.tensor,
    tau: tl.tensor,
    build: tl.constexpr,
) -> None:
    """Sum the squares of each layer's g', which ``unit_rms`` divides by; move nothing."""
    block = tl.program_id(0)
    row = tl.load(owners + block)
    line = table + row * COLUMNS
    if tl.load(line + 4) == kind:
        start = (block - tl.load(line + 5)) * BLOCK
        at = start + tl.arange(0, BLOCK)
        n = tl.where(tl.load(work + COUNT * rows + row) > 0.0, tl.load(line + 3), 0)
        scale = work + SCALE * rows + row
        if start + BLOCK <= n:
            mask = inside(at, n, True)
            x, u = _shaped(line, row, at, mask, scale, alpha, beta, mix, build)
            power, hits = tl.sum(u * u), _over(x, tau)
        else:
            mask = inside(at, n, False)
            x, u = _shaped(line, row, at, mask, scale, alpha, beta, mix, build)
            power, hits = tl.sum(u * u), _over(x, tau)  # g' is 0 where the mask is
        tl.store(parts + block, power.to(tl.float64))
        if not build.alone:
            tl.store(parts + tl.num_programs(0) + block, hits.to(tl.float64))
        slot, begin, end, first, blocks = _layer(line, row, rows, build)
        if _is_last(counters + slot, blocks):
            whole = _added(parts, first, blocks)
            if build.alone:
                some = whole > 0.0
                mean = tl.load(work + COUNT * rows + row) / tl.where(some, whole, 1.0)
                factor = tl.where(some, tl.sqrt(mean), 1.0)
                for r in range(begin, end):
                    tl.store(work + FACTOR * rows + r, factor)
            else:
                tl.store(work + POWER * rows + row, whole)
                total = _added(parts + tl.num_programs(0), first, blocks)
                tl.store(work + HITS * rows + row, total)


@triton.jit(do_not_specialize=_GIVEN)
def update(
    table: tl.tensor,
    owners: tl.tensor,
    counters: tl.tensor,
    work: tl.tensor,
    rows: tl.tensor,
    kind: tl.tensor,
    saturation: tl.tensor,
    alpha: tl.tensor,
    beta: tl.tensor,
    mix: tl.tensor,
    lr: tl.tensor,
    weight_decay: tl.tensor,
    momentum: tl.tensor,
    share: tl.tensor,
    tau: tl.tensor,
    seed: tl.tensor,
    build: tl.constexpr,
) -> None:
    """Move parameters and momentum, and write each layer's saturation."""
    block = tl.program_id(0)
    row = tl.load(owners + block)
    line = table + row * COLUMNS
    if tl.load(line + 4) == kind:
        start = (block - tl.load(line + 5)) * BLOCK
        at = start + tl.arange(0, BLOCK)
        # A skipped layer has no entries here: 0 times a non-finite gradient would be NaN.
        count = tl.load(work + COUNT * rows + row)
        n = tl.where(count > 0.0, tl.load(line + 3), 0)
        noise = None
        if seed is not None:
            counter = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
            # Philox passes the usual batteries of tests with seven rounds; triton's default is ten.
            noise = tl.randint(tl.load(seed), counter, 7).to(tl.uint32, bitcast=True)
        rate = number(lr, 0, build.rates)
        keep = 1.0 - rate * weight_decay
        factor = tl.load(work + FACTOR * rows + row).to(tl.float32) if build.unit_rms else 1.0
        scale = work + SCALE * rows + row
        if start + BLOCK <= n:
            mask = inside(at, n, True)
            x, u = _shaped(line, row, at, mask, scale, alpha, beta, mix, build)
            _move(line, at, mask, u * factor, noise, rate, keep, momentum, share, build)
            hits = _over(x, tau)
        else:
            mask = inside(at, n, False)
            x, u = _shaped(line, row, at, mask, scale, alpha, beta, mix, build)
            _move(line, at, mask, u * factor, noise, rate, keep, momentum, share, build)
            hits = _over(x, tau)
        # Whole numbers: their sum is the same in any order, and one addition tells all.
        slot, begin, end, _, blocks = _layer(line, row, rows, build)
        mine = hits.to(tl.int64) + DONE
        total = tl.atomic_add(counters + slot, mine, sem="relaxed") + mine
        if total // DONE == blocks:
            tl.store(counters + slot, 0)
            over = (total % DONE).to(tl.float64)
            if build.alone:
                found = over / tl.load(work + TOLD * rows + row)
                for r in range(begin, end):
                    tl.store(saturation + r, found.to(tl.float32))
            else:
                tl.store(work + HITS * rows + row, over)

"""What the Triton kernels must do, against the loop over tensors.

Collected by no run of its own: Triton's interpreter must be chosen before triton is imported, which
other tests do, so tests/optim/test_triton.py runs this in a process of its own. With a GPU,
tests_gpu/test_triton_cuda.py runs it on that.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from alphagrad.optim import native, triton_plan, triton_update
from alphagrad.optim.layer_math import LayerMath, Reduce
from alphagrad.optim.rule import Rule, working_dtype
from alphagrad.optim.single_tensor import single_tensor_alphagrad
from alphagrad.optim.triton_plan import find_rows

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
DEFAULTS: dict[str, Any] = {
    "alpha": 7.0,
    "beta": 1.0,
    "mix": 1.0,
    "lr": 0.05,
    "momentum": 0.0,
    "dampening": 0.0,
    "nesterov": False,
    "weight_decay": 0.0,
    "maximize": False,
    "eps": 1e-8,
    "tau": 2.5,
    "pooled": False,
    "normalise": True,
    "transform": "tanh",
    "unit_rms": False,
    "stochastic_rounding": False,
    "grad_scale": None,
    "found_inf": None,
}
F32, BF16, F16 = torch.float32, torch.bfloat16, torch.float16
Update = Callable[[list[Tensor], list[Tensor], list[Tensor], LayerMath, Rule], None]


@dataclass
class Group:
    """The tensors of a group, and what a step writes beside them."""

    params: list[Tensor]
    grads: list[Tensor | None]
    buffers: list[Tensor]
    options: dict[str, Any] = field(default_factory=dict)
    reduce: Reduce | None = None

    def __post_init__(self) -> None:
        n, device = len(self.params), self.params[0].device
        self.saturation = torch.zeros(n, device=device)
        self.skipped = torch.zeros(3, n, dtype=torch.int64, device=device)

    def copy(self) -> Group:
        copies = [[t.clone() for t in tensors] for tensors in (self.params, self.buffers)]
        return Group(copies[0], self.grads, copies[1], self.options, self.reduce)

    def step(self, update: Update | None = None) -> Group:
        """Step in Triton, or by another path."""
        options = DEFAULTS | self.options
        rule = Rule(**options, dtype=working_dtype(self.params))
        if update is None:
            assert triton_update.step(
                self.params,
                self.grads,
                self.buffers if rule.momentum else [],
                rule=rule,
                saturation=self.saturation,
                skipped=self.skipped,
                reduce=self.reduce,
            )
            return self
        layers = LayerMath(rule, self.grads, self.saturation, self.skipped, self.reduce)
        params = [self.params[i] for i in layers.present]
        grads = [g for g in self.grads if g is not None and g.numel()]
        buffers = [self.buffers[i] for i in layers.present] if rule.momentum else []
        update(params, grads, buffers, layers, rule)
        return self


def assert_same_step(group: Group, expected: Group, *, slack: float = 1.0) -> None:
    other, entries = 0, 0
    for found, wanted in ((group.params, expected.params), (group.buffers, expected.buffers)):
        for a, b in zip(found, wanted, strict=True):
            rtol = 2e-6 if a.dtype == F32 else torch.finfo(a.dtype).eps
            torch.testing.assert_close(a, b, rtol=rtol, atol=slack * rtol / 10)
            if a.dtype != F32:
                other, entries = other + int((a != b).sum()), entries + a.numel()
    # Rounded to 16 bits, a difference of float32 seldom shows.
    assert other <= 0.002 * entries
    torch.testing.assert_close(
        group.saturation, expected.saturation, rtol=1e-6, atol=0.0, equal_nan=True
    )
    assert torch.equal(group.skipped, expected.skipped)


# The first six are live; then one per way to be skipped.
SHAPES: list[tuple[int, ...]] = [(), (5,), (4096,), (4100,), (2, 3, 3, 3), (64, 65)]
SKIPPED: list[tuple[int, ...]] = [(3,), (7,), (4, 2), (5,), (0,)]
N = len(SHAPES) + len(SKIPPED)


def make_group(
    options: dict[str, Any],
    types: tuple[torch.dtype, ...] = (F32, F32, F32),
    unaligned: bool = False,
) -> Group:
    """Give a group with gradients of all kinds: ordinary, zero, NaN, infinite, missing, empty."""
    torch.manual_seed(0)
    groups = []
    for dtype in types:
        tensors = []
        for shape in SHAPES + SKIPPED:
            room = torch.randn(math.prod(shape) + 1)
            room = room.to(DEVICE, dtype)[1:] if unaligned else room[1:].to(DEVICE, dtype)
            tensors.append(room.view(shape))
        groups.append(tensors)
    params, grads, buffers = groups
    grads[1][2] = 0.0  # an exact zero, which saturation does not count
    first = len(SHAPES)
    grads[first].zero_()
    if not options.get("pooled"):  # one such tensor would skip the pool
        grads[first + 1][3] = math.nan
        grads[first + 2][0, 1] = -math.inf
    present: list[Tensor | None] = list(grads)
    present[first + 3] = None
    options = {
        key: torch.as_tensor(value, device=DEVICE) if isinstance(value, (list, Tensor)) else value
        for key, value in options.items()
    }
    return Group(params, present, buffers, options)


CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "momentum": {"momentum": 0.9},
    "dampening": {"momentum": 0.9, "dampening": 0.8, "weight_decay": 0.3},
    "nesterov": {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
    "alphas": {"alpha": [1.0, 2.0, 30.0, 40.0, 5.0, 60.0, 7.0, 8.0, 9.0, 1.0, 2.0], "tau": 0.8},
    "sin": {"transform": "sin", "beta": 3.0, "eps": 0.5},
    "betas, mixes": {
        "beta": [0.5, 1.5, 2.0, 1.0, 3.0, 0.25, 1.0, 1.0, 1.0, 1.0, 1.0],
        "mix": [0.0, 1.0, 0.5, 0.3, 0.7, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5],
        "momentum": 0.5,
    },
    "mix, maximize": {"mix": 0.25, "maximize": True, "weight_decay": 0.1},
    "unit_rms": {"unit_rms": True},
    "unit_rms, pool": {"unit_rms": True, "pooled": True, "mix": 0.5, "transform": "sin"},
    "pool": {"pooled": True, "alpha": 90.0},
    "pool, momentum, maximize": {"pooled": True, "alpha": [90.0] * N, "momentum": 0.9}
    | {"maximize": True},
    "no norm": {"normalise": False, "alpha": 3.0, "mix": 0.5},
    "lr": {"lr": torch.tensor(0.03), "momentum": 0.9, "weight_decay": 0.2},
    "grad_scale": {
        "grad_scale": torch.tensor([1024.0]),
        "found_inf": torch.tensor([0.0]),
        "eps": 1e-3,
        "momentum": 0.9,
    },
}
TYPES = {
    "float32": (F32, F32, F32),
    "bfloat16": (BF16, BF16, BF16),
    "float16": (F16, F16, F16),
    "three": (BF16, F16, F32),
}
# Each case in float32, each type in one case, and a few that need both.
TABLE = [(name, "float32") for name in CASES] + [
    ("momentum", "bfloat16"),
    ("nesterov", "float16"),
    ("dampening", "three"),
    ("unit_rms, pool", "bfloat16"),
    ("defaults", "float16"),
]


@pytest.mark.parametrize(("name", "types"), TABLE)
def test_a_step_is_that_of_the_loop(name: str, types: str) -> None:
    group = make_group(CASES[name], TYPES[types])
    before = group.copy()
    expected = group.copy().step(single_tensor_alphagrad)
    versions = [p._version for p in group.params]
    assert_same_step(group.step(), expected)
    live = len(SHAPES)
    skipped = range(live + 3, N) if group.options.get("pooled") else range(live, N)
    assert not any(torch.equal(group.params[i], before.params[i]) for i in range(live))
    for i in skipped:
        assert torch.equal(group.params[i], before.params[i])
        assert torch.equal(group.buffers[i], before.buffers[i])
    assert group.params[0]._version > versions[0]
    reasons = [0, 0, 0] if group.options.get("pooled") else [2, 2, 1]
    assert group.skipped.sum(1).tolist() == reasons


def test_types_may_differ_between_tensors_and_need_no_alignment() -> None:
    wide = make_group({}, TYPES["float32"], unaligned=True)
    narrow = make_group({}, TYPES["bfloat16"], unaligned=True)
    group = Group(
        [p for pair in zip(wide.params, narrow.params, strict=True) for p in pair],
        [g for pair in zip(wide.grads, narrow.grads, strict=True) for g in pair],
        [b for pair in zip(wide.buffers, narrow.buffers, strict=True) for b in pair],
        {"momentum": 0.9, "pooled": False},
    )
    assert any(p.data_ptr() % 16 for p in group.params)
    expected = group.copy().step(single_tensor_alphagrad)
    assert_same_step(group.step(), expected)


@pytest.mark.parametrize("kind", ["infinite", "found_inf"])
def test_a_step_with_an_infinity_for_all_changes_no_bit(kind: str) -> None:
    options = {"momentum": 0.9, "weight_decay": 0.1, "pooled": True, "unit_rms": True}
    group = make_group(options)
    if kind == "infinite":
        assert group.grads[3] is not None
        group.grads[3][4099] = math.inf
    else:
        group.options["found_inf"] = torch.tensor(1.0, device=DEVICE)
    before, expected = group.copy(), group.copy().step(single_tensor_alphagrad)
    assert_same_step(group.step(), expected)
    assert group.saturation.isnan().all()
    for now, then in ((group.params, before.params), (group.buffers, before.buffers)):
        assert all(torch.equal(a, b) for a, b in zip(now, then, strict=True))


def test_sums_are_taken_over_ranks() -> None:
    group = make_group({"unit_rms": True, "momentum": 0.9})
    group.reduce = lambda rows: rows * 3.0
    expected = group.copy().step(single_tensor_alphagrad)
    assert_same_step(group.step(), expected)


def test_a_rank_without_entries_takes_part_in_the_sums() -> None:
    group = Group([torch.zeros(0, device=DEVICE)], [torch.zeros(0, device=DEVICE)], [])
    calls = []

    def reduce(rows: Tensor) -> Tensor:
        calls.append(rows)
        return rows + 1.0

    group.reduce = reduce
    group.step()
    assert len(calls) == 2


def test_memory_formats_are_walked_as_they_lie() -> None:
    torch.manual_seed(0)
    lists = [
        [torch.randn(2, 3, 4, 5, device=DEVICE).to(memory_format=torch.channels_last)]
        for _ in range(3)
    ]
    group = Group(lists[0], list(lists[1]), lists[2], {"momentum": 0.9})
    expected = group.copy().step(single_tensor_alphagrad)
    assert_same_step(group.step(), expected)


def test_the_norm_has_no_ends() -> None:
    sizes = (1e-38, 1e-25, 3e-16, 1.0, 3e15, 1e20, 1e38)
    signs = torch.ones(5000, device=DEVICE)
    signs[::2] = -1.0
    params = [torch.zeros(5000, device=DEVICE) for _ in sizes]
    options = {"lr": 1.0, "alpha": math.sqrt(5000), "eps": 0.0}
    group = Group(params, [signs * size for size in sizes], [], options).step()
    for p in group.params:
        torch.testing.assert_close(p, -math.tanh(1.0) * signs, rtol=1e-5, atol=0.0)
    assert not group.skipped.any()


def test_entries_of_all_magnitudes_share_a_norm() -> None:
    p, g = torch.zeros(4, device=DEVICE), torch.tensor([3e20, -4e20, 1e-25, 0.0], device=DEVICE)
    Group([p], [g], [], {"lr": 1.0, "alpha": 1.0}).step()
    expected = [-math.tanh(0.6), math.tanh(0.8), 0.0, 0.0]
    assert p.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-44)


def test_tanh_is_exact_to_a_millionth() -> None:
    x = torch.cat((torch.logspace(-12, 2, 6000), torch.linspace(0, 10, 6000)[1:])).to(DEVICE)
    x = torch.cat((x, -x))
    norm = x.double().norm().item()
    p = torch.zeros_like(x)
    Group([p], [x], [], {"lr": 1.0, "alpha": norm, "eps": 0.0}).step()
    exact = -x.double().tanh()
    assert ((p.double() - exact) / exact).abs().max().item() < 1e-6
    assert p.abs().max().item() == 1.0


def test_the_same_step_gives_the_same_bits() -> None:
    one = make_group({"momentum": 0.9, "unit_rms": True})
    other = one.copy().step()
    one.step()
    for a, b in zip(one.params + one.buffers, other.params + other.buffers, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("option", ["", "unit_rms", "pooled", "normalise"])
def test_a_gradient_below_eps_has_a_step_and_no_saturation(option: str) -> None:
    options = {"eps": 3.0, "grad_scale": torch.tensor(16.0, device=DEVICE)}
    group = make_group(options | ({option: option != "normalise"} if option else {}))
    before, live = group.copy().params, range(len(SHAPES))
    expected = group.copy().step(single_tensor_alphagrad)
    assert_same_step(group.step(), expected)
    # A tensor alone has a norm, over the scale, of √d/16.
    wide = [option in ("pooled", "normalise") or group.params[i].numel() > 4000 for i in live]
    assert [not group.saturation[i].isnan() for i in live] == wide
    assert not any(torch.equal(group.params[i], before[i]) for i in live)


def test_any_number_of_blocks_is_added() -> None:
    torch.manual_seed(0)
    sizes = [5000, 4096 * 1024 + 1, 0]
    tensors = [[torch.randn(size, device=DEVICE) for size in sizes] for _ in range(2)]
    group = Group(tensors[0], list(tensors[1]), [], {"alpha": 3000.0})
    expected = group.copy().step(single_tensor_alphagrad)
    assert_same_step(group.step(), expected)
    assert 0.0 < group.saturation[1].item() < 1.0


def test_addresses_are_brought_to_the_device_once() -> None:
    group = make_group({})
    group.step()
    before = triton_plan._plan.cache_info(), triton_plan._layout.cache_info()
    group.step()
    assert triton_plan._plan.cache_info().misses == before[0].misses
    group.grads[1] = torch.ones(5, device=DEVICE)
    expected = group.copy().step(single_tensor_alphagrad)
    group.skipped.zero_()
    assert_same_step(group.step(), expected)
    assert triton_plan._plan.cache_info().misses == before[0].misses + 1
    assert triton_plan._layout.cache_info().misses == before[1].misses


# Parameter and step, both in what the type holds or below it.
ROUNDED = [(1.0, 2**-12), (-3.0, 1e-3), (2**-9, 1e-7), (2**-16, 1e-8), (2**-20, -2e-8)]


@pytest.mark.parametrize("dtype", [BF16, F16])
def test_stochastic_rounding_is_right_in_the_mean(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    entries = 12_288
    for value, step in ROUNDED:
        p = torch.full((entries,), value, dtype=dtype, device=DEVICE)
        g = torch.ones_like(p)
        options = {"alpha": 1e9, "lr": step, "stochastic_rounding": True}
        Group([p], [g], [], options).step()
        found = p.double()
        neighbours = torch.unique(found)
        assert len(neighbours) == 2
        spacing = (neighbours[1] - neighbours[0]).item()
        # Four standard deviations of a mean of so many fair coins.
        assert found.mean().item() == pytest.approx(value - step, abs=2 * spacing / entries**0.5)


def test_stochastic_rounding_follows_torchs_seed() -> None:
    ends = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        p = torch.ones(5000, dtype=BF16, device=DEVICE)
        Group([p], [torch.ones_like(p)], [], {"lr": 1e-3, "stochastic_rounding": True}).step()
        ends.append(p)
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert not torch.equal(ends[0][:900], ends[0][4096:4996])  # blocks draw their own


@pytest.mark.parametrize(("dtype", "unit"), [(BF16, 2**-7), (F16, 2**-10)])
def test_rounding_takes_the_even_one_of_two_as_near(dtype: torch.dtype, unit: float) -> None:
    p = torch.tensor([1.0, 1.0 + unit], dtype=dtype, device=DEVICE)
    Group([p], [-torch.ones_like(p)], [], {"alpha": 1e9, "lr": unit / 2}).step()
    assert p.tolist() == [1.0, 1.0 + 2 * unit]


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("dtype", [F32, BF16, F16])
def test_rounding_keeps_what_is_not_finite(dtype: torch.dtype, stochastic: bool) -> None:
    special = torch.tensor([math.inf, -math.inf, math.nan, 0.0, 1.0], dtype=dtype, device=DEVICE)
    p = special.clone()
    g = torch.tensor([1.0, -1.0, 1.0, 0.0, 0.0], dtype=dtype, device=DEVICE)
    Group([p], [g], [], {"stochastic_rounding": stochastic}).step()
    torch.testing.assert_close(p, special, rtol=0.0, atol=0.0, equal_nan=True)


class Subclass(Tensor):
    """A tensor of which nothing is known."""


def can_run(
    params: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    buffers: Sequence[Tensor | None] = (),
) -> bool:
    """What the native extension says, which Python must say too."""
    device = torch.device(DEVICE, 0) if DEVICE == "cuda" else torch.device(DEVICE)
    found = find_rows(params, grads, buffers, device)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "is_built", lambda: False)
        assert find_rows(params, grads, buffers, device) == found
    return found is not None


def test_what_the_kernels_do_not_take() -> None:
    square = torch.zeros(4, 4, device=DEVICE)
    image = torch.zeros(2, 3, 4, 5, device=DEVICE)
    last = image.to(memory_format=torch.channels_last)
    solid = torch.zeros(2, 3, 4, 5, 6, device=DEVICE)
    last_3d = solid.to(memory_format=torch.channels_last_3d)
    assert can_run([square], [square.to(BF16)])
    assert can_run([square, image], [None, image])
    assert can_run([last], [last], [last.half()])
    assert can_run([last_3d], [last_3d])
    assert not can_run([last], [image])
    assert not can_run([solid], [last_3d])
    assert not can_run([square], [square], [square[0]])
    assert not can_run([square.double()], [square.double()])
    assert not can_run([square[:, ::2]], [square[:, ::2]])
    assert not can_run([square.as_subclass(Subclass)], [square])
    assert not can_run([square.to("meta")], [square.to("meta")])
    assert not can_run([square], [square.to("meta")])
    assert not can_run(
        [square[0, 0]], [torch.zeros((), dtype=torch.cfloat, device=DEVICE).conj().imag]
    )

"""What torch expects of every optimizer, for every row of the table of options."""

from __future__ import annotations

import copy
import gc
import io
import itertools
import pickle
import weakref
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR

from alphagrad.optim import AlphaGrad
from tests.optim.cases import OPTIONS, PATHS, SHAPES, Case, runs

ROWS = [
    Case(name, dtype, "tensor", path)
    for name, dtype, path in itertools.product(
        OPTIONS, (torch.float32, torch.bfloat16, torch.float64), PATHS
    )
    if runs(name, dtype, path)
]
FLOAT32 = [row for row in ROWS if row.dtype == torch.float32]


@pytest.fixture(autouse=True)
def _kernel_where_needed(request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["case"].path == "fused":
        request.getfixturevalue("kernel")


def make(case: Case, **changed: Any) -> tuple[list[torch.Tensor], AlphaGrad]:
    torch.manual_seed(0)
    params = [torch.randn(shape).to(case.dtype).requires_grad_() for shape in SHAPES]
    options = copy.deepcopy(case.options)
    return params, AlphaGrad(params, **(options | changed))


def train(params: list[torch.Tensor], optimizer: AlphaGrad, seeds: range) -> None:
    for seed in seeds:
        torch.manual_seed(seed)
        for i, p in enumerate(params):
            p.grad = torch.randn_like(p)
            if (seed + i) % 5 == 0:
                p.grad.fill_(torch.nan if seed % 2 else 0.0)
        optimizer.step()


def same(a: Any, b: Any) -> bool:
    """Compare what state_dict holds, bit for bit; NaN equals NaN."""
    if isinstance(a, torch.Tensor):
        return (
            isinstance(b, torch.Tensor)
            and a.dtype == b.dtype
            and torch.equal(a.nan_to_num(9e9), b.nan_to_num(9e9))
        )
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_a_saved_state_continues_bit_for_bit(case: Case) -> None:
    params, optimizer = make(case)
    train(params, optimizer, range(4))
    optimizer.set_alpha(3.1, "0.2", pin=True)
    file = io.BytesIO()
    torch.save((params, optimizer.state_dict()), file)
    train(params, optimizer, range(4, 8))

    file.seek(0)
    resumed_params, state = torch.load(file, weights_only=True)
    resumed_params = [p.detach().requires_grad_() for p in resumed_params]
    resumed = AlphaGrad(resumed_params, **({"alpha": 77.0, "beta": 9.0} | PATHS[case.path]))
    assert not same(resumed.state_dict(), state)
    resumed.load_state_dict(state)
    assert same(resumed.state_dict(), state)
    train(resumed_params, resumed, range(4, 8))
    assert same(resumed.state_dict(), optimizer.state_dict())
    assert same(resumed_params, params)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
@pytest.mark.parametrize("case", FLOAT32, ids=str)
def test_copies_are_whole_and_independent(case: Case, clone: Any) -> None:
    params, optimizer = make(case)
    train(params, optimizer, range(3))
    twin = clone(optimizer)
    assert same(twin.state_dict(), optimizer.state_dict())
    kept = copy.deepcopy(optimizer.state_dict())
    train(twin.param_groups[0]["params"], twin, range(3, 6))
    twin.set_alpha(0.125)
    assert same(optimizer.state_dict(), kept)
    train(params, optimizer, range(3, 6))
    assert same(twin.param_groups[0]["params"], params)


@pytest.mark.parametrize("case", FLOAT32, ids=str)
def test_a_state_of_another_dtype_is_cast_but_not_its_vectors(case: Case) -> None:
    params, optimizer = make(case)
    train(params, optimizer, range(3))
    wide = [p.detach().double().requires_grad_() for p in params]
    other = AlphaGrad(wide, **case.options)
    other.load_state_dict(optimizer.state_dict())
    for p, q in zip(params, wide, strict=True):
        for key, value in other.state[q].items():
            assert value.dtype == torch.float64
            assert torch.equal(value, optimizer.state[p][key].double())
    assert same(other.state_dict()["param_groups"], optimizer.state_dict()["param_groups"])
    train(wide, other, range(3, 5))


@pytest.mark.parametrize("case", FLOAT32, ids=str)
def test_hooks_run_around_a_step_and_a_closure_within(case: Case) -> None:
    params, optimizer = make(case)
    events: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: events.append("pre"))
    optimizer.register_step_post_hook(lambda *_: events.append("post"))
    optimizer.register_state_dict_post_hook(lambda *_: events.append("state"))

    def closure() -> float:
        events.append("closure")
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        loss = sum((p**2).sum() for p in params)
        assert isinstance(loss, torch.Tensor)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    before = [p.detach().clone() for p in params]
    assert optimizer.step(closure) > 0
    optimizer.state_dict()
    assert events == ["pre", "closure", "post", "state"]
    assert not all(torch.equal(p, q) for p, q in zip(params, before, strict=True))
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)


@pytest.mark.parametrize("case", FLOAT32, ids=str)
def test_no_reference_cycle_keeps_it_alive(case: Case) -> None:
    params, optimizer = make(case)
    train(params, optimizer, range(2))
    group = weakref.ref(optimizer)
    gc.disable()
    try:
        del optimizer
        assert group() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("case", FLOAT32, ids=str)
def test_torchs_learning_rate_schedulers_drive_it(case: Case) -> None:
    params, optimizer = make(case)
    scheduler = ExponentialLR(optimizer, gamma=0.5)
    train(params, optimizer, range(1))
    scheduler.step()
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(
        float(case.options["lr"]) / 2, rel=1e-6
    )
    train(params, optimizer, range(1, 2))


@pytest.mark.parametrize("case", [row for row in FLOAT32 if row.name == "momentum"], ids=str)
def test_one_cycle_moves_momentum_too(case: Case) -> None:
    params, optimizer = make(case)
    scheduler = OneCycleLR(optimizer, max_lr=0.1, total_steps=10)
    seen = set()
    for seed in range(5):
        train(params, optimizer, range(seed, seed + 1))
        scheduler.step()
        seen.add(optimizer.param_groups[0]["momentum"])
    assert len(seen) == 5


@pytest.mark.parametrize("case", FLOAT32, ids=str)
def test_state_is_nothing_or_one_number_per_parameter(case: Case) -> None:
    params, optimizer = make(case)
    train(params, optimizer, range(1, 3))
    stored = sum(
        value.numel() * value.element_size()
        for state in optimizer.state.values()
        for value in state.values()
    )
    assert stored == (4 * sum(p.numel() for p in params) if case.options.get("momentum") else 0)

"""torch.compile: a change of α compiles nothing anew, whichever way it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler


def write_vector(optimizer: AlphaGrad) -> None:
    optimizer.param_groups[0]["alpha"] = torch.tensor([4.0, 9.0])


def write_number(optimizer: AlphaGrad) -> None:
    optimizer.param_groups[0]["alpha"] = 8.0


def write_another_number(optimizer: AlphaGrad) -> None:
    optimizer.param_groups[0]["alpha"] = 2.0


BY_METHOD: dict[str, Callable[[AlphaGrad], Any]] = {
    "all layers": lambda o: o.set_alpha(5.0),
    "one layer": lambda o: o.set_alpha(6.0, "b"),
    "by name, pinned": lambda o: o.set_alpha({"w": 1.5}, pin=True),
    "beta": lambda o: o.set_beta(1.5, "w"),
    "mix": lambda o: o.set_mix(0.5),
    "in place": lambda o: o.param_groups[0]["alpha"].mul_(2.0),
    "vector": write_vector,
}
BY_NUMBER: dict[str, Callable[[AlphaGrad], Any]] = {
    "number": write_number,
    "another number": write_another_number,
    "number again": write_number,
}


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def make(**options: Any) -> tuple[list[torch.Tensor], AlphaGrad]:
    torch.manual_seed(0)
    params = [torch.randn(4, 3, requires_grad=True), torch.randn(7, requires_grad=True)]
    return params, AlphaGrad(zip("wb", params, strict=True), lr=0.1, **options)


# Dynamo reports under warnings=error that it leaves the profiler's label out.
@pytest.mark.filterwarnings("ignore:Profiler record function")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("foreach", [True, False, None])
@pytest.mark.parametrize(
    ("options", "changes"),
    [({"alpha": 3.0}, BY_METHOD | BY_NUMBER), ({"alpha": 3.0, "capturable": True}, BY_METHOD)],
    ids=["default", "capturable"],
)
def test_no_change_of_alpha_recompiles(
    options: dict[str, Any],
    changes: dict[str, Callable[[AlphaGrad], Any]],
    foreach: bool | None,
    momentum: float,
) -> None:
    params, optimizer = make(foreach=foreach, momentum=momentum, **options)
    eager_params, eager = make(foreach=bool(foreach), momentum=momentum, **options)
    counter = CompileCounterWithBackend("aot_eager")
    # Only where α is always a vector is one graph enough for a whole step.
    compiled = torch.compile(optimizer.step, backend=counter, fullgraph="capturable" in options)

    def step() -> None:
        for p, q in zip(params, eager_params, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        compiled()
        eager.step()
        torch.testing.assert_close(params, eager_params)
        assert optimizer.alphas() == eager.alphas()
        assert optimizer.saturation() == pytest.approx(eager.saturation())

    for _ in range(3):  # the first step makes the momentum buffers, the second compiles without
        step()
    graphs = counter.frame_count
    assert graphs >= 1
    for name, change in changes.items():
        before = optimizer.alphas(), optimizer.betas(), optimizer.mixes()
        change(optimizer)
        change(eager)
        assert (optimizer.alphas(), optimizer.betas(), optimizer.mixes()) != before, name
        step()
        assert counter.frame_count == graphs, name


@pytest.mark.filterwarnings("ignore:Profiler record function")
def test_a_scheduler_between_compiled_steps_recompiles_nothing() -> None:
    params, optimizer = make(alpha=0.5, foreach=True)
    scheduler = SaturationScheduler(optimizer)
    counter = CompileCounterWithBackend("eager")
    compiled = torch.compile(optimizer.step, backend=counter)
    seen, graphs = set(), 0
    for i in range(8):
        for p in params:
            p.grad = torch.randn_like(p)
        compiled()
        scheduler.step()
        seen.add(optimizer.alphas()["b"])
        graphs = counter.frame_count if i < 2 else graphs
    assert len(seen) > 3
    assert counter.frame_count == graphs

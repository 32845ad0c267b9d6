"""τ of a group, which a scheduler shares with whoever else writes there."""

import pytest
import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import AlphaScheduler, DynAGAlpha, SaturationScheduler


def make() -> tuple[dict[str, Tensor], AlphaGrad]:
    params = {name: torch.zeros(4096, requires_grad=True) for name in ("a", "b")}
    return params, AlphaGrad(params.items(), lr=1e-3, alpha=200.0)


def step(params: dict[str, Tensor], optimizer: AlphaGrad, number: int) -> None:
    torch.manual_seed(number)
    for p in params.values():
        p.grad = torch.randn(4096)
    optimizer.step()


@pytest.mark.parametrize("kind", [SaturationScheduler, DynAGAlpha])
def test_an_s_that_was_counted_with_another_tau_moves_nothing(kind: type[AlphaScheduler]) -> None:
    params, optimizer = make()
    saved = optimizer.state_dict()
    kind(optimizer, **({"start": "keep"} if kind is SaturationScheduler else {})).attach()
    optimizer.load_state_dict(saved)  # with the optimizer's own τ
    step(params, optimizer, 0)
    assert optimizer.alphas() == {"a": 200.0, "b": 200.0}
    for number in range(300):
        step(params, optimizer, number)
    assert optimizer.alphas()["a"] != 200.0
    assert all(0.05 <= s <= 0.25 for s in optimizer.saturation().values())


def test_two_schedulers_with_a_tau_each_in_one_group_are_refused() -> None:
    params, optimizer = make()
    SaturationScheduler(optimizer, layers="a").attach()
    SaturationScheduler(optimizer, tau=2.5, layers="b").attach()
    step(params, optimizer, 0)
    message = r"group 0 counts with tau=2.5, not SaturationScheduler's 0.5: another scheduler"
    with pytest.raises(ValueError, match=message):
        step(params, optimizer, 1)


def test_groups_of_their_own_may_count_with_a_tau_each() -> None:
    params, _ = make()
    groups = [{"params": [(name, p)]} for name, p in params.items()]
    optimizer = AlphaGrad(groups, lr=1e-3)
    SaturationScheduler(optimizer, layers="a").attach()
    SaturationScheduler(optimizer, tau=2.5, layers="b").attach()
    for number in range(20):
        step(params, optimizer, number)
    a, b = optimizer.alphas().values()
    assert b / a == pytest.approx(5, rel=0.2)
    assert all(0.05 <= s <= 0.25 for s in optimizer.saturation().values())


@pytest.mark.parametrize("kind", [SaturationScheduler, DynAGAlpha])
def test_a_scheduler_that_takes_over_moves_nothing_by_the_step_before(
    kind: type[AlphaScheduler],
) -> None:
    params, optimizer = make()
    step(params, optimizer, 0)  # counted with the optimizer's own τ
    scheduler = kind(optimizer, **({"start": "keep"} if kind is SaturationScheduler else {}))
    scheduler.step()
    assert optimizer.alphas() == {"a": 200.0, "b": 200.0}
    scheduler.attach()
    step(params, optimizer, 1)
    assert optimizer.alphas()["a"] != 200.0

"""What every α scheduler keeps to."""

import copy
import io
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import AlphaScheduler, SqrtDAlpha
from tests.scheduler.cases import SCHEDULERS, Factory, Halve

every_scheduler = pytest.mark.parametrize("factory", SCHEDULERS.values(), ids=SCHEDULERS.keys())
NAMES = ["0.weight", "0.bias", "1.weight", "1.bias"]


def make(**options: Any) -> AlphaGrad:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 10))
    return AlphaGrad(model.named_parameters(), lr=1e-3, **({"alpha": 400.0} | options))


def train(optimizer: AlphaGrad, seeds: range) -> list[dict[str, float]]:
    trace = []
    for seed in seeds:
        torch.manual_seed(seed)
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = torch.randn_like(p)
        optimizer.step()
        trace.append(optimizer.alphas())
    return trace


@every_scheduler
def test_pinned_layers_and_layers_outside_the_glob_never_change(factory: Factory) -> None:
    optimizer = make()
    optimizer.set_alpha(300.0, "1.weight", pin=True)
    scheduler = factory(optimizer, layers="*.weight").attach()
    train(optimizer, range(3))
    assert scheduler.last_step == 3
    alphas = optimizer.alphas()
    assert {name: alphas[name] for name in NAMES[1:]} == {
        "0.bias": 400.0,
        "1.weight": 300.0,
        "1.bias": 400.0,
    }
    assert alphas["0.weight"] < 400.0
    optimizer.release()
    train(optimizer, range(3))
    assert optimizer.alphas()["1.weight"] < 300.0
    assert optimizer.alphas()["1.bias"] == 400.0


@every_scheduler
def test_a_knob_turned_without_a_pin_is_overruled(factory: Factory) -> None:
    optimizer = make()
    factory(optimizer).attach()
    optimizer.set_alpha(999.0, "0.weight")
    train(optimizer, range(1))
    assert optimizer.alphas()["0.weight"] < 999.0


@every_scheduler
def test_a_glob_without_a_match_is_refused(factory: Factory) -> None:
    with pytest.raises(ValueError, match=r"'decoder.\*', known layers: 0.weight, 0.bias"):
        factory(make(), layers="decoder.*")


@every_scheduler
def test_other_optimizers_are_refused(factory: Factory) -> None:
    sgd: Any = torch.optim.SGD([torch.zeros(1)])
    with pytest.raises(TypeError, match="must be an AlphaGrad, got SGD"):
        factory(sgd)


@every_scheduler
def test_a_state_saved_in_mid_run_continues_identically(factory: Factory) -> None:
    optimizer = make()
    scheduler = factory(optimizer, layers="*.weight").attach()
    train(optimizer, range(4))
    file = io.BytesIO()
    torch.save([optimizer.state_dict(), scheduler.state_dict()], file)
    expected = train(optimizer, range(4, 10))

    resumed = make()
    other = factory(resumed, layers="0.*").attach()
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    assert train(resumed, range(4, 10)) == expected
    assert other.last_step == scheduler.last_step == 10


@every_scheduler
def test_a_copy_has_to_be_attached_and_then_goes_on(factory: Factory) -> None:
    optimizer = make()
    scheduler = factory(optimizer).attach()
    train(optimizer, range(4))
    optimizer_too, copied = copy.deepcopy((optimizer, scheduler))
    assert scheduler.attached
    assert not copied.attached  # a copied optimizer has no hooks
    expected = train(optimizer, range(4, 8))
    copied.attach()
    assert train(optimizer_too, range(4, 8)) == expected
    assert copied.last_step == scheduler.last_step == 8


@every_scheduler
def test_a_saved_state_does_not_change_with_the_scheduler(factory: Factory) -> None:
    optimizer = make()
    scheduler = factory(optimizer).attach()
    saved = scheduler.state_dict()
    text = repr(saved)
    train(optimizer, range(2))
    assert repr(saved) == text
    assert repr(scheduler.state_dict()) != text
    assert "optimizer" not in saved


@every_scheduler
def test_gradients_that_say_nothing_keep_alpha_finite(factory: Factory) -> None:
    optimizer = make()
    factory(optimizer).attach()
    bad = [torch.full((20, 30), math.nan), torch.zeros(20), None, torch.full((10,), math.inf)]
    for i in range(12):
        grads = [torch.randn(20, 30), torch.ones(20), torch.randn(10, 20), torch.randn(10)]
        for j, p in enumerate(optimizer.param_groups[0]["params"]):
            p.grad = bad[j] if (i + j) % 3 else grads[j]
        optimizer.step()
    assert all(0 < alpha < 1e6 for alpha in optimizer.alphas().values())


class Calls(TorchDispatchMode):
    """The names of the operations that torch is asked for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


@every_scheduler
def test_a_step_waits_for_no_device(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alphagrad.optim.native.hold_band", lambda *_: False)  # as on a GPU
    optimizer = make()
    scheduler = factory(optimizer)
    for _ in range(4):
        train(optimizer, range(1))
        with Calls() as calls:
            scheduler.step()
        # What asks for a number of the device, or for as many as it happens to find.
        assert not {name for name in calls.names if "_local_scalar" in name or "nonzero" in name}
        assert "aten.equal.default" not in calls.names


@every_scheduler
def test_only_one_that_starts_from_gradients_hooks_before_the_step(factory: Factory) -> None:
    optimizer = make()
    scheduler = factory(optimizer).attach()
    assert len(optimizer._optimizer_step_pre_hooks) == scheduler.starts
    scheduler.detach()
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_these_start_from_gradients() -> None:
    starting = {name for name, factory in SCHEDULERS.items() if factory(make()).starts}
    assert starting == {"saturation", "chained", "sequential"}


def test_a_state_of_another_class_is_refused() -> None:
    scheduler = Halve(make())
    with pytest.raises(ValueError, match=r"keys \[.*'k'.*\], must be \['last_step', 'layers'\]"):
        scheduler.load_state_dict(SqrtDAlpha(make()).state_dict())


@every_scheduler
def test_attach_hooks_once_and_detach_unhooks(factory: Factory) -> None:
    optimizer = make()
    scheduler = factory(optimizer)
    train(optimizer, range(1))
    assert scheduler.last_step == 0
    assert scheduler.attach().attach() is scheduler
    train(optimizer, range(2))
    assert scheduler.last_step == 2
    scheduler.detach()
    scheduler.detach()
    train(optimizer, range(1))
    assert scheduler.last_step == 2


@every_scheduler
def test_groups_added_later_are_taken_up(factory: Factory) -> None:
    optimizer = make()
    scheduler = factory(optimizer, layers="*.weight").attach()
    train(optimizer, range(1))
    added = [("2.weight", torch.zeros(40, 5)), ("2.bias", torch.zeros(5))]
    optimizer.add_param_group({"params": added, "alpha": 700.0})
    train(optimizer, range(2))
    assert optimizer.alphas()["2.weight"] < 700.0
    assert optimizer.alphas()["2.bias"] == 700.0
    assert [len(alpha) for alpha in scheduler.get_last_alpha()] == [4, 2]


@every_scheduler
def test_one_norm_per_group_gives_one_alpha_per_group(factory: Factory) -> None:
    optimizer = make(norm="group")
    factory(optimizer).attach()
    train(optimizer, range(3))
    entries = optimizer.param_groups[0]["alpha"]
    assert entries.shape == (4,)
    assert entries.unique().numel() == 1
    assert entries[0] < 400.0


@every_scheduler
def test_an_alpha_replaced_by_a_float_is_packed_again(factory: Factory) -> None:
    optimizer = make()
    factory(optimizer, layers="0.weight").attach()
    train(optimizer, range(1))
    optimizer.param_groups[0]["alpha"] = 800.0
    train(optimizer, range(1))
    assert optimizer.alphas()["0.weight"] < 800.0
    assert optimizer.alphas()["1.weight"] == 800.0


def test_the_last_alpha_is_a_copy() -> None:
    optimizer = make(alpha=8.0)
    scheduler = Halve(optimizer)
    optimizer.step()
    scheduler.step()
    found = scheduler.get_last_alpha()
    optimizer.set_alpha(99.0)
    assert found[0].tolist() == [4.0] * 4


def test_before_the_optimizers_first_step_it_warns_and_does_nothing() -> None:
    optimizer = make(alpha=8.0)
    scheduler = Halve(optimizer)
    with pytest.warns(UserWarning, match=r"Halve.step\(\) before the optimizer's first step"):
        scheduler.step()
    assert scheduler.last_step == 0
    assert set(optimizer.alphas().values()) == {8.0}


def test_the_base_keeps_alpha_but_packs_it() -> None:
    optimizer = make(alpha=8.0)
    scheduler = AlphaScheduler(optimizer)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["alpha"].tolist() == [8.0] * 4

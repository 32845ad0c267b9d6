"""state_dict, pickle, deepcopy, groups added later, closures, devices."""

import copy
import io
import pickle
from typing import Any, Literal

import pytest
import torch
from torch import nn

from alphagrad.optim import AlphaGrad

VECTORS = ("alpha", "saturation", "pinned", "skipped")


def make(dtype: torch.dtype = torch.float32, **options: Any) -> tuple[nn.Module, AlphaGrad]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2)).to(dtype)
    return model, AlphaGrad(model.named_parameters(), lr=0.01, **options)


def train(model: nn.Module, optimizer: AlphaGrad, seeds: range) -> None:
    for seed in seeds:
        torch.manual_seed(seed)
        for i, p in enumerate(model.parameters()):
            p.grad = torch.randn_like(p)
            if (seed + i) % 4 == 0:
                p.grad.fill_(torch.nan if seed % 2 else 0.0)
        optimizer.step()


def assert_same(a: AlphaGrad, b: AlphaGrad) -> None:
    assert a.layer_names() == b.layer_names()
    for one, other in zip(a.param_groups, b.param_groups, strict=True):
        assert one.keys() == other.keys()
        for key in VECTORS:
            assert type(one[key]) is type(other[key])
            if isinstance(one[key], torch.Tensor):
                assert one[key].dtype == other[key].dtype
                torch.testing.assert_close(one[key], other[key], rtol=0, atol=0, equal_nan=True)
            else:
                assert one[key] == other[key]
        for p, q in zip(one["params"], other["params"], strict=True):
            assert torch.equal(p, q)
            assert a.state[p].keys() == b.state[q].keys()
            for key, value in a.state[p].items():
                assert value.dtype == b.state[q][key].dtype
                assert torch.equal(value, b.state[q][key])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("norm", ["tensor", "group"])
@pytest.mark.parametrize("alpha", [None, 12.5])
def test_a_state_saved_in_mid_run_continues_bit_for_bit(
    alpha: float | None, norm: Literal["tensor", "group"], momentum: float, dtype: torch.dtype
) -> None:
    options = {"alpha": alpha, "norm": norm, "momentum": momentum}
    model, optimizer = make(dtype, **options)
    train(model, optimizer, range(6))
    optimizer.set_alpha(3.1, optimizer.layer_names()[-1], pin=True)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    train(model, optimizer, range(6, 12))

    resumed_model, resumed = make(dtype, **(options | {"alpha": 77.0}))
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed_model.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["optimizer"])
    with pytest.raises(AssertionError):
        assert_same(optimizer, resumed)
    train(resumed_model, resumed, range(6, 12))
    assert_same(optimizer, resumed)
    assert sum(sum(counts.values()) for counts in resumed.skipped().values()) > 0


def test_a_loaded_optimizer_shares_no_vector_with_the_state() -> None:
    optimizer, other = make()[1], make()[1]
    other.load_state_dict(optimizer.state_dict())
    other.set_alpha(5.0, pin=True)
    assert 5.0 not in optimizer.alphas().values()
    assert not any(optimizer.pinned().values())


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
@pytest.mark.parametrize("alpha", [None, 12.5])
def test_copies_are_whole_and_independent(clone: Any, alpha: float | None) -> None:
    model, optimizer = make(momentum=0.9, alpha=alpha)
    train(model, optimizer, range(3))
    optimizer.pin("0.*")
    twin = clone(optimizer)
    assert_same(optimizer, twin)
    before = [p.detach().clone() for p in model.parameters()]
    for p in twin.param_groups[0]["params"]:
        p.grad = torch.ones_like(p)
    twin.step()
    twin.set_alpha(1.25)
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))
    assert 1.25 not in optimizer.alphas().values()
    assert set(twin.alphas().values()) == {1.25}


def test_an_old_state_gets_defaults_for_what_it_lacks() -> None:
    model, optimizer = make(k=2.0, tau=3.0, eps=1e-5)
    state = optimizer.state_dict()
    old = {
        "state": {},
        "param_groups": [
            {"params": state["param_groups"][0]["params"], "lr": 0.5, "momentum": 0.0}
        ],
    }
    optimizer.set_alpha(99.0)
    optimizer.load_state_dict(old)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["k"], group["tau"], group["eps"]) == (0.5, 2.0, 3.0, 1e-5)
    assert optimizer.alphas()["2.bias"] == pytest.approx(2.0 * 2**0.5)
    train(model, optimizer, range(2))
    assert not any(optimizer.pinned().values())


def test_groups_added_later_step_with_their_own_options() -> None:
    first = torch.zeros(4, requires_grad=True)
    second = torch.zeros(9, requires_grad=True)
    optimizer = AlphaGrad([("first", first)], lr=0.1, alpha=2.0)
    optimizer.add_param_group({"params": [("second", second)], "alpha": [6.0], "lr": 0.2})
    first.grad, second.grad = torch.ones(4), torch.ones(9)
    optimizer.step()
    assert first[0].item() == pytest.approx(-0.1 * torch.tanh(torch.tensor(1.0)).item())
    assert second[0].item() == pytest.approx(-0.2 * torch.tanh(torch.tensor(2.0)).item())
    assert optimizer.alphas() == {"first": 2.0, "second": 6.0}


def test_groups_share_no_vector_with_what_they_were_given() -> None:
    given = torch.tensor([3.0])
    groups: list[dict[str, Any]] = [{"params": [torch.zeros(2)]}, {"params": [torch.zeros(2)]}]
    optimizer = AlphaGrad(groups, alpha=given)
    optimizer.set_alpha(5.0, "0.0")
    assert optimizer.alphas() == {"0.0": 5.0, "1.0": 3.0}
    assert given.tolist() == [3.0]


def test_a_rejected_group_leaves_the_optimizer_as_it_was() -> None:
    optimizer = AlphaGrad([("w", torch.zeros(2))])
    for group in (
        {"params": [("w", torch.zeros(3))]},
        {"params": [("v", torch.zeros(3))], "alpha": [1.0, 2.0]},
        {"params": [("v", torch.zeros(3))], "tau": -1.0},
        {"params": [("v", torch.zeros(3, dtype=torch.int64))]},
    ):
        with pytest.raises((ValueError, TypeError)):
            optimizer.add_param_group(group)
        assert optimizer.layer_names() == ["w"]
        optimizer.step()


def test_a_group_may_be_empty() -> None:
    empty: dict[str, Any] = {"params": []}
    optimizer = AlphaGrad([{"params": [torch.zeros(2)]}, empty], alpha=1.0)
    optimizer.step()
    assert optimizer.alphas() == {"0.0": 1.0}
    assert optimizer.packed()[0].shape == (1,)


def test_a_closure_runs_with_gradients_and_its_loss_is_returned() -> None:
    p = torch.tensor([2.0], requires_grad=True)
    optimizer = AlphaGrad([p], lr=0.5, alpha=1e6)

    def closure() -> float:
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    assert optimizer.step(closure) == 4.0
    assert p.item() == pytest.approx(1.5)


@pytest.mark.parametrize("alpha", [None, 2.0])
def test_vectors_follow_tensors_that_moved(alpha: float | None) -> None:
    # The meta device stands in for an accelerator.
    optimizer = AlphaGrad([torch.zeros(3)], alpha=alpha)
    group = optimizer.param_groups[0]
    group["params"][0] = torch.zeros(3, device="meta")
    group["params"][0].grad = torch.zeros(3, device="meta")
    optimizer.step()
    for key in VECTORS[1:] if alpha else VECTORS:
        assert group[key].device.type == "meta"
    moved = AlphaGrad([torch.zeros(3, device="meta")], alpha=alpha)
    moved.load_state_dict(AlphaGrad([torch.zeros(3)], alpha=alpha).state_dict())
    for key in VECTORS[1:] if alpha else VECTORS:
        assert moved.param_groups[0][key].device.type == "meta"

"""Old states, shared vectors, groups added later, closures, devices: what has no table of cases."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import ExponentialAlpha

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


def test_a_loaded_optimizer_shares_no_vector_with_the_state() -> None:
    optimizer, other = make()[1], make()[1]
    other.load_state_dict(optimizer.state_dict())
    other.set_alpha(5.0, pin=True)
    assert 5.0 not in optimizer.alphas().values()
    assert not any(optimizer.pinned().values())


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


def test_a_pickle_of_an_older_version_gets_defaults_too() -> None:
    model, optimizer = make(momentum=0.9, alpha=12.5)
    train(model, optimizer, range(2))
    state = optimizer.__getstate__()
    state["defaults"] = {key: optimizer.defaults[key] for key in ("lr", "alpha", "momentum")}
    for group in state["param_groups"]:
        for key in ("beta", "mix", "nesterov", "capturable", "transform"):
            del group[key]
    old = AlphaGrad.__new__(AlphaGrad)
    old.__setstate__(state)
    assert set(old.betas().values()) == set(old.mixes().values()) == {1.0}
    assert set(old.alphas().values()) == {12.5}
    train(model, old, range(2, 4))


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


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module."])
def test_layers_keep_their_names_when_a_wrapped_models_state_is_loaded(prefix: str) -> None:
    model, optimizer = make(alpha=8.0)
    names = optimizer.layer_names()
    wrapped = AlphaGrad(((prefix + name, p) for name, p in model.named_parameters()), alpha=8.0)
    wrapped.set_alpha(3.0, "*0.*")
    optimizer.load_state_dict(wrapped.state_dict())
    assert optimizer.layer_names() == names
    assert optimizer.alphas() == dict(zip(names, (3.0, 3.0, 8.0, 8.0), strict=True))


def test_an_optimizer_without_names_takes_the_saved_ones() -> None:
    model, optimizer = make()
    other = AlphaGrad(model.parameters())
    other.load_state_dict(optimizer.state_dict())
    assert other.layer_names() == optimizer.layer_names()


def test_schedulers_move_a_copy_of_a_capturable_optimizer() -> None:
    optimizer = make(capturable=True, alpha=8.0)[1]
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        ExponentialAlpha(other, gamma=0.5).step()  # as beside a compiled step, which notes nothing
        assert set(other.alphas().values()) == {4.0}

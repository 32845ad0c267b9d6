"""AttachedSchedulers: what the callbacks share."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.attached import AttachedSchedulers, as_text, from_text, unwrap
from tests.scheduler.cases import Factory
from tests.scheduler.checks import feedback
from tests.scheduler.test_contract import every_scheduler, make, train


@every_scheduler
def test_made_after_the_optimizers_state_is_loaded_it_goes_on_identically(factory: Factory) -> None:
    optimizer = make()
    attached = AttachedSchedulers({"one": optimizer}, factory)
    train(optimizer, range(4))
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    states = as_text(attached.state_dict())
    alphas, expected = optimizer.alphas(), train(optimizer, range(4, 10))

    resumed = make()
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    again = AttachedSchedulers({"one": resumed}, factory, states=from_text(states))
    assert resumed.alphas() == alphas  # making a scheduler may set α, going on with one may not
    assert train(resumed, range(4, 10)) == expected
    again.detach()
    assert again.schedulers["one"].last_step == 10


def test_the_first_step_after_loading_rounds_like_any_other() -> None:
    def many() -> AlphaGrad:
        return AlphaGrad((f"{n}", torch.zeros(n)) for n in range(1, 900, 2))

    optimizer = many()
    attached = AttachedSchedulers({"one": optimizer}, feedback)
    seen = train(optimizer, range(1))
    state, states = copy.deepcopy(optimizer.state_dict()), attached.state_dict()
    expected = train(optimizer, range(1, 4))
    assert seen[-1] != expected[0]
    resumed = many()
    resumed.load_state_dict(state)
    AttachedSchedulers({"one": resumed}, feedback, states=states)
    assert train(resumed, range(1, 4)) == expected


def test_wrapped_optimizers_are_found_and_others_let_be() -> None:
    optimizer = make()
    wrapped = Accelerator(cpu=True).prepare(optimizer)
    assert wrapped is not optimizer
    assert unwrap(wrapped) is optimizer
    sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    attached = AttachedSchedulers({"a": wrapped, "b": sgd})
    assert list(attached.schedulers) == ["a"]
    with pytest.raises(TypeError, match="must have an AlphaGrad among them, got SGD"):
        AttachedSchedulers({"b": sgd})
    with pytest.raises(TypeError, match="got none"):
        AttachedSchedulers({})


def test_states_of_other_optimizers_are_refused() -> None:
    states = AttachedSchedulers({"a": make()}).state_dict()
    with pytest.raises(ValueError, match=r"Invalid states of \['a'\], must be of \['b'\]"):
        AttachedSchedulers({"b": make()}, states=states)


def test_metrics_have_no_nan_and_names_are_apart() -> None:
    one, other = make(), make()
    attached = AttachedSchedulers({"one": one, "other": other}, feedback)
    train(one, range(1))
    metrics: dict[str, Any] = attached.metrics()
    assert metrics["alpha/one/0.weight"] == one.alphas()["0.weight"]
    assert metrics["saturation/one/0.weight"] == one.saturation()["0.weight"]
    assert "alpha/other/0.weight" in metrics
    assert "saturation/other/0.weight" not in metrics  # took no step, measured nothing
    summary = attached.summary()
    assert summary["alpha_min"] == min(*one.alphas().values(), *other.alphas().values())
    assert summary["saturation_max"] == max(one.saturation().values())

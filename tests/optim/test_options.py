"""What the optimizer refuses, and how it says so."""

import re
from typing import Any

import pytest
import torch

from alphagrad.optim import AlphaGrad


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "Invalid lr: -1.0, must be finite and >= 0"),
        ({"lr": float("nan")}, "Invalid lr: nan"),
        ({"eps": -1e-8}, "Invalid eps: -1e-08"),
        ({"k": 0.0}, "Invalid k: 0.0, must be finite and > 0"),
        ({"tau": float("inf")}, "Invalid tau: inf"),
        ({"momentum": 1.0}, "Invalid momentum: 1.0, must be in [0, 1)"),
        ({"momentum": -0.1}, "Invalid momentum: -0.1"),
        ({"dampening": 1.5}, "Invalid dampening: 1.5, must be in [0, 1]"),
        ({"weight_decay": -1.0}, "Invalid weight_decay: -1.0, must be finite and >= 0"),
        ({"nesterov": True}, "Invalid nesterov: True with momentum=0.0 and dampening=0.0"),
        (
            {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
            "Invalid nesterov: True with momentum=0.9 and dampening=0.1, must have momentum > 0",
        ),
        ({"maximize": 2}, "Invalid maximize: 2, must be True or False"),
        ({"unit_rms": None}, "Invalid unit_rms: None, must be True or False"),
        ({"transform": "cos"}, "Invalid transform: 'cos', must be one of ('tanh', 'sin')"),
        ({"transform": "sin", "fused": True}, "Invalid fused: True with transform='sin'"),
        ({"foreach": True, "fused": True}, "Invalid foreach: True with fused=True"),
        ({"differentiable": True, "fused": True}, "Invalid fused: True with differentiable=True"),
        ({"beta": 0.0}, "Invalid beta: 0.0, must be a number, finite and > 0"),
        ({"mix": 1.5}, "Invalid mix: 1.5, must be a number, in [0, 1]"),
        ({"mix": [0.5]}, "Invalid mix: 1 values, must be one per tensor, here 2"),
        ({"mix": None}, "Invalid mix: None, must be a number, in [0, 1]"),
        ({"norm": "layer"}, "Invalid norm: 'layer', must be one of ('tensor', 'group', 'none')"),
        ({"foreach": "yes"}, "Invalid foreach: 'yes'"),
        ({"alpha": 0.0}, "Invalid alpha: 0.0, must be a number, finite and > 0"),
        ({"alpha": "auto"}, "Invalid alpha: 'auto'"),
        ({"alpha": [1.0]}, "Invalid alpha: 1 values, must be one per tensor, here 2"),
        ({"alpha": torch.tensor([1.0, -2.0])}, "Invalid alpha: -2.0"),
        ({"alpha": [1.0, 2.0], "norm": "group"}, "Invalid alpha: [1.0, 2.0], must be one value"),
    ],
)
def test_bad_options_are_named_with_their_value(options: dict[str, Any], message: str) -> None:
    params = [torch.zeros(2), torch.zeros(3)]
    with pytest.raises(ValueError, match=re.escape(message)):
        AlphaGrad(params, **options)
    group: dict[str, Any] = {"params": params} | options
    with pytest.raises(ValueError, match=re.escape(message)):
        AlphaGrad([group])


@pytest.mark.parametrize(
    "options", [{"lr": "1e-3"}, {"lr": None}, {"eps": "1e-5"}, {"momentum": [0.9]}]
)
def test_what_is_no_number_is_said_to_be_none(options: dict[str, Any]) -> None:
    [(name, value)] = options.items()
    with pytest.raises(TypeError, match=re.escape(f"Invalid {name}: {value!r}, must be a number")):
        AlphaGrad([torch.zeros(2)], **options)


def test_bad_tensors_are_refused() -> None:
    with pytest.raises(TypeError, match="int64, must be a floating point or complex type"):
        AlphaGrad([torch.zeros(2, dtype=torch.int64)])
    with pytest.raises(ValueError, match=r"Invalid devices: cpu, meta.*one group per device"):
        AlphaGrad([torch.zeros(2), torch.zeros(2, device="meta")])
    with pytest.raises(TypeError, match=r"Invalid lr: a tensor of shape \(2,\), must hold 1"):
        AlphaGrad([torch.zeros(2)], lr=torch.tensor([0.1, 0.1]))


def test_duplicate_names_are_refused() -> None:
    with pytest.raises(ValueError, match="Duplicate layer name: 'w'"):
        AlphaGrad([("w", torch.zeros(1)), ("w", torch.zeros(1))])
    groups: list[dict[str, Any]] = [
        {"params": [torch.zeros(1)], "name": "net"},
        {"params": [torch.zeros(1)], "name": "net"},
    ]
    with pytest.raises(ValueError, match="Duplicate layer name: 'net'"):
        AlphaGrad(groups, norm="group")


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("foreach", [False, True])
def test_a_learning_rate_may_be_a_tensor_of_one_element(
    shape: tuple[int, ...], foreach: bool
) -> None:
    params = [torch.zeros((), requires_grad=True), torch.zeros(3, requires_grad=True)]
    optimizer = AlphaGrad(
        params, lr=torch.full(shape, 0.5), alpha=200.0, weight_decay=0.1, foreach=foreach
    )
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert all(p.allclose(torch.full_like(p, -0.5)) for p in params)

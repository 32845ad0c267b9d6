"""group["alpha"], and the methods that read and write it by layer name."""

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from alphagrad.optim import AlphaGrad


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleDict({"actor": nn.Linear(4, 3), "critic": nn.Linear(4, 1)})


def make(**options: Any) -> AlphaGrad:
    return AlphaGrad(make_model().named_parameters(), **options)


NAMES = ["actor.weight", "actor.bias", "critic.weight", "critic.bias"]


def test_named_parameters_keep_their_names_and_others_get_numbers() -> None:
    assert make().layer_names() == NAMES
    groups: list[dict[str, Any]] = [
        {"params": [torch.zeros(1), torch.zeros(1)]},
        {"params": [torch.zeros(1)]},
    ]
    assert AlphaGrad(groups).layer_names() == ["0.0", "0.1", "1.0"]


def test_layers_of_groups_with_one_norm_are_called_by_the_group() -> None:
    groups: list[dict[str, Any]] = [
        {"params": [torch.zeros(1), torch.zeros(2)], "name": "actor"},
        {"params": [torch.zeros(1)]},
        {"params": [torch.zeros(1), torch.zeros(1)], "norm": "tensor"},
    ]
    optimizer = AlphaGrad(groups, norm="group", alpha=4.0)
    assert optimizer.layer_names() == ["actor", "group1", "2.0", "2.1"]
    assert optimizer.set_alpha(9.0, "actor") == ["actor"]
    assert optimizer.set_alpha(8.0, "2.1") == ["2.1"]
    assert optimizer.alphas() == {"actor": 9.0, "group1": 4.0, "2.0": 4.0, "2.1": 8.0}
    assert optimizer.packed()[0].tolist() == [9.0, 4.0, 4.0, 8.0]


def test_none_means_k_times_root_d() -> None:
    assert make(k=2.0).alphas() == pytest.approx(
        dict(zip(NAMES, [2 * math.sqrt(d) for d in (12, 3, 4, 1)], strict=True))
    )
    assert make(k=2.0, norm="group").alphas() == pytest.approx({"group0": 2 * math.sqrt(20)})
    assert make().param_groups[0]["alpha"].dtype == torch.float32


def test_a_float_stays_a_float_until_one_layer_is_written() -> None:
    optimizer = make(alpha=10.0)
    group = optimizer.param_groups[0]
    assert group["alpha"] == 10.0
    assert optimizer.set_alpha(20) == NAMES
    assert repr(group["alpha"]) == "20.0"
    assert optimizer.set_alpha(50.0, "actor.*") == NAMES[:2]
    vector: torch.Tensor = group["alpha"]
    assert vector.tolist() == [50.0, 50.0, 20.0, 20.0]
    optimizer.set_alpha({"critic.bias": 3.0, "actor.bias": 4.0})
    assert group["alpha"] is vector  # written in place
    assert optimizer.alphas() == dict(zip(NAMES, [50.0, 4.0, 20.0, 3.0], strict=True))


def test_beta_and_mix_are_knobs_too() -> None:
    optimizer = make(alpha=10.0, mix=0.25)
    assert optimizer.set_beta(2.0) == NAMES
    assert optimizer.param_groups[0]["beta"] == 2.0
    optimizer.set_beta(3.0, "*.bias")
    optimizer.set_mix({"actor.bias": 0.0}, pin=True)
    assert list(optimizer.betas().values()) == [2.0, 3.0, 2.0, 3.0]
    assert list(optimizer.mixes().values()) == [0.25, 0.0, 0.25, 0.25]
    assert optimizer.pinned()["actor.bias"]
    assert set(optimizer.alphas().values()) == {10.0}
    with pytest.raises(ValueError, match=r"mix for 'actor.bias': 1.5, must be a number, in \[0, 1"):
        optimizer.set_mix({"actor.bias": 1.5})
    with pytest.raises(ValueError, match="Invalid beta: -1, must be a number, finite and > 0"):
        optimizer.set_beta(-1)


def test_capturable_knobs_are_vectors_that_are_written_in_place() -> None:
    optimizer = make(alpha=10.0, capturable=True)
    group = optimizer.param_groups[0]
    vectors = {key: group[key] for key in ("alpha", "beta", "mix")}
    optimizer.set_alpha(20.0)
    optimizer.set_beta(2.0)
    optimizer.set_mix(0.5)
    for key, value in {"alpha": 20.0, "beta": 2.0, "mix": 0.5}.items():
        assert group[key] is vectors[key]
        assert group[key].tolist() == [value] * 4
    group["alpha"] = 7.0
    optimizer.step()
    assert group["alpha"].tolist() == [7.0] * 4


def test_a_mapping_is_limited_by_the_glob() -> None:
    optimizer = make(alpha=10.0)
    assert optimizer.set_alpha({"actor.bias": 2.0}, "actor.*") == ["actor.bias"]
    with pytest.raises(ValueError, match=r"critic.bias.*known layers: actor.weight, actor.bias$"):
        optimizer.set_alpha({"actor.bias": 5.0, "critic.bias": 2.0}, "actor.*")
    assert optimizer.alphas()["actor.bias"] == 2.0


def test_globs_distinguish_case_and_take_brackets_literally_too() -> None:
    params = [("Block[0].w", torch.zeros(1)), ("block.w", torch.zeros(1))]
    optimizer = AlphaGrad(params, alpha=1.0)
    assert optimizer.set_alpha(2.0, "B*") == ["Block[0].w"]
    assert optimizer.set_alpha(3.0, "Block[0].w") == ["Block[0].w"]
    assert optimizer.set_alpha(4.0, "*.[vw]") == ["Block[0].w", "block.w"]


def test_pins_are_set_kept_and_released() -> None:
    optimizer = make(alpha=10.0)
    optimizer.set_alpha(5.0, "actor.*", pin=True)
    optimizer.set_alpha(6.0, "actor.weight")
    assert [name for name, pinned in optimizer.pinned().items() if pinned] == NAMES[:2]
    optimizer.set_alpha(6.0, "actor.weight", pin=False)
    assert [name for name, pinned in optimizer.pinned().items() if pinned] == ["actor.bias"]
    assert optimizer.pin("critic.*") == NAMES[2:]
    assert optimizer.release("*.bias") == ["actor.bias", "critic.bias"]
    assert [name for name, pinned in optimizer.pinned().items() if pinned] == ["critic.weight"]
    assert optimizer.release() == NAMES
    assert not any(optimizer.pinned().values())


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, 1e39, 1e-46, "3", True, None])
def test_bad_values_are_named_and_nothing_changes(value: Any) -> None:
    optimizer = make(alpha=10.0)
    with pytest.raises(ValueError, match=re.escape(f"Invalid alpha: {value!r}, must be")):
        optimizer.set_alpha(value, "actor.*", pin=True)
    with pytest.raises(ValueError, match=r"alpha for 'actor.bias'.*must be a number"):
        optimizer.set_alpha({"actor.weight": 2.0, "actor.bias": value})
    assert set(optimizer.alphas().values()) == {10.0}
    assert not any(optimizer.pinned().values())


@pytest.mark.parametrize("method", ["set_alpha", "pin", "release"])
def test_a_glob_without_a_match_lists_the_known_layers(method: str) -> None:
    optimizer = make()
    arguments = (5.0, "encoder.*") if method == "set_alpha" else ("encoder.*",)
    with pytest.raises(ValueError, match=r"'encoder\.\*', known layers: actor.weight, actor.bias"):
        getattr(optimizer, method)(*arguments)


def test_the_step_reads_alpha_each_time(path: dict[str, Any]) -> None:
    a = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = AlphaGrad([a, b], lr=1.0, alpha=0.5, eps=0.0, **path)
    a.grad, b.grad = torch.ones_like(a), torch.ones_like(b)

    def moves() -> list[float]:
        before = [a.item(), b.item()]
        optimizer.step()
        return [before[0] - a.item(), before[1] - b.item()]

    assert moves() == pytest.approx([math.tanh(0.5), math.tanh(0.5)])
    optimizer.param_groups[0]["alpha"] = 0.25
    assert moves() == pytest.approx([math.tanh(0.25), math.tanh(0.25)])
    optimizer.set_alpha(1.0, "0.1")
    assert moves() == pytest.approx([math.tanh(0.25), math.tanh(1.0)])
    optimizer.param_groups[0]["alpha"][0] = 2.0
    assert moves() == pytest.approx([math.tanh(2.0), math.tanh(1.0)])
    optimizer.param_groups[0]["alpha"].mul_(0.5)
    assert moves() == pytest.approx([math.tanh(1.0), math.tanh(0.5)])


@pytest.mark.parametrize(
    "written",
    [
        3,
        np.float64(3.0),
        np.float32(3.0),
        torch.tensor(3.0),
        [3.0],
        torch.tensor([3.0]),
        torch.tensor([3.0], dtype=torch.float64),
        torch.tensor([3]),
    ],
)
def test_whatever_number_is_written_to_the_group_works(written: Any) -> None:
    p = torch.zeros(1, requires_grad=True)
    p.grad = torch.ones(1)
    optimizer = AlphaGrad([p], lr=1.0, alpha=1.0)
    optimizer.param_groups[0]["alpha"] = written
    optimizer.step()
    assert p.item() == pytest.approx(-math.tanh(3.0))
    kept = optimizer.param_groups[0]["alpha"]
    assert type(kept) is float or kept.dtype == torch.float32
    assert optimizer.alphas() == {"0.0": 3.0}
    assert optimizer.packed()[0].tolist() == [3.0]


@pytest.mark.parametrize("path", [{}, {"fused": False, "foreach": False}, {"foreach": True}])
def test_a_tensor_of_one_number_is_for_all_layers_and_a_short_vector_is_refused(
    path: dict[str, Any],
) -> None:
    params = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    optimizer = AlphaGrad(params, lr=1.0, **path)
    for p in params:
        p.grad = torch.ones(1)
    optimizer.param_groups[0]["alpha"] = torch.tensor(3.0)
    optimizer.step()
    assert [p.item() for p in params] == pytest.approx([-math.tanh(3.0)] * 2)
    optimizer.param_groups[0]["alpha"] = torch.tensor([3.0])
    with pytest.raises(ValueError, match="Invalid alpha: 1 values, must be one per tensor, here 2"):
        optimizer.step()


def test_packed_is_a_copy_in_the_order_of_the_layers() -> None:
    optimizer = AlphaGrad([{"params": [torch.zeros(4)]}, {"params": [torch.zeros(9)]}], k=1.0)
    optimizer.param_groups[1]["alpha"] = 7.0
    alpha, saturation = optimizer.packed()
    assert alpha.tolist() == [2.0, 7.0]
    assert saturation.isnan().all()
    alpha.fill_(99.0)
    saturation.fill_(99.0)
    assert list(optimizer.alphas().values()) == [2.0, 7.0]
    assert all(math.isnan(s) for s in optimizer.saturation().values())

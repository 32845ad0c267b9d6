"""The native rule moves α as the rule in torch's operations does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from alphagrad.optim import AlphaGrad, native
from alphagrad.scheduler import Band, BandSchedule, SaturationScheduler


def make(**options: Any) -> tuple[AlphaGrad, SaturationScheduler]:
    shapes = [(40, 30), (300,), (8,), (1,), (0,)]
    groups: list[dict[str, Any]] = [
        {"params": [torch.zeros(shape) for shape in shapes]},
        {"params": [torch.zeros(700), torch.zeros(5)]},
    ]
    optimizer = AlphaGrad(groups)
    optimizer.set_alpha(7.0, "0.1", pin=True)
    optimizer.step()
    return optimizer, SaturationScheduler(optimizer, start="keep", **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_numel": 1, "gain": 5.0, "max_log_step": 0.2},
        {"layers": "0.*", "k_min": 1.0, "k_max": 2.0},
        {"band": BandSchedule(Band(0.01, 0.05), Band(0.2, 0.4), total_steps=50)},
    ],
)
def test_both_ways_agree(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, kernel: None
) -> None:
    taken: list[bool] = []
    hold = native.hold_band

    def counted(*arguments: Any) -> bool:
        taken.append(hold(*arguments))
        return taken[-1]

    monkeypatch.setattr(native, "hold_band", counted)
    pairs = [make(**options), make(**options)]
    torch.manual_seed(0)
    for step in range(120):
        if step == 60:  # what was a float becomes a vector, and a group is added
            for optimizer, _ in pairs:
                optimizer.param_groups[0]["alpha"] = 30.0
                optimizer.add_param_group({"params": [torch.zeros(600)]})
        measured = [torch.rand(len(g["params"])) ** 2 for g in pairs[0][0].param_groups]
        measured[0][step % 5] = torch.nan
        for i, (optimizer, scheduler) in enumerate(pairs):
            for group, saturation in zip(optimizer.param_groups, measured, strict=True):
                group["saturation"].copy_(saturation)
            with monkeypatch.context() as patch:
                if i:
                    patch.setattr(native, "hold_band", lambda *_: False)
                scheduler.step()
        ours, theirs = (list(optimizer.alphas().values()) for optimizer, _ in pairs)
        assert ours == pytest.approx(theirs, rel=1e-5)
        states = [scheduler.state_dict()["_active"] for _, scheduler in pairs]
        assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    # All steps but those that had to pack or to take up the new group.
    assert taken.count(True) >= 118
    assert len(set(ours)) > 3

"""torch.distributed.checkpoint on FSDP2: it takes a step of its own to create state."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    get_state_dict,
    set_optimizer_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler
from tests.optim.ranks.fully_sharded import shard
from tests.optim.ranks.runs import (
    Checks,
    assert_same,
    assert_same_on_ranks,
    make_model,
    snapshot,
    train,
)

OPTIONS: dict[str, dict[str, Any]] = {
    "no state": {"weight_decay": 0.1},
    "momentum": {"momentum": 0.9, "weight_decay": 0.1},
}
HALF, END = range(6), range(6, 12)


class Run:
    """A model in training, whose every random part depends on the number of the step."""

    def __init__(self, **options: Any) -> None:
        model = make_model()
        for p in model.parameters():
            nn.init.ones_(p)
        self.model = shard(model)
        self.optimizer = AlphaGrad(self.model.named_parameters(), lr=0.05, k=3.0, **options)
        self.scheduler = SaturationScheduler(self.optimizer, start="keep").attach()

    def train(self, steps: range) -> None:
        """Take steps, and leave no gradient: torch takes its own step only then."""
        train(self.model, self.optimizer, steps, rank=dist.get_rank(), world=2)
        self.optimizer.zero_grad()

    def first_half(self) -> dict[str, torch.Tensor]:
        """Train, turn the knob, and give what there is to save."""
        self.train(HALF)
        self.optimizer.set_alpha(7.5, "2.bias", pin=True)
        return snapshot(self.optimizer)


def _through_files(options: dict[str, Any], flatten: bool, folder: Path) -> None:
    settings = StateDictOptions(flatten_optimizer_state_dict=flatten)
    first = Run(**options)
    before = first.first_half()
    model, optimizer = get_state_dict(first.model, first.optimizer, options=settings)
    assert_same(snapshot(first.optimizer), before)
    parts: dict[str, Any] = {
        "model": model,
        "optimizer": optimizer,
        "scheduler": first.scheduler.state_dict(),
    }
    save(parts, checkpoint_id=folder / "checkpoint")
    first.train(END)

    second = Run(**options)
    model, optimizer = get_state_dict(second.model, second.optimizer, options=settings)
    parts = {"model": model, "optimizer": optimizer, "scheduler": second.scheduler.state_dict()}
    load(parts, checkpoint_id=folder / "checkpoint")
    set_state_dict(
        second.model,
        second.optimizer,
        model_state_dict=parts["model"],
        optim_state_dict=parts["optimizer"],
        options=settings,
    )
    second.scheduler.load_state_dict(parts["scheduler"])
    assert_same(snapshot(second.optimizer), before)
    second.train(END)
    assert_same(snapshot(second.optimizer), snapshot(first.optimizer))
    assert_same_on_ranks(second.optimizer)
    assert second.optimizer.pinned()["2.bias"]
    assert second.optimizer.alphas()["2.bias"] == 7.5


def _whole(options: dict[str, Any], folder: Path) -> None:
    """A whole state of rank 0, as one process would save it."""
    first = Run(**options)
    before = first.first_half()
    saved = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_optimizer_state_dict(first.model, first.optimizer, options=saved)
    assert bool(state) == (dist.get_rank() == 0)
    second = Run(**options)
    loaded = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_optimizer_state_dict(second.model, second.optimizer, state, options=loaded)
    with torch.no_grad():
        for p, q in zip(second.model.parameters(), first.model.parameters(), strict=True):
            p.copy_(q)
    second.scheduler.load_state_dict(first.scheduler.state_dict())
    assert_same(snapshot(second.optimizer), before)
    for run in (first, second):
        run.train(END)
    assert_same(snapshot(second.optimizer), snapshot(first.optimizer))


CHECKS: Checks = {
    f"FSDP2 checkpoint, {name}{', flat' if flatten else ''}": partial(
        _through_files, options, flatten
    )
    for name, options in OPTIONS.items()
    for flatten in (False, True)
} | {
    f"FSDP2 checkpoint, {name}, whole": partial(_whole, options)
    for name, options in OPTIONS.items()
}

"""Sharding that flattens layers into one another, which AlphaGrad refuses."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.distributed.fsdp import FullyShardedDataParallel

from alphagrad.optim import AlphaGrad
from tests.optim.ranks.runs import Checks, make_model


def _fsdp1(use_orig_params: bool, folder: Path) -> None:
    model = FullyShardedDataParallel(
        make_model(), use_orig_params=use_orig_params, device_id=torch.device("cpu")
    )
    for params in (model.parameters(), model.named_parameters()):
        with pytest.raises(ValueError, match="a flat shard of FSDP1"):
            AlphaGrad(params)
    optimizer = AlphaGrad([torch.zeros(2)])
    with pytest.raises(ValueError, match="fully_shard"):
        optimizer.add_param_group({"params": list(model.parameters())})
    assert optimizer.layer_names() == ["0.0"]


CHECKS: Checks = {
    f"FSDP1, use_orig_params={value}": partial(_fsdp1, value) for value in (False, True)
}

"""All checks that two ranks run, by name. Each is called with an empty folder, on both ranks."""

from __future__ import annotations

from tests.optim.ranks import (
    checkpoints,
    data_parallel,
    dtensors,
    flat,
    fully_sharded,
    in_backward,
)
from tests.optim.ranks.runs import Checks

CHECKS: Checks = {
    **data_parallel.CHECKS,
    **fully_sharded.CHECKS,
    **dtensors.CHECKS,
    **flat.CHECKS,
    **checkpoints.CHECKS,
    **in_backward.CHECKS,
}

"""One rank: ``python -m tests.optim.ranks.worker RANK FOLDER CHECK…`` runs checks in their order.

Each check has a process group of its own, so that one that fails on one rank takes nothing with it:
its group is destroyed, the other rank's wait ends with an error, and both meet at the next check.
What each check raised, or None, goes to ``FOLDER/RANK.json``.
"""

from __future__ import annotations

import json
import sys
import traceback
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from tests.optim.ranks.table import CHECKS

WORLD = 2


def run(rank: int, folder: Path, names: list[str]) -> None:
    """Run checks, and write what became of each as soon as it is known."""
    torch.set_num_threads(1)
    outcomes: dict[str, str | None] = {}
    for number, name in enumerate(names):
        place = folder / f"check{number}"
        place.mkdir(exist_ok=True)
        dist.init_process_group(
            "gloo",
            init_method=f"file://{place / 'store'}",
            rank=rank,
            world_size=WORLD,
            timeout=timedelta(seconds=60),
        )
        try:
            CHECKS[name](place)
            outcomes[name] = None
        except Exception:  # noqa: BLE001 - the test shows it
            outcomes[name] = traceback.format_exc()
        finally:
            dist.destroy_process_group()
        (place / str(rank)).write_text(json.dumps(outcomes))
        (place / str(rank)).replace(folder / f"{rank}.json")


if __name__ == "__main__":
    run(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

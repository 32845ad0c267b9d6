"""What the tests of all callbacks check."""

import csv
import math
from pathlib import Path

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler


def feedback(optimizer: AlphaGrad) -> SaturationScheduler:
    """A scheduler that starts from k·√d, below its band, and moves every α for several steps."""
    return SaturationScheduler(optimizer, (0.85, 0.95), start="keep")


def assert_moved_within_bounds(optimizer: AlphaGrad, *, k: float = 1.5) -> None:
    """α has left k·√d in every layer, and is in [k_min, k_max]·√d of SaturationScheduler."""
    names = iter(optimizer.alphas().items())
    for group in optimizer.param_groups:
        for p in group["params"]:
            name, alpha = next(names)
            root = math.sqrt(p.numel())
            assert 0.01 * root <= alpha <= 100.0 * root, name
            assert alpha != k * root, name


def read_trace(path: Path) -> dict[str, dict[int, tuple[float, float]]]:
    """α and saturation by layer and step; a row that is there twice is an error."""
    found: dict[str, dict[int, tuple[float, float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            steps = found.setdefault(row["layer"], {})
            assert int(row["step"]) not in steps
            steps[int(row["step"])] = float(row["alpha"]), float(row["saturation"])
    return found


def assert_complete(
    path: Path, optimizer: AlphaGrad, *, steps: int, prefix: str = "", still: str = ""
) -> None:
    """The trace has every step of every layer, and α moved, but where a name ends in ``still``."""
    trace = read_trace(path)
    for name in optimizer.layer_names():
        rows = trace[prefix + name]
        assert list(rows) == list(range(1, steps + 1))
        assert len({alpha for alpha, _ in rows.values()}) > 1 or (still and name.endswith(still))
        for alpha, saturation in rows.values():
            assert alpha > 0
            assert math.isnan(saturation) or 0 <= saturation <= 1

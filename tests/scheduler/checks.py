"""What the tests of all callbacks check."""

import csv
import math
from pathlib import Path

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler


def feedback(optimizer: AlphaGrad) -> SaturationScheduler:
    """A scheduler that starts from k·√d, below its band, and moves every α for several steps."""
    return SaturationScheduler(optimizer, (0.85, 0.95), start="keep")


def assert_moved_within_bounds(
    optimizer: AlphaGrad, *, k: float = 1.5, still: tuple[str, ...] = ()
) -> None:
    """α is in [k_min, k_max]·√d of SaturationScheduler, and has left k·√d in every layer.

    It has not where the layer's name ends in one of ``still``.
    """
    names = iter(optimizer.alphas().items())
    for group in optimizer.param_groups:
        for p in group["params"]:
            name, alpha = next(names)
            root = math.sqrt(p.numel())
            assert 0.01 * root <= alpha <= 100.0 * root, name
            # α is float32: it never equals a k·√d that is not.
            moved = not math.isclose(alpha, k * root, rel_tol=1e-6)
            assert moved != name.endswith(still), name


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
    path: Path, optimizer: AlphaGrad, *, steps: int, prefix: str = "", still: tuple[str, ...] = ()
) -> None:
    """The trace has every step of every layer, and α moved but where a name ends in ``still``."""
    trace = read_trace(path)
    for name in optimizer.layer_names():
        rows = trace[prefix + name]
        assert list(rows) == list(range(1, steps + 1))
        assert (len({alpha for alpha, _ in rows.values()}) > 1) != name.endswith(still)
        for alpha, saturation in rows.values():
            assert alpha > 0
            assert math.isnan(saturation) or 0 <= saturation <= 1

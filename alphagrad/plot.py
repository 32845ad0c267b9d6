"""α and saturation per layer over time, as heat maps: what `alphagrad plot` draws."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLUMNS = ("step", "layer", "alpha", "saturation")
# A screen has no more columns to show; steps in between are left out, evenly.
MOST_STEPS = 2000

Grid = list[list[float]]


def read_trace(path: Path) -> tuple[list[int], list[str], Grid, Grid]:
    """Read what :class:`alphagrad.scheduler.trace_writer.AlphaTraceWriter` wrote to a CSV file.

    Args:
        path: the file, with the columns step, layer, alpha and saturation.

    Returns:
        The steps, rising; the layers in their order; α and saturation as one row per layer and one
        column per step, NaN where nothing was measured.

    Raises:
        ValueError: the columns are others, a line holds no numbers, or there are no lines.
    """
    cells: dict[tuple[int, str], tuple[float, float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise ValueError(
                f"Invalid trace {path}: columns {reader.fieldnames}, must have {list(COLUMNS)}"
            )
        for number, row in enumerate(reader, start=2):
            try:
                values = float(row["alpha"]), float(row["saturation"] or "nan")
                cells[int(row["step"]), row["layer"]] = values
            except (TypeError, ValueError) as error:
                raise ValueError(f"Invalid trace {path}, line {number}: {error}") from error
    if not cells:
        raise ValueError(f"Invalid trace {path}: no lines, must have at least one")
    steps = sorted({step for step, _ in cells})
    steps = steps[:: math.ceil(len(steps) / MOST_STEPS)]
    layers = list(dict.fromkeys(layer for _, layer in cells))
    nothing = (math.nan, math.nan)
    grid = [[cells.get((step, layer), nothing) for step in steps] for layer in layers]
    alphas = [[cell[0] for cell in row] for row in grid]
    return steps, layers, alphas, [[cell[1] for cell in row] for row in grid]


def draw(path: Path) -> Figure:
    """Draw a trace.

    Args:
        path: as for :func:`read_trace`.

    Returns:
        Two heat maps over the steps, one row per layer: α by its logarithm, and saturation.

    Raises:
        ValueError: as for :func:`read_trace`.
    """
    return _draw(*read_trace(path), title=path.name)


def draw_columns(columns: Mapping[str, list[Any]], *, title: str) -> Figure:
    """Draw what ``Trial.alpha(wide=True)`` gave; as :func:`draw`.

    Args:
        columns: ``step``, and ``alpha/NAME`` and ``saturation/NAME`` for each layer.
        title: what the picture is of.
    """
    layers = [name.removeprefix("alpha/") for name in columns if name.startswith("alpha/")]
    alphas, saturations = (
        [[math.nan if v is None else v for v in columns[f"{kind}/{layer}"]] for layer in layers]
        for kind in ("alpha", "saturation")
    )
    return _draw(columns["step"], layers, alphas, saturations, title=title)


def _draw(
    steps: list[int], layers: list[str], alphas: Grid, saturations: Grid, *, title: str
) -> Figure:
    from plotly.graph_objects import Heatmap
    from plotly.subplots import make_subplots

    logs = [[math.log10(alpha) if alpha > 0 else math.nan for alpha in row] for row in alphas]
    known = [value for row in logs for value in row if not math.isnan(value)]
    ticks = _ticks(min(known), max(known)) if known else []  # a remote trial may leave α out
    figure: Figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1, subplot_titles=("α", "saturation")
    )
    half = 0.44
    figure.add_trace(
        Heatmap(
            x=steps,
            y=layers,
            z=logs,
            customdata=alphas,
            hovertemplate="step %{x}<br>%{y}<br>α = %{customdata:.4g}<extra></extra>",
            colorscale="Viridis",
            colorbar={
                "len": half,
                "y": 1 - half / 2,
                "tickvals": [math.log10(tick) for tick in ticks],
                "ticktext": [f"{tick:g}" for tick in ticks],
            },
        ),
        row=1,
        col=1,
    )
    figure.add_trace(
        Heatmap(
            x=steps,
            y=layers,
            z=saturations,
            hovertemplate="step %{x}<br>%{y}<br>S = %{z:.3f}<extra></extra>",
            colorscale="Magma",
            zmin=0,
            zmax=max([0.3, *(s for row in saturations for s in row if not math.isnan(s))]),
            colorbar={"len": half, "y": half / 2},
        ),
        row=2,
        col=1,
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title_text="optimizer step", row=2, col=1)
    figure.update_layout(
        title=f"α and saturation per layer, {title}",
        template="plotly_white",
        font={"size": 14},
        width=1100,
        height=280 + 2 * max(26 * len(layers), 110),
    )
    return figure


def _ticks(low: float, high: float) -> list[float]:
    """Give round numbers between two powers of ten, the ends' own where there are few."""
    found = [
        digit * 10.0**power
        for power in range(math.floor(low), math.ceil(high) + 1)
        for digit in ((1, 2, 5) if high - low < 2 else (1,))
        if low <= math.log10(digit) + power <= high
    ]
    if len(found) >= 2:
        return found
    return sorted({float(f"{10**low:.3g}"), float(f"{10**high:.3g}")})

"""The tables of rl.py."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rl_tasks import LIMIT, VARIANTS

STACK_TARGET = 0.65  # of the time of separate trainings
START_TARGET = 0.3  # seconds


def speeds(rows: list[dict[str, Any]]) -> Table:
    """The rows of one task."""
    title = f"{rows[0]['task']} on {rows[0]['env_id']}, one thread, medians of the rounds"
    made = Table("", title=title, box=SIMPLE_HEAD, padding=0, title_justify="left")
    for column in ("steps/CPU s", "steps/s", "× SB3", "range"):
        made.add_column(column, justify="right", min_width=10)
    for row in rows:
        ratio = row["ratio_to_sb3"]
        made.add_row(
            row["runner"],
            f"{row['steps_per_cpu_second']['median']:,.0f}",
            f"{row['steps_per_second']['median']:,.0f}",
            f"{ratio['median']:.2f}",
            f"{ratio['low']:.2f}–{ratio['high']:.2f}",
            style="bold" if row["runner"] in VARIANTS else "dim" if row["runner"] == LIMIT else "",
        )
    return made


def others(result: dict[str, Any]) -> Table:
    """All that is no speed of a task."""
    made = Table(
        "",
        title="Beside these; 2 / 1: two processes against one",
        box=SIMPLE_HEAD,
        padding=0,
        title_justify="left",
    )
    for column in ("median", "range", "target"):
        made.add_column(column, justify="right", min_width=10)

    def add(name: str, found: dict[str, float], target: float | None = None) -> None:
        met = "" if target is None else "met" if found["median"] <= target else "missed"
        made.add_row(
            name,
            f"{found['median']:,.2f}",
            f"{found['low']:,.2f}–{found['high']:,.2f}",
            f"≤ {target} {met}" if target else "",
        )

    if stack := result.get("stacked"):
        name = f"ppo, {stack['agents']} agents at once / in turn"
        add(f"{name}, CPU time", stack["cpu"], STACK_TARGET)
        add(f"{name}, wall time", stack["wall"], STACK_TARGET)
    for row in result["processes"]:
        name = f"{row['task']}, 2 / 1, threads: {row['threads']}"
        add(f"{name}, throughput", row["throughput"])
        add(f"{name}, CPU time", row["cpu"])
    for row in result["starts"]:
        add(f"{row['task']}, fork to first step (s)", row["seconds"], START_TARGET)
    if kernels := result.get("haswell"):
        chosen = "/".join(kernels["kernels"]["default"])
        add(f"td3, kernels Haswell / {chosen} (default), CPU time", kernels["ratio"])
    return made

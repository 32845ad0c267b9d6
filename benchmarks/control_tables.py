"""The tables that benchmarks/saturation_control.py prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from control_experiments import Row, find
from control_rules import HELD, POOLING, RULES
from gradients import GRADIENTS
from rich.box import SIMPLE_HEAD
from rich.table import Table

TITLES = {name: rule.title for name, rule in (RULES | POOLING | {"held": HELD}).items()}


def number(figure: dict[str, Any], form: str = ".3f") -> str:
    """A median, and the worst in brackets."""
    median, worst = (
        "never" if value is None else format(value, form)
        for value in (figure["median"], figure["worst"])
    )
    return f"{median} ({worst})"


def table(title: str, *columns: str) -> Table:
    """An empty table."""
    made = Table(title=title, box=SIMPLE_HEAD, padding=0, title_justify="left")
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i < 2 else "right", no_wrap=True)
    return made


def claimed(rows: Sequence[Row]) -> Table:
    """What the scheduler promises; ``rows`` are claims."""
    title = "SaturationScheduler's promises, by the worst seed"
    made = table(title, "", "gradient", "measured", "kept", "settled")
    for row in rows:
        measured = "never" if row["measured"] is None else f"{row['measured']:.4g}"
        name, kept = GRADIENTS[row["gradient"]].title, "yes" if row["holds"] else "NO"
        settled = number(row["settling"], "g")
        style = "" if row["holds"] else "bold red"
        made.add_row(row["claim"], name, measured, kept, settled, style=style)
    return made


def comparison(title: str, rows: Sequence[Row], key: str) -> Table:
    """The rules side by side: settling from a wrong α, then the run from the rule's own start.

    Args:
        title: what it is about.
        rows: of one gradient or of one size.
        key: which of the two varies.
    """
    columns = ("30× too high", "30× too low", "share in band", "jitter")
    made = table(title, key, "rule", *columns)
    for value in dict.fromkeys(row[key] for row in rows):
        label = GRADIENTS[value].title if key == "gradient" else f"{value:,}"
        for rule in TITLES:
            mine = {row["start"]: row for row in find(rows, rule=rule, **{key: value})}
            long = mine.get("own") or mine.get("match")
            if long is None:
                continue
            ways = (mine.get("high"), mine.get("low"))
            steps = [number(row["settling"], "g") if row else "" for row in ways]
            figures = number(long["share"]), number(long["jitter"])
            style = "bold" if rule == "ours" else "dim" if rule == "held" else ""
            made.add_row(label, TITLES[rule], *steps, *figures, style=style)
            label = ""
        made.add_section()
    return made


def listing(title: str, rows: Sequence[Row], *keys: str) -> Table:
    """Any rows, told apart by some of their entries."""
    columns = ("settling", "share in band", "after settling", "jitter", "k at end")
    made = table(title, *keys, *columns)
    for row in rows:
        named = [TITLES[row[key]] if key == "rule" else f"{row[key]}" for key in keys]
        settling = number(row["settling"], "g")
        rest = [number(row[key]) for key in ("share", "share_after_settling", "jitter")]
        style = "bold" if row["rule"] == "ours" else ""
        made.add_row(*named, settling, *rest, f"{row['k_at_end']:.3g}", style=style)
    return made


def swept(rows: Sequence[Row]) -> Table:
    """The sensitivity sweep; ``rows`` are those of ``sensitivity``."""
    columns = ("max_log_step", "30× high", "30× low", "share", "jitter", "t(1.5): share", "jitter")
    title = "Sweep, d = 1024: the worst of four gradients, then t(1.5)"
    made = table(title, "inner width", "gain", *columns)
    for row in rows:
        steps = [row[f"settling_{start}"] for start in ("high", "low")]
        heavy = row["heavy"]
        made.add_row(
            f"{row['width']:g}",
            f"{row['gain']:g}",
            f"{row['max_log_step']:g}",
            *("never" if value is None else f"{value:g}" for value in steps),
            f"{row['share_after_settling']:.3f}",
            f"{row['jitter']:.3f}",
            f"{heavy['share_after_settling']:.3f}",
            f"{heavy['jitter']:.3f}",
        )
    return made

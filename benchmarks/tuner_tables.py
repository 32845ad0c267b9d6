"""The numbers of tuner.py: medians over the rounds, ratios, and the tables that show them."""

from __future__ import annotations

import statistics
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
TARGETS = {"overhead": 0.060, "report": 0.001, "busy": 0.95, "page": 0.100, "rss_mb": 300}


def spread(values: list[float]) -> dict[str, float]:
    """The least, the median and the greatest of a few measurements."""
    return {"low": min(values), "median": statistics.median(values), "high": max(values)}


def summary(rounds: list[dict[str, Any]], databases: list[str]) -> dict[str, Any]:
    """One row per runner and database: each measurement's spread over the rounds.

    Args:
        rounds: what each round found, by database and runner.
        databases: the kinds measured.
    """
    rows = []
    for kind in databases:
        ours = [_overhead(one[kind]["ours"]) for one in rounds]
        plain = [_overhead(one[kind]["plain"]) for one in rounds]
        commits = spread([one[kind]["commits"]["commit"] for one in rounds])
        rows.append(
            {
                "runner": "alphagrad",
                "database": kind,
                "overhead": spread(ours),
                "ratio_to_optuna": spread([a / b for a, b in zip(ours, plain, strict=True)]),
                "report": spread([one[kind]["ours"]["report"] for one in rounds]),
                "report_median_pruner": spread([one[kind]["ours"]["judged"] for one in rounds]),
                "busy": spread([one[kind]["ours"]["busy"] for one in rounds]),
                "commit": commits,
            }
        )
        if "ray" in rounds[0]:
            ray = [_overhead(one["ray"]) for one in rounds]
            rows[-1]["ratio_to_ray"] = spread([a / b for a, b in zip(ours, ray, strict=True)])
        rows.append(
            {
                "runner": "optuna",
                "database": kind,
                "overhead": spread(plain),
                "report": spread([one[kind]["plain"]["report"] for one in rounds]),
                "commit": commits,
            }
        )
    if "ray" in rounds[0]:
        overhead = spread([_overhead(one["ray"]) for one in rounds])
        rows.append({"runner": "ray", "database": None, "overhead": overhead})
    return {"rounds": len(rounds), "runners": rows}


def _overhead(found: dict[str, Any]) -> float:
    return statistics.median(found["between"])


def tables(result: dict[str, Any]) -> list[Table]:
    """What is printed: the runners, then the lists."""
    trials = Table(
        "runner", "database", "a trial", "÷ Optuna", "÷ Ray", "a report", "median pruner",
        "commit", "2 slots busy",
        box=SIMPLE_HEAD,
        title=f"medians over {result['rounds']} rounds, ms (least–most)",
    )  # fmt: skip
    for row in result["runners"]:
        busy = row.get("busy")
        trials.add_row(
            row["runner"],
            TITLES.get(row["database"], "none"),
            _range(row["overhead"], 1e3, 1),
            _range(row.get("ratio_to_optuna"), 1, 2),
            _range(row.get("ratio_to_ray"), 1, 2),
            _range(row.get("report"), 1e3, 2),
            _range(row.get("report_median_pruner"), 1e3, 2),
            _range(row.get("commit"), 1e3, 2),
            "" if busy is None else f"{busy['median']:.1%}",
        )
    lists = Table(
        "database", "request", "median ms", "p95 ms", "server's memory",
        box=SIMPLE_HEAD,
        title=f"a study of {result['many']:,} trials over HTTP",
    )  # fmt: skip
    for kind, found in result["lists"].items():
        for name, took in found["requests"].items():
            memory = f"{took['rss_mib'] * 1.048576:.0f} MB"
            lists.add_row(
                TITLES[kind],
                name,
                f"{took['median'] * 1e3:.1f}",
                f"{took['p95'] * 1e3:.1f}",
                memory,
            )
    return [trials, lists]


def _range(found: dict[str, float] | None, factor: float, digits: int) -> str:
    if found is None:
        return ""
    low, middle, high = (found[key] * factor for key in ("low", "median", "high"))
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"

"""What the command line shows: tables of studies and trials, metrics."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from alphagrad.api.client_progress import best_of, finished_trials, values_of

MOST_TRIALS = 50
"""A table shows so many trials."""


def studies_table(studies: Iterable[Mapping[str, Any]]) -> Table:
    """A table of studies, one a line."""
    table = Table("study", "task", "state", "trials", "best")
    for study in studies:
        done = finished_trials(study)
        table.add_row(
            study["name"],
            Text(study["spec"]["task"] or ""),  # a remote study's is any text, or none
            study["state"],
            f"{done}/{study['n_trials']}",
            best_of(study),
        )
    return table


def trials_table(trials: Iterable[Mapping[str, Any]], *, searched: Iterable[str]) -> Table:
    """A table of trials with the parameters that were searched."""
    names = list(searched)
    # A name such as alpha[actor.*] is no markup.
    table = Table("trial", "state", "value", *map(escape, names), "seconds", "error")
    for trial in trials:
        table.add_row(
            str(trial["number"]),
            trial["state"] if trial["feasible"] else f"{trial['state']} (infeasible)",
            values_of(trial),
            *(Text(short(trial["params"].get(name))) for name in names),
            "" if (took := duration(trial)) is None else f"{took:.1f}",
            Text(trial["error"] or ""),
        )
    return table


def exploits_table(exploits: Iterable[Mapping[str, Any]]) -> Table:
    """A table of who in a population took over from whom, and what changed then."""
    table = Table("trial", "at step", "score", "from trial", "at step", "score", "with")
    for one in exploits:
        changed = [
            f"{name} {short(one['source_params'].get(name))} → {short(value)}"
            for name, value in one["new_params"].items()
            if value != one["source_params"].get(name)
        ]
        table.add_row(
            str(one["trial"]),
            str(one["step"]),
            _score(one["score"]),
            str(one["source"]),
            str(one["source_step"]),
            _score(one["source_score"]),
            Text("\n".join(changed)),
        )
    return table


def _score(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"


def tasks_table(tasks: Iterable[Mapping[str, Any]]) -> Table:
    """A table of tasks, one a line."""
    table = Table("task", "what it does", "parameters", "stack")
    for task in tasks:
        table.add_row(
            Text(task["name"]),
            Text(task["about"]),
            str(len(task["params"].get("properties", ()))) if task["params"] else "any",
            "yes" if task["stackable"] else "",
        )
    return table


def importance_table(importance: Mapping[str, Any]) -> Table:
    """A table of parameters by how much they matter, with a bar for each."""
    table = Table("parameter", "importance", "")
    for name, share in importance["importances"].items():
        table.add_row(Text(name), f"{share:.3f}", "█" * round(20 * share))
    return table


def compared_table(studies: Sequence[Mapping[str, Any]]) -> Table:
    """A table with a column for each study: how it stands, its best trial, when that was found."""
    table = Table("", *(escape(study["name"]) for study in studies))
    names = dict.fromkeys(name for study in studies for name in study["params"])
    rows = {
        "state": [study["state"] for study in studies],
        "task": [study["task"] or "" for study in studies],
        "finished": [str(finished_trials(study)) for study in studies],
        "best": ["" if study["best"] is None else values_of(study["best"]) for study in studies],
        "mean ± std": [_spread(study, "mean", "std") for study in studies],
        "median": [_spread(study, "median") for study in studies],
        "found by trial": [_found(study["by_trial"]) for study in studies],
        "found after": [_found(study["by_time"], unit=" s") for study in studies],
    } | {name: [short(study["params"].get(name)) for study in studies] for name in names}
    for label, cells in rows.items():
        if any(cells):
            table.add_row(Text(label), *map(Text, cells))
    return table


def _spread(study: Mapping[str, Any], *names: str) -> str:
    """Numbers of the values of a study that searches nothing."""
    spread = study.get("spread") or {}  # an older server gives none
    return " ± ".join(short(spread[name]) for name in names if spread.get(name) is not None)


def _found(curve: Mapping[str, Any], *, unit: str = "") -> str:
    """Where the best value of a curve came first."""
    if not curve["best"]:
        return ""
    return f"{curve['at'][curve['best'].index(curve['best'][-1])]:g}{unit}"


def knobs_table(knobs: Iterable[Mapping[str, Any]]) -> Table:
    """A table of commands to a trial's α, oldest first."""
    table = Table("command", "layers", "α", "pin", "state", "at step", "reason")
    for one in knobs:
        table.add_row(
            str(one["id"]),
            Text(one["layers"]),
            short(one["alpha"]),
            {True: "pin", False: "unpin", None: ""}[one["pin"]],
            one["state"],
            short(one["step"]),
            Text(one["reason"] or ""),
        )
    return table


def params_table(schema: Mapping[str, Any]) -> Table:
    """A table of a task's parameters, from their JSON schema; one a line."""
    table = Table("parameter", "type and range", "default", "meaning")
    for name, field in schema.get("properties", {}).items():
        default = json.dumps(field["default"], ensure_ascii=False) if "default" in field else ""
        cells = (name, _type(field), default, field.get("description", ""))
        table.add_row(*map(Text, cells))
    return table


def _type(field: Mapping[str, Any]) -> str:
    """A JSON schema in words: ``number > 0``, ``one of a, b``."""
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"])
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "enum" in field:
        return "one of " + ", ".join(map(str, field["enum"]))
    if field.get("type") == "array":
        items = field.get("items")
        return f"list of {_type(items)}" if isinstance(items, Mapping) else "list"
    limits = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    said = [f"{sign} {field[key]:g}" for key, sign in limits.items() if key in field]
    return " ".join([str(field.get("type", "any")), *said])


def write_metrics(metrics: Mapping[str, Any], out: TextIO) -> None:
    """Write a trial's metrics as CSV: a line per value, empty where it is NaN or infinite.

    Example:
        >>> import sys
        >>> write_metrics({"loss": {"steps": [1, 2], "values": [0.5, None]}}, sys.stdout)
        step,name,value
        1,loss,0.5
        2,loss,
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["step", "name", "value"])
    for name, series in metrics.items():
        pairs = zip(series["steps"], series["values"], strict=True)
        writer.writerows([step, name, value] for step, value in pairs)


def searched_params(study: Mapping[str, Any]) -> list[str]:
    """The names of a study's dimensions."""
    return [name for name, value in study["spec"]["params"].items() if isinstance(value, dict)]


def short(value: object) -> str:
    """A parameter's value in a few characters; nothing for ``None``."""
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def duration(trial: Mapping[str, Any]) -> float | None:
    """Seconds from a trial's start to its end; ``None`` if it has not ended."""
    if trial["started_at"] is None or trial["finished_at"] is None:
        return None
    started, finished = (
        datetime.fromisoformat(trial[name]) for name in ("started_at", "finished_at")
    )
    return (finished - started).total_seconds()

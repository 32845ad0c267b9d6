"""What the command line shows: progress of a study, tables of studies and trials, metrics."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from alphagrad.tuner.registry import Task

MOST_SHOWN = 3
"""So many of several best trials are shown in a line."""
FINISHED = ("COMPLETE", "PRUNED", "FAIL")


class StudyProgress:
    """A progress line for one study: trials, best value, time left.

    On a terminal it is drawn in place; in a log, a line is written for each finished trial.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[best]}  {task.fields[eta]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, best="", eta="")
        self._logged = -1
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def update(self, study: Mapping[str, Any]) -> None:
        """Draw the study as it stands, given as the API shows it."""
        done = finished_trials(study)
        best = f"best {best_of(study)}" if best_of(study) else ""
        eta = study["eta_seconds"]
        left = "" if eta is None or study["state"] != "RUNNING" else f"ETA {seconds(eta)}"
        self._progress.update(
            self._task,
            description=study["name"],
            completed=done,
            total=study["n_trials"],
            best=best,
            eta=left,
        )
        if self._progress.disable and done != self._logged:
            self._logged = done
            elapsed = seconds(time.monotonic() - self._started)
            line = f"{study['name']}: {done}/{study['n_trials']} trials  {best}  {left}".rstrip()
            self._console.print(f"{elapsed:>6}  {line}", highlight=False, soft_wrap=True)


def studies_table(studies: Iterable[Mapping[str, Any]]) -> Table:
    """A table of studies, one a line."""
    table = Table("study", "task", "state", "trials", "best")
    for study in studies:
        done = finished_trials(study)
        table.add_row(
            study["name"],
            study["spec"]["task"],
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
            _values(trial),
            *(Text(_short(trial["params"].get(name))) for name in names),
            _duration(trial),
            Text(trial["error"] or ""),
        )
    return table


def exploits_table(exploits: Iterable[Mapping[str, Any]]) -> Table:
    """A table of who in a population took over from whom, and what changed then."""
    table = Table("trial", "at step", "score", "from trial", "at step", "score", "with")
    for one in exploits:
        changed = [
            f"{name} {_short(one['source_params'].get(name))} → {_short(value)}"
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


def tasks_table(tasks: Iterable[Task]) -> Table:
    """A table of tasks, one a line."""
    table = Table("task", "what it does", "parameters", "stack")
    for task in tasks:
        table.add_row(
            task.name,
            task.about,
            str(len(task.param_names)) if task.params is not None else "any",
            "yes" if task.stack is not None else "",
        )
    return table


def params_table(schema: Mapping[str, Any]) -> Table:
    """A table of a task's parameters, from their JSON schema; one a line."""
    table = Table("parameter", "type and range", "default", "meaning")
    for name, field in schema.get("properties", {}).items():
        default = json.dumps(field["default"], ensure_ascii=False) if "default" in field else ""
        table.add_row(name, Text(_type(field)), Text(default), Text(field.get("description", "")))
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


def finished_trials(study: Mapping[str, Any]) -> int:
    """How many of a study's trials have ended."""
    return sum(study["trials"].get(state, 0) for state in FINISHED)


def best_of(study: Mapping[str, Any]) -> str:
    """The best trial's value and number; those of a Pareto front; nothing if there is none."""
    if study["best"] is not None:
        return f"{_values(study['best'])} (trial {study['best']['number']})"
    best = [f"{_values(trial)} (trial {trial['number']})" for trial in study["best_trials"]]
    more = len(best) - MOST_SHOWN
    return "; ".join(best[:MOST_SHOWN]) + (f"; {more} more" if more > 0 else "")


def _values(trial: Mapping[str, Any]) -> str:
    values = trial["values"] or ([] if trial["value"] is None else [trial["value"]])
    return ", ".join(f"{value:.4g}" for value in values)


def seconds(value: float) -> str:
    """A duration as m:ss.

    Example:
        >>> seconds(75)
        '1:15'
    """
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}:{rest:02d}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _duration(trial: Mapping[str, Any]) -> str:
    if trial["started_at"] is None or trial["finished_at"] is None:
        return ""
    started, finished = (
        datetime.fromisoformat(trial[name]) for name in ("started_at", "finished_at")
    )
    return f"{(finished - started).total_seconds():.1f}"

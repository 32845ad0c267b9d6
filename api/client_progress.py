"""A study's progress in one line: trials, best value, time left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

MOST_SHOWN = 3
"""So many of several best trials are shown in a line."""
FINISHED = ("COMPLETE", "PRUNED", "FAIL")


class StudyProgress:
    """A progress line for one study: trials, best value, time left.

    On a terminal it is drawn in place; in a log, a line is written for each finished trial.

    Args:
        console: where to draw; standard error by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console = console or Console(stderr=True)
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


def finished_trials(study: Mapping[str, Any]) -> int:
    """How many of a study's trials have ended."""
    return sum(study["trials"].get(state, 0) for state in FINISHED)


def best_of(study: Mapping[str, Any]) -> str:
    """The best trial's value and number; those of a Pareto front; nothing if there is none."""
    if study["best"] is not None:
        return f"{values_of(study['best'])} (trial {study['best']['number']})"
    best = [f"{values_of(trial)} (trial {trial['number']})" for trial in study["best_trials"]]
    more = len(best) - MOST_SHOWN
    return "; ".join(best[:MOST_SHOWN]) + (f"; {more} more" if more > 0 else "")


def values_of(trial: Mapping[str, Any]) -> str:
    """A trial's value, or its values."""
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

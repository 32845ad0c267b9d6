"""How far the experiments are, drawn on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from alphagrad.api.client_answers import StudyData
from alphagrad.api.client_progress import finished_trials
from alphagrad.paper.run import Standing


class Shown:
    """Bars for all runs and for each study under way; where there is no terminal, lines."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._all = self._bars.add_task("all runs")
        self._studies: dict[str, TaskID] = {}
        self._last = ""

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def update(self, standing: Standing) -> None:
        """Draws how far it is now."""
        if not self._console.is_terminal:
            self._line(standing)
            return
        self._bars.update(self._all, completed=standing.runs_done, total=standing.runs)
        running = {study["name"]: study for study in standing.running}
        for name in self._studies.keys() - running:
            self._bars.remove_task(self._studies.pop(name))
        for name, study in running.items():
            if name not in self._studies:
                self._studies[name] = self._bars.add_task(name, total=study["n_trials"])
            finished = finished_trials(study)
            self._bars.update(self._studies[name], completed=finished, description=_name(study))

    def _line(self, standing: Standing) -> None:
        names = ", ".join(_name(study) for study in standing.running)
        line = (
            f"{standing.runs_done} of {standing.runs} runs, {standing.studies_done} of "
            f"{standing.studies} studies; under way: {names or 'none'}"
        )
        if line != self._last:
            self._console.print(f"{time.strftime('%H:%M:%S')} {line}", soft_wrap=True)
            self._last = line


def _name(study: StudyData) -> str:
    """A study's name, and how one that was paused by hand goes on."""
    name = study["name"]
    return f"{name} (paused: alphagrad resume {name})" if study["state"] == "PAUSED" else name

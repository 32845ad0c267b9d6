"""What is new in the running trials of a worker, told at most once a second for each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import select

from alphagrad.tuner import events
from alphagrad.tuner.database import Database
from alphagrad.tuner.messages import Metrics, Report, Trace
from alphagrad.tuner.models import TrialRow

PAUSE_SECONDS = 1.0
"""Between two ``trial.progress`` events of one trial."""


class Progress:
    """The latest of a trial: step, value and saturation, and whether they were told.

    The step is that of the latest report; before the first one, of the latest sample.
    """

    def __init__(self) -> None:
        self._step: int | None = None
        self._reported = False
        self._value: float | None = None
        self._saturation: float | None = None
        self._is_new = False
        self._not_before = -math.inf

    def reported(self, report: Report) -> None:
        """The trial reported a value."""
        self._step, self._value, self._reported = report.step, report.value, True
        self._is_new = True

    def sampled(self, trace: Trace) -> None:
        """The trial sampled α and saturation."""
        measured = trace.saturation[-1][~np.isnan(trace.saturation[-1])]
        self._saturation = float(measured.mean(dtype=np.float64)) if measured.size else None
        self._at(trace.steps[-1])

    def recorded(self, batch: Metrics) -> None:
        """The trial recorded metrics."""
        if batch.steps:
            self._at(batch.steps[-1])

    def is_due(self, now: float) -> bool:
        """Whether there is something to tell, and the last time was long enough ago."""
        return self._is_new and now >= self._not_before

    def was_announced(self, now: float) -> None:
        """It was told."""
        self._is_new, self._not_before = False, now + PAUSE_SECONDS

    def data(self) -> dict[str, Any]:
        """What the event says."""
        return {"step": self._step, "value": self._value, "saturation": self._saturation}

    def _at(self, step: int) -> None:
        self._step = self._step if self._reported else step
        self._is_new = True


def announce(database: Database, news: Mapping[tuple[int, int], Progress]) -> None:
    """Emit the progress of some trials, those of them that still run with the fence given.

    Args:
        database: the database.
        news: by the trial's row id and its fence.
    """
    with database.write() as session:
        rows = session.execute(
            select(TrialRow.id, TrialRow.fence, TrialRow.study_id).where(
                TrialRow.id.in_([trial_id for trial_id, _ in news]), TrialRow.state == "RUNNING"
            )
        )
        for row in rows:
            if (row.id, row.fence) in news:
                events.emit(
                    session,
                    "trial.progress",
                    study_id=row.study_id,
                    trial_id=row.id,
                    **news[row.id, row.fence].data(),
                )

"""What ``alphagrad watch`` knows: studies and their trials, brought up to date by events."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from alphagrad.api.client import Client
from alphagrad.api.client_answers import ENDED_STUDY, EventData, StudyData, TrialData
from alphagrad.api.client_study import Study
from alphagrad.api.client_trial import Trial

SHOWN_TRIALS = 20
POINTS = 24
"""So many points make a sparkline."""


@dataclass(slots=True)
class WatchedTrial:
    """A trial with its last values and saturations.

    Attributes:
        data: as the API shows it.
        step: the last step that was told.
        values: what it reported last.
        saturations: its mean saturation over the layers, of late.
    """

    data: TrialData
    step: int | None = None
    values: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))
    saturations: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))

    def progressed(self, event: EventData) -> None:
        """Add what a ``trial.progress`` says."""
        self.step = event.get("step", self.step)
        for kept, name in ((self.values, "value"), (self.saturations, "saturation")):
            told: Any = event.get(name)
            if told is not None:
                kept.append(told)


class Watched:
    """One study, or all, with the trials that are worth a look.

    Args:
        client: asked for what events do not tell.
        study: the study's name; ``None`` for all.

    Attributes:
        studies: by name.
        trials: by study and number.
    """

    def __init__(self, client: Client, *, study: str | None) -> None:
        self.studies: dict[str, StudyData] = {}
        self.trials: dict[tuple[str, int], WatchedTrial] = {}
        self._client = client
        self._study = study

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to see: the one study has ended, or is gone."""
        if self._study is None:
            return False
        study = self.studies.get(self._study)
        return study is None or study["state"] in ENDED_STUDY

    def load(self) -> None:
        """Ask for everything anew, and keep the sparklines that are there."""
        if self._study is not None:
            studies = [self._client.study(self._study)]
        else:
            studies = list(self._client.studies())
        self.studies = {study.name: study.data for study in studies}
        found: dict[tuple[str, int], WatchedTrial] = {}
        for study in studies:
            for trial in self._worth_a_look(study):
                known = self.trials.get((study.name, trial.number)) or _with_past(trial)
                known.data = trial.data
                found[study.name, trial.number] = known
        self.trials = found

    def take(self, event: EventData) -> None:
        """Follow an event, as far as it tells enough."""
        study, number = event["study"], event["trial"]
        if self._study not in (None, study):
            return
        trial = None if number is None else self.trials.get((study, number))
        match event["kind"]:
            case "study.deleted":
                self.studies.pop(study, None)
            case "study.changed" if study in self.studies:
                self.studies[study]["state"] = event["state"]  # type: ignore[typeddict-item]
            case "trial.progress" if trial is not None:
                trial.progressed(event)
            case "trial.ended" if trial is not None:
                trial.data["state"] = event["state"]  # type: ignore[typeddict-item]
                trial.data["value"] = event.get("value")

    def _worth_a_look(self, study: Study) -> Sequence[Trial]:
        """All trials of a small study; of a large one, and of many, what runs, and the best."""
        started = sum(n for state, n in study.data["trials"].items() if state != "QUEUED")
        if self._study is not None and started <= SHOWN_TRIALS:
            return list(study.trials())
        if not study.data["trials"].get("RUNNING"):
            running = []
        else:
            running = list(study.trials(state="RUNNING", limit=SHOWN_TRIALS))
        best = study.best_trials[:1] if self._study is not None else []
        return [*best, *running]


def _with_past(trial: Trial) -> WatchedTrial:
    watched = WatchedTrial(trial.data)
    if trial.state not in ("RUNNING", "COMPLETE", "PRUNED"):
        return watched
    reports = trial.reports(max_steps=POINTS)
    watched.values.extend(value for value in reports["values"] if value is not None)
    if reports["steps"]:
        watched.step = reports["steps"][-1]
    columns = trial.alpha(max_steps=POINTS)
    by_step: dict[int, list[float]] = {}
    for step, saturation in zip(columns["step"], columns["saturation"], strict=True):
        if saturation is not None:
            by_step.setdefault(step, []).append(saturation)
    watched.saturations.extend(sum(row) / len(row) for row in by_step.values())
    return watched

"""What the journal, our tables and Optuna's say about the same trials must agree."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna

from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.database import Database
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.metrics import read_metrics
from alphagrad.tuner.models import TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.study_store import get_study
from alphagrad.tuner.traces import read_trace
from tests.chaos.chaos_task import STEPS, attempt_of

Key = tuple[str, int]
"""A study's name and a trial's number."""


@dataclass
class Books:
    """All that anyone was told, to be compared with what is stored in the end.

    Args:
        database: of the studies.
        journal: where the trials write.
        studies: the names of those submitted, with their n_trials.
    """

    database: Database
    journal: Path
    studies: dict[str, int] = field(default_factory=dict)
    seen: dict[Key, tuple[str, float | None]] = field(default_factory=dict)

    def look(self) -> dict[str, int]:
        """Read what is finished, which from now on must not change; gives each study's rest."""
        rest = {}
        for name, n_trials in self.studies.items():
            trials = list_trials(self.database, name, limit=1000)
            finished = 0
            for trial in trials:
                if trial.state in ("COMPLETE", "PRUNED", "FAIL"):
                    finished += 1
                    end = (trial.state, trial.value)
                    assert self.seen.setdefault((name, trial.number or 0), end) == end
            rest[name] = n_trials - finished
        return rest

    def states(self) -> set[str]:
        """The states in which trials were seen to end."""
        return {state for state, _ in self.seen.values()}

    def ended(self) -> bool:
        """Whether all studies have ended."""
        return all(get_study(self.database, name).ended for name in self.studies)

    def check(self) -> dict[str, int]:
        """Compare everything; gives how much there was to compare."""
        self.look()
        events = self._events()
        storage = OptunaStorage(self.database)
        counts = {"trials": 0, "attempts": 0, "reports": 0, "checkpoints": 0, "orphans": 0}
        try:
            for name, n_trials in self.studies.items():
                theirs = optuna.load_study(study_name=name, storage=storage.rdb).trials
                ours = list_trials(self.database, name, limit=1000)
                status = get_study(self.database, name)
                assert status.finished_trials == len(ours) == n_trials, (name, status.trials)
                assert status.row.state == "COMPLETED", (name, status.row.state)
                known = {trial.number or 0: trial for trial in ours}
                for their in theirs:
                    if (our := known.get(their.number)) is None:
                        # Its worker was taken for dead while it asked; nobody runs it.
                        assert their.state.name == "FAIL", (name, their)
                        counts["orphans"] += 1
                        continue
                    mine = events[name, their.number]
                    self._check_trial(name, our, their, mine)
                    counts["attempts"] += our.attempt
                    for event in ("report", "save"):
                        place = {"report": "reports", "save": "checkpoints"}[event]
                        counts[place] += sum(one["event"] == event for one in mine)
                counts["trials"] += len(ours)
        finally:
            storage.dispose()
        return counts

    def _check_trial(
        self, study: str, our: TrialRow, their: optuna.trial.FrozenTrial, events: list[Any]
    ) -> None:
        what = (study, our.number)
        assert (our.state, our.told, our.worker) == (their.state.name, True, None), what
        assert our.state in ("COMPLETE", "PRUNED", "FAIL"), what
        if our.state != "FAIL":
            assert our.value == their.value, what
        x = float((our.params or {})["x"])
        if our.state == "COMPLETE":
            # The result is that of the last attempt: no earlier one was let in after it.
            assert our.value is not None, what
            assert attempt_of(our.value, STEPS, x) == our.attempt == our.fence, what
        history = list_attempts(self.database, our.id)
        assert [one.attempt for one in history] == list(range(1, our.attempt + 1)), what
        assert all(one.outcome is not None for one in history), what
        assert history[-1].outcome == our.state, what
        starts = [one["attempt"] for one in events if one["event"] == "start"]
        assert len(starts) == len(set(starts)), (what, "an attempt was run twice")
        _check_reports(what, their, events, x)
        _check_checkpoints(what, events)
        series = read_metrics(self.database, our).get("chaos/step")
        recorded = [] if series is None else list(series[0])
        traced = read_trace(self.database, our).steps
        for steps in (recorded, traced, sorted(their.intermediate_values)):
            assert steps == sorted(set(steps)), (what, steps)
            if our.state == "COMPLETE":
                assert steps == list(range(1, STEPS + 1)), (what, steps)

    def _events(self) -> dict[Key, list[Any]]:
        found: dict[Key, list[Any]] = defaultdict(list)
        for line in self.journal.read_text().splitlines():
            event = json.loads(line)
            found[event["study"], event["number"]].append(event)
        return found


def _check_reports(
    what: Key | tuple[str, int | None], their: Any, events: list[Any], x: float
) -> None:
    stored = their.intermediate_values
    sent = {(one["step"], one["attempt"]) for one in events if one["event"] == "send"}
    for step, value in stored.items():
        assert math.isfinite(value), (what, step, value)
        assert (step, attempt_of(value, step, x)) in sent, (what, step, value)
    writers = [attempt_of(stored[step], step, x) for step in sorted(stored)]
    assert writers == sorted(writers), (what, writers)  # each attempt replaced what lay ahead of it
    for one in events:
        # The verdict came, so it is stored, unless a later attempt went back to before it.
        step, attempt = one["step"] if one["event"] == "report" else None, one["attempt"]
        if step is None or any(other > attempt and first <= step for first, other in sent):
            continue
        assert step in stored, (what, one)
        assert attempt_of(stored[step], step, x) == attempt, (what, one)


def _check_checkpoints(what: Key | tuple[str, int | None], events: list[Any]) -> None:
    saved: dict[int, int] = {}
    least: dict[int, int] = {}
    newest = 0
    for one in events:
        attempt = one["attempt"]
        if attempt < newest:
            continue  # it has lost its lease and does not know; what it would need may be gone
        newest = attempt
        if one["event"] == "save":
            saved[attempt] = one["step"]
        if one["event"] == "load":  # an attempt that is dying may save while the next one loads
            earlier = [other for other in saved if other < attempt]
            least[attempt] = saved[max(earlier)] if earlier else 0
        if one["event"] == "start":
            assert one["first"] >= least[attempt], (what, one, saved)

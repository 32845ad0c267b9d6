"""What studies, trials and leases must do, in plain Python: the contract suite's model."""

from __future__ import annotations

from dataclasses import dataclass, field

from alphagrad.tuner.attempts import Outcome
from alphagrad.tuner.lease_ends import MAX_LOSSES
from alphagrad.tuner.messages import FinalState

OPEN = ("QUEUED", "RUNNING", "PAUSED")
ENDED = ("COMPLETED", "FAILED", "CANCELLED")
UPPER = 1.0
"""The threshold pruner's: a trial whose latest step is above it is to stop."""
STEPS_ON = {
    "QUEUED": {"RUNNING", "PAUSED", "STOPPING", "CANCELLED"},
    "RUNNING": {"PAUSED", "STOPPING", "COMPLETED", "FAILED", "CANCELLED"},
    "PAUSED": {"QUEUED", "RUNNING", "STOPPING", "COMPLETED", "FAILED", "CANCELLED"},
    "STOPPING": {"COMPLETED", "FAILED", "CANCELLED"},
    "COMPLETED": set(),
    "FAILED": set(),
    "CANCELLED": set(),
}
"""The states that a study may have after another, in one call."""


@dataclass(eq=False)
class Slot:
    """A trial as it must stand in our table and in Optuna's."""

    state: str = "WAITING"
    fence: int = 0
    failures: int = 0
    losses: int = 0
    worker: str | None = None
    number: int | None = None
    value: float | None = None
    told: bool = False
    delayed: bool = False
    expired: bool = False
    outcomes: list[Outcome | None] = field(default_factory=list)
    reports: dict[int, float] = field(default_factory=dict)
    fixed: dict[str, float] | None = None

    def end(self, state: FinalState, value: float | None = None) -> None:
        self.close(state)
        self.state, self.value, self.worker = state, value, None
        self.told = True

    def close(self, outcome: Outcome) -> None:
        if self.outcomes and self.outcomes[-1] is None:
            self.outcomes[-1] = outcome


@dataclass(eq=False)
class Study:
    """A study as it must stand."""

    name: str
    n_trials: int
    parallelism: int
    priority: int
    retries: int
    delay: bool
    max_failed: int | None
    queue: list[dict[str, float]]
    state: str = "QUEUED"
    over: bool = False
    slots: list[Slot] = field(default_factory=list)

    @property
    def running(self) -> int:
        return sum(slot.state == "RUNNING" for slot in self.slots)

    @property
    def ready(self) -> Slot | None:
        """The trial that is taken up next, if one waits."""
        return next((s for s in self.slots if s.state == "WAITING" and not s.delayed), None)

    @property
    def claimable(self) -> bool:
        work = self.ready is not None or len(self.slots) < self.n_trials
        return self.state in ("QUEUED", "RUNNING") and self.running < self.parallelism and work

    def release(self, slot: Slot, outcome: Outcome, *, delayed: bool = False) -> None:
        slot.close(outcome)
        if self.state in OPEN:
            slot.state, slot.worker, slot.delayed = "WAITING", None, delayed
        else:
            slot.end("FAIL")

    def give_up_waiting(self) -> None:
        for slot in self.slots:
            if slot.state == "WAITING":
                slot.end("FAIL")

    def finish(self, slot: Slot, state: FinalState, value: float | None, retryable: bool) -> bool:
        """The end of an attempt; says whether the trial is over."""
        if state == "FAIL":
            slot.failures += 1
            if retryable and slot.failures <= self.retries:
                self.release(slot, "FAIL", delayed=self.delay)
                return slot.state == "FAIL"
        slot.end(state, value)
        return True

    def settle(self) -> bool:
        """Says whether the study ends now."""
        if self.over or self.state in ("COMPLETED", "FAILED"):
            return False
        failed = sum(slot.state == "FAIL" for slot in self.slots)
        too_many = self.max_failed is not None and failed > self.max_failed
        if self.state in OPEN and too_many:
            self.state = "STOPPING"
            self.give_up_waiting()
        if self.state in OPEN and len(self.slots) < self.n_trials:
            return False
        if any(slot.state in ("WAITING", "RUNNING") or not slot.told for slot in self.slots):
            return False
        if self.state != "CANCELLED":
            gave_value = any(slot.state in ("COMPLETE", "PRUNED") for slot in self.slots)
            good = not self.slots or (gave_value and not too_many)
            self.state = "COMPLETED" if good else "FAILED"
        self.over = True
        return True


class Model:
    """All studies, and what the whole table must do."""

    def __init__(self) -> None:
        self.studies: list[Study] = []

    def claim(self, worker: str) -> tuple[Study, int] | None:
        """The study and slot that a claim must give."""
        able = [study for study in self.studies if study.claimable]
        if not able:
            return None
        study = min(able, key=lambda s: (-s.priority, s.running, self.studies.index(s)))
        slot = study.ready
        if slot is None:
            slot = Slot(fixed=study.queue.pop(0) if study.queue else None)
            study.slots.append(slot)
        slot.state, slot.worker = "RUNNING", worker
        slot.delayed = slot.expired = False
        slot.fence += 1
        slot.outcomes.append(None)
        study.state = "RUNNING"
        return study, study.slots.index(slot)

    def reap(self) -> int:
        """Free what expired; says how many."""
        expired = [
            (study, slot)
            for study in self.studies
            for slot in study.slots
            if slot.state == "RUNNING" and slot.expired
        ]
        for study, slot in expired:
            slot.losses += 1
            if slot.losses > MAX_LOSSES:
                slot.end("FAIL")
            else:
                study.release(slot, "LOST")
        return len(expired)

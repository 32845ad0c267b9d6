"""The contract suite's rules of users: submit, pause, resume, stop, cancel, edit, enqueue."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from alphagrad.tuner.errors import ConflictError, SpecError
from alphagrad.tuner.spec_reading import parse_spec
from alphagrad.tuner.study_changes import (
    cancel_study,
    enqueue_trial,
    pause_study,
    resume_study,
    stop_study,
    update_study,
)
from alphagrad.tuner.study_store import create_study
from tests.tuner.contract_base import SOME, Base
from tests.tuner.contract_model import ENDED, OPEN, UPPER, Study

_names = count()


class Users(Base):
    """What users do to studies, at any moment."""

    @precondition(lambda self: len(self.model.studies) < 3)
    @rule(
        n_trials=st.integers(1, 4),
        parallelism=st.integers(1, 3),
        priority=st.integers(0, 1),
        retries=st.integers(0, 2),
        delay=st.booleans(),
        max_failed=st.sampled_from([None, None, 0, 1]),
        enqueued=st.integers(0, 1),
    )
    def submit(
        self, n_trials: int, parallelism: int, priority: int, retries: int, delay: bool,
        max_failed: int | None, enqueued: int,
    ) -> None:  # fmt: skip
        queue = [{"alpha": 2.0}] * enqueued
        study = Study(
            f"contract-{next(_names)}", n_trials, parallelism, priority, retries, delay,
            max_failed, list(queue),
        )  # fmt: skip
        body = {
            "name": study.name,
            "task": "digits",
            "n_trials": n_trials,
            "parallelism": parallelism,
            "priority": priority,
            "retries": retries,
            "retry_delay": 3600.0 if delay else 0.0,
            "max_failed_trials": max_failed,
            "enqueue": queue,
            "seed": 1,
            "sampler": {"type": "random"},
            "pruner": {"type": "threshold", "upper": UPPER},
            "params": {"alpha": {"type": "float", "low": 1.0, "high": 100.0}},
        }
        create_study(self.database, self.optuna, parse_spec(body))
        self.model.studies.append(study)

    @precondition(lambda self: self.model.studies)
    @rule(which=SOME)
    def pause(self, which: int) -> None:
        study = self.study(which)
        with self.conflict(unless=study.state in OPEN):
            pause_study(self.database, study.name)
            study.state = "PAUSED"

    @precondition(lambda self: self.model.studies)
    @rule(which=SOME)
    def resume(self, which: int) -> None:
        study = self.study(which)
        with self.conflict(unless=study.state in OPEN):
            resume_study(self.database, study.name)
            study.state = "RUNNING" if study.slots else "QUEUED"

    @precondition(lambda self: self.model.studies)
    @rule(which=SOME, cancel=st.booleans())
    def close(self, which: int, cancel: bool) -> None:
        study = self.study(which)
        with self.conflict(unless=study.state not in ENDED):
            (cancel_study if cancel else stop_study)(self.database, study.name)
            study.state = "CANCELLED" if cancel else "STOPPING"
            study.over = cancel and not study.slots
            study.give_up_waiting()

    @precondition(lambda self: self.model.studies)
    @rule(which=SOME, n_trials=st.integers(1, 5), parallelism=st.integers(1, 3))
    def edit(self, which: int, n_trials: int, parallelism: int) -> None:
        study = self.study(which)
        fits = n_trials >= len(study.slots) + len(study.queue)
        changes = {"n_trials": n_trials, "parallelism": parallelism}
        error: Any = nullcontext()
        if study.state not in OPEN or not fits:
            error = pytest.raises(SpecError if study.state in OPEN else ConflictError)
        with error:
            update_study(self.database, study.name, changes)
            study.n_trials, study.parallelism = n_trials, parallelism

    @precondition(lambda self: self.model.studies)
    @rule(which=SOME, alpha=st.sampled_from([3.0, 4.0]))
    def enqueue(self, which: int, alpha: float) -> None:
        study = self.study(which)
        room = len(study.slots) + len(study.queue) < study.n_trials
        with self.conflict(unless=study.state in OPEN and room):
            enqueue_trial(self.database, study.name, {"alpha": alpha})
            study.queue.append({"alpha": alpha})

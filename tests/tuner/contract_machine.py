"""The contract suite's rules: each acts on a real database and on the model, and compares them."""

from __future__ import annotations

import math
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Any

import optuna
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select, text

from alphagrad.tuner import leases, results
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import ConflictError, SpecError, StaleFenceError
from alphagrad.tuner.knobs import list_knobs, record_answer, request_knob
from alphagrad.tuner.leases import Claim
from alphagrad.tuner.messages import FinalState, KnobAnswer
from alphagrad.tuner.models import AttemptRow, StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import AskedTrial, OptunaStorage
from alphagrad.tuner.spec import parse_spec
from alphagrad.tuner.study_changes import (
    cancel_study,
    enqueue_trial,
    pause_study,
    resume_study,
    stop_study,
    update_study,
)
from alphagrad.tuner.study_store import create_study, settle
from tests.tuner.contract_model import ENDED, OPEN, STEPS_ON, UPPER, Model, Slot, Study

WORKERS = ("one", "two", "three")
_names = count()
_some = st.integers(0, 999)
"""Picks one of a list, by its remainder."""


@dataclass(eq=False)
class Held:
    """A claim as its worker remembers it; it may have lost it long ago."""

    claim: Claim
    worker: str
    study: Study
    slot: Slot
    last_report: float | None = None

    @property
    def holds(self) -> bool:
        return self.slot.fence == self.claim.fence and self.slot.state == "RUNNING"


class Contract(RuleBasedStateMachine):
    """Workers, users and crashes on a few studies, one call after the other."""

    database: Database
    optuna: OptunaStorage

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.held: list[Held] = []
        self.states: dict[str, str] = {}
        self.asked_late = False
        """Whether a worker that had lost its lease asked Optuna for a trial."""
        with self.database.write() as session:
            session.execute(text("DELETE FROM alphagrad_studies"))

    # Users.

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
    @rule(which=_some)
    def pause(self, which: int) -> None:
        study = self._study(which)
        with self._conflict(unless=study.state in OPEN):
            pause_study(self.database, study.name)
            study.state = "PAUSED"

    @precondition(lambda self: self.model.studies)
    @rule(which=_some)
    def resume(self, which: int) -> None:
        study = self._study(which)
        with self._conflict(unless=study.state in OPEN):
            resume_study(self.database, study.name)
            study.state = "RUNNING" if study.slots else "QUEUED"

    @precondition(lambda self: self.model.studies)
    @rule(which=_some, cancel=st.booleans())
    def close(self, which: int, cancel: bool) -> None:
        study = self._study(which)
        with self._conflict(unless=study.state not in ENDED):
            (cancel_study if cancel else stop_study)(self.database, study.name)
            study.state = "CANCELLED" if cancel else "STOPPING"
            study.over = cancel and not study.slots
            study.give_up_waiting()

    @precondition(lambda self: self.model.studies)
    @rule(which=_some, n_trials=st.integers(1, 5), parallelism=st.integers(1, 3))
    def edit(self, which: int, n_trials: int, parallelism: int) -> None:
        study = self._study(which)
        fits = n_trials >= len(study.slots) + len(study.queue)
        changes = {"n_trials": n_trials, "parallelism": parallelism}
        error: Any = nullcontext()
        if study.state not in OPEN or not fits:
            error = pytest.raises(SpecError if study.state in OPEN else ConflictError)
        with error:
            update_study(self.database, study.name, changes)
            study.n_trials, study.parallelism = n_trials, parallelism

    @precondition(lambda self: self.model.studies)
    @rule(which=_some, alpha=st.sampled_from([3.0, 4.0]))
    def enqueue(self, which: int, alpha: float) -> None:
        study = self._study(which)
        room = len(study.slots) + len(study.queue) < study.n_trials
        with self._conflict(unless=study.state in OPEN and room):
            enqueue_trial(self.database, study.name, {"alpha": alpha})
            study.queue.append({"alpha": alpha})

    # Workers.

    @precondition(lambda self: self.model.studies)
    @rule(worker=st.sampled_from(WORKERS))
    def claim(self, worker: str) -> None:
        claim = leases.claim(self.database, worker=worker, lease_seconds=600, tasks=["digits"])
        expected = self.model.claim(worker)
        if expected is None or claim is None:
            assert claim is expected
            return
        study, place = expected
        slot = study.slots[place]
        assert (claim.study.name, claim.trial.slot, claim.fence) == (study.name, place, slot.fence)
        assert claim.trial.fixed_params == slot.fixed
        assert study.running <= study.parallelism
        self.held.append(Held(claim, worker, study, slot))

    @precondition(lambda self: self.held)
    @rule(which=_some, dies=st.booleans())
    def ask(self, which: int, dies: bool) -> None:
        held = self._held(which)
        if held.claim.trial.number is not None:
            return
        asked = self._ask(held)
        self.asked_late |= not held.holds
        if dies:  # between Optuna's record and ours
            self.held.remove(held)
            return
        with self._stale(unless=held.holds):
            results.record_ask(self.database, held.claim, asked)
            held.slot.number = asked.number

    @precondition(lambda self: any(held.slot.number is not None for held in self.held))
    @rule(
        which=_some,
        step=st.integers(0, 3),
        value=st.sampled_from([0.25, 0.5, 2.0, math.nan, math.inf]),
    )
    def report(self, which: int, step: int, value: float) -> None:
        held = self._held(which)
        number, trial_id = held.claim.trial.number, held.claim.trial.optuna_trial_id
        if number is None or trial_id is None:
            return
        with self._stale(unless=held.holds):
            leases.check(self.database, trial_id=held.claim.trial.id, fence=held.claim.fence)
            spec = parse_spec(held.claim.study.spec)
            prune = self.optuna.report(
                self.optuna.study(spec, number=number), trial_id, step=step, value=value
            )
            held.slot.reports[step] = held.last_report = value
            latest = held.slot.reports[max(held.slot.reports)]
            assert prune == (math.isnan(latest) or latest > UPPER)

    @precondition(lambda self: self.held)
    @rule(
        which=_some,
        state=st.sampled_from(["COMPLETE", "PRUNED", "FAIL", "FAIL"]),
        value=st.sampled_from([-1.0, 0.0, 1e300]),
        retryable=st.booleans(),
        answer_lost=st.booleans(),
    )
    def finish(
        self, which: int, state: FinalState, value: float, retryable: bool, answer_lost: bool
    ) -> None:
        held = self._held(which)
        given = {"COMPLETE": value, "PRUNED": held.last_report, "FAIL": None}[state]

        def write() -> bool:
            return results.finish(
                self.database,
                trial_id=held.claim.trial.id,
                fence=held.claim.fence,
                state=state,
                value=given,
                error="it went wrong" if state == "FAIL" else None,
                retries=held.study.retries if retryable else 0,
                retry_delay=3600.0 if held.study.delay else 0.0,
            )

        again = held.slot.fence == held.claim.fence and held.slot.state == state
        with self._stale(unless=held.holds or again):
            over = write()
            if held.holds:
                assert over == held.study.finish(held.slot, state, given, retryable)
                again = held.slot.state == state
        if answer_lost:
            with self._stale(unless=again):
                write()
        self.held.remove(held)

    @precondition(lambda self: self.held)
    @rule(which=_some)
    def give_back(self, which: int) -> None:
        held = self._held(which)
        with self._stale(unless=held.holds):
            leases.give_back(self.database, trial_id=held.claim.trial.id, fence=held.claim.fence)
            held.study.release(held.slot, "GIVEN_BACK")
        self.held.remove(held)

    @precondition(lambda self: self.held)
    @rule(which=_some)
    def forget(self, which: int) -> None:
        """The worker dies: nothing is written."""
        self.held.remove(self._held(which))

    @rule(worker=st.sampled_from(WORKERS))
    def renew(self, worker: str) -> None:
        mine = [held for held in self.held if held.worker == worker]
        believed = {(held.claim.trial.id, held.claim.fence) for held in mine}
        kept = leases.renew(self.database, believed, worker=worker, lease_seconds=600)
        assert kept == {(h.claim.trial.id, h.claim.fence) for h in mine if h.holds}
        for held in mine:
            if held.slot.worker == worker:
                held.slot.expired = False

    @precondition(lambda self: self.held)
    @rule(which=_some, applied=st.booleans())
    def knob(self, which: int, applied: bool) -> None:
        held = self._held(which)
        trial = held.claim.trial
        with self._conflict(unless=held.slot.state == "RUNNING"):
            command = request_knob(self.database, trial, alpha=5.0)
            answer = KnobAnswer(id=command.id, applied=applied, step=1)
            with self._stale(unless=held.holds):
                record_answer(self.database, answer, trial_id=trial.id, fence=trial.fence)
            state = list_knobs(self.database, trial.id)[-1].state
            answered = "applied" if applied else "rejected"
            assert state == (answered if held.holds else "requested")

    # Time, and what every worker does now and then.

    @rule(worker=st.sampled_from(WORKERS))
    def expire(self, worker: str) -> None:
        with self.database.write() as session:
            session.execute(
                text("UPDATE alphagrad_trials SET lease_expires_at = 1 WHERE worker = :worker"),
                {"worker": worker},
            )
        for slot in self._slots():
            slot.expired |= slot.worker == worker

    @rule()
    def wait(self) -> None:
        with self.database.write() as session:
            session.execute(text("UPDATE alphagrad_trials SET not_before = 1"))
        for slot in self._slots():
            slot.delayed = False

    @rule()
    def reap(self) -> None:
        assert leases.reap(self.database) == self.model.reap()

    @rule(recorded=st.booleans())
    def tell(self, recorded: bool) -> None:
        untold = results.untold(self.database)
        expected = [s for s in self._slots() if s.state in ("COMPLETE", "PRUNED", "FAIL")]
        assert len(untold) == sum(not slot.told for slot in expected)
        for claim in untold:
            trial = claim.trial
            assert trial.number is not None
            spec = parse_spec(claim.study.spec)
            self.optuna.tell(spec, number=trial.number, state=trial.state, value=trial.value)
            if recorded:  # else the worker dies in between
                results.record_told(self.database, trial.id)
        if recorded:
            for slot in expected:
                slot.told = True

    @rule()
    def settle(self) -> None:
        ended = settle(self.database)
        expected = [study.name for study in self.model.studies if study.settle()]
        assert [status.row.name for status in ended] == expected
        for status in ended:
            self.optuna.fail_orphans(status.spec)

    # What must hold after every step.

    @invariant()
    def tables_are_as_the_model_says(self) -> None:
        with self.database.read() as session:
            studies = {row.id: row for row in session.scalars(select(StudyRow))}
            trials = list(session.scalars(select(TrialRow).order_by(TrialRow.id)))
            attempts = list(session.scalars(select(AttemptRow).order_by(AttemptRow.attempt)))
        rows = {(studies[row.study_id].name, row.slot): row for row in trials}
        assert len(rows) == len(trials) == sum(len(s.slots) for s in self.model.studies)
        by_name = {row.name: row for row in studies.values()}
        for study in self.model.studies:
            row = by_name[study.name]
            assert (row.state, row.next_slot) == (study.state, len(study.slots)), study.name
            assert (row.finished_at is not None) == study.over
            assert (row.queue or []) == study.queue
            before = self.states.get(study.name, "QUEUED")
            assert row.state == before or row.state in STEPS_ON[before]
            self.states[study.name] = row.state
            for place, slot in enumerate(study.slots):
                trial = rows[study.name, place]
                assert _as_row(trial) == _as_model(slot), (study.name, place)
                own = [one for one in attempts if one.trial_id == trial.id]
                assert [one.attempt for one in own] == list(range(1, slot.fence + 1))
                assert [one.outcome for one in own] == slot.outcomes

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:
            self._run_to_the_end()
            for study in self.model.studies:
                self._check_optuna(study)

    def _run_to_the_end(self) -> None:
        """With workers that die no more, every study ends, with exactly its trials."""
        for study in self.model.studies:
            if study.state == "PAUSED":
                self.resume(self.model.studies.index(study))
        self.wait()
        for worker in WORKERS:
            self.expire(worker)
        self.reap()
        self.held.clear()
        for _ in range(40):
            self.claim("one")
            self.tables_are_as_the_model_says()
            if not self.held:
                break
            self.ask(0, dies=False)
            self.finish(0, "COMPLETE", 1.0, retryable=True, answer_lost=False)
        self.tell(recorded=True)
        self.settle()
        self.tables_are_as_the_model_says()
        for study in self.model.studies:
            assert study.over
            if study.state == "COMPLETED" and study.slots:
                assert len(study.slots) <= study.n_trials

    def _check_optuna(self, study: Study) -> None:
        theirs = optuna.load_study(study_name=study.name, storage=self.optuna.rdb).trials
        known = {slot.number: slot for slot in study.slots if slot.number is not None}
        assert len(known) == sum(slot.number is not None for slot in study.slots)
        for trial in theirs:
            slot = known.get(trial.number)
            if slot is None:
                assert trial.state.name == "FAIL"  # its worker died while it asked
                continue
            assert trial.state.name == slot.state
            assert _same(trial.intermediate_values, slot.reports)
            if slot.state == "COMPLETE":
                assert trial.value == slot.value
        if not self.asked_late:
            assert len(theirs) <= len(study.slots)

    # Helpers.

    def _ask(self, held: Held) -> AskedTrial:
        row = held.claim.study
        assert row.optuna_study_id is not None
        asked = self.optuna.ask(
            parse_spec(row.spec),
            optuna_study_id=row.optuna_study_id,
            slot=held.claim.trial.slot,
            fixed_params=held.claim.trial.fixed_params,
            resumed=held.claim.trial.attempt > 1,
        )
        assert asked.params["alpha"] == (held.slot.fixed or asked.params)["alpha"]
        return asked

    def _study(self, which: int) -> Study:
        return self.model.studies[which % len(self.model.studies)]

    def _held(self, which: int) -> Held:
        return self.held[which % len(self.held)]

    def _slots(self) -> list[Slot]:
        return [slot for study in self.model.studies for slot in study.slots]

    def _conflict(self, *, unless: bool) -> AbstractContextManager[Any]:
        return nullcontext() if unless else pytest.raises(ConflictError)

    def _stale(self, *, unless: bool) -> AbstractContextManager[Any]:
        return nullcontext() if unless else pytest.raises(StaleFenceError)


def _as_row(trial: TrialRow) -> tuple[Any, ...]:
    counts = (trial.fence, trial.attempt, trial.failures, trial.losses)
    value = None if trial.value is None or math.isnan(trial.value) else trial.value
    return trial.state, counts, trial.worker, trial.number, value, trial.told


def _as_model(slot: Slot) -> tuple[Any, ...]:
    counts = (slot.fence, slot.fence, slot.failures, slot.losses)
    value = None if slot.value is None or math.isnan(slot.value) else slot.value
    return slot.state, counts, slot.worker, slot.number, value, slot.told


def _same(left: dict[int, float], right: dict[int, float]) -> bool:
    """Equal, where NaN is equal to itself."""
    return repr(sorted(left.items())) == repr(sorted(right.items()))

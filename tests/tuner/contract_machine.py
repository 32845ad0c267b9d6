"""The contract suite: each rule acts on a real database and on the model, which must agree."""

from __future__ import annotations

import math
import sys
from typing import Any

import optuna
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from sqlalchemy import select, text

from alphagrad.tuner import lease_ends
from alphagrad.tuner.models import AttemptRow, StudyRow, TrialRow
from alphagrad.tuner.settling import settle
from tests.tuner.contract_base import WORKERS
from tests.tuner.contract_model import STEPS_ON, Slot, Study
from tests.tuner.contract_users import Users
from tests.tuner.contract_workers import Workers


class Contract(Users, Workers):
    """Workers, users and crashes on a few studies, one call after the other."""

    # Time, and what every worker does now and then.

    @rule(worker=st.sampled_from(WORKERS))
    def expire(self, worker: str) -> None:
        with self.database.write() as session:
            session.execute(
                text("UPDATE alphagrad_trials SET lease_expires_at = 1 WHERE worker = :worker"),
                {"worker": worker},
            )
        for slot in self.slots():
            slot.expired |= slot.worker == worker

    @rule()
    def wait(self) -> None:
        with self.database.write() as session:
            session.execute(text("UPDATE alphagrad_trials SET not_before = 1"))
        for slot in self.slots():
            slot.delayed = False

    @rule()
    def reap(self) -> None:
        assert lease_ends.reap(self.database) == self.model.reap()

    @rule()
    def settle(self) -> None:
        ended = settle(self.database)
        expected = [study.name for study in self.model.studies if study.settle()]
        assert [status.row.name for status in ended] == expected
        for status in ended:
            self.optuna.fail_orphans(status.row.name)

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

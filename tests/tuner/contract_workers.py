"""The contract suite's rules of workers: claim, ask, report, finish, renew, knobs, and death."""

from __future__ import annotations

import math

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from alphagrad.tuner import lease_ends, leases, results
from alphagrad.tuner.asked_trial import AskedTrial
from alphagrad.tuner.knobs import list_knobs, record_answer, request_knob
from alphagrad.tuner.messages import FinalState, KnobAnswer
from alphagrad.tuner.spec_reading import parse_spec
from tests.tuner.contract_base import SOME, WORKERS, Base, Held
from tests.tuner.contract_model import UPPER

STEPS = 4


class Workers(Base):
    """What workers do to trials, also those that have lost their lease and do not know it."""

    @precondition(lambda self: self.model.studies)
    @rule(worker=st.sampled_from(WORKERS))
    def claim(self, worker: str) -> None:
        claim = leases.claim(self.database, worker=worker, lease_seconds=600, tasks=["digits"])
        expected = self.model.claim(worker)
        if expected is None or claim is None:
            assert claim is None
            assert expected is None
            return
        study, place = expected
        slot = study.slots[place]
        assert (claim.study.name, claim.trial.slot, claim.fence) == (study.name, place, slot.fence)
        assert claim.trial.fixed_params == slot.fixed
        assert study.running <= study.parallelism
        self.held.append(Held(claim, worker, study, slot))

    @precondition(lambda self: self.held)
    @rule(which=SOME, dies=st.booleans())
    def ask(self, which: int, dies: bool) -> None:
        held = self.one_held(which)
        if held.claim.trial.number is not None:
            return
        asked = self._ask(held)
        self.asked_late |= not held.holds
        if dies:  # between Optuna's record and ours
            self.held.remove(held)
            return
        with self.stale(unless=held.holds):
            results.record_ask(self.database, held.claim, asked)
            held.slot.number = asked.number

    @precondition(lambda self: any(held.slot.number is not None for held in self.held))
    @rule(
        which=SOME,
        step=st.integers(0, STEPS - 1),
        value=st.sampled_from([0.25, 0.5, 2.0, math.nan, math.inf]),
    )
    def report(self, which: int, step: int, value: float) -> None:
        held = self.one_held(which)
        number, trial_id = held.claim.trial.number, held.claim.trial.optuna_trial_id
        if number is None or trial_id is None:
            return
        with self.stale(unless=held.holds):
            leases.check(self.database, trial_id=held.claim.trial.id, fence=held.claim.fence)
            spec = parse_spec(held.claim.study.spec)
            restarts = held.last_report is None and held.claim.fence > 1
            prune = self.optuna.report(
                self.optuna.study(spec, number=number),
                trial_id,
                step=step,
                value=value,
                restarts=restarts,
            )
            if restarts:
                for later in range(step + 1, STEPS):
                    held.slot.reports.pop(later, None)
            held.slot.reports[step] = held.last_report = value
            latest = held.slot.reports[max(held.slot.reports)]
            assert prune == (math.isnan(latest) or latest > UPPER)

    @precondition(lambda self: self.held)
    @rule(
        which=SOME,
        state=st.sampled_from(["COMPLETE", "PRUNED", "FAIL", "FAIL"]),
        value=st.sampled_from([-1.0, 0.0, 1e300]),
        retryable=st.booleans(),
        answer_lost=st.booleans(),
    )
    def finish(
        self, which: int, state: FinalState, value: float, retryable: bool, answer_lost: bool
    ) -> None:
        held = self.one_held(which)
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
        with self.stale(unless=held.holds or again):
            over = write()
            if held.holds:
                assert over == held.study.finish(held.slot, state, given, retryable)
                again = held.slot.state == state
        if answer_lost:
            with self.stale(unless=again):
                write()
        self.held.remove(held)

    @precondition(lambda self: self.held)
    @rule(which=SOME)
    def give_back(self, which: int) -> None:
        held = self.one_held(which)
        with self.stale(unless=held.holds):
            lease_ends.give_back(
                self.database, trial_id=held.claim.trial.id, fence=held.claim.fence
            )
            held.study.release(held.slot, "GIVEN_BACK")
        self.held.remove(held)

    @precondition(lambda self: self.held)
    @rule(which=SOME)
    def forget(self, which: int) -> None:
        """The worker dies: nothing is written."""
        self.held.remove(self.one_held(which))

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
    @rule(which=SOME, applied=st.booleans())
    def knob(self, which: int, applied: bool) -> None:
        held = self.one_held(which)
        trial = held.claim.trial
        with self.conflict(unless=held.slot.state == "RUNNING"):
            command = request_knob(self.database, trial, alpha=5.0)
            answer = KnobAnswer(id=command.id, applied=applied, step=1)
            with self.stale(unless=held.holds):
                record_answer(self.database, answer, trial_id=trial.id, fence=trial.fence)
            state = list_knobs(self.database, trial.id)[-1].state
            answered = "applied" if applied else "rejected"
            assert state == (answered if held.holds else "requested")

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

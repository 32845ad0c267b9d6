"""What the contract suite's rules share: the database under test, the model, and claims held."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import text

from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import ConflictError, StaleFenceError
from alphagrad.tuner.leases import Claim
from alphagrad.tuner.optuna_storage import OptunaStorage
from tests.tuner.contract_model import Model, Slot, Study

WORKERS = ("one", "two", "three")
SOME = st.integers(0, 999)
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


class Base(RuleBasedStateMachine):
    """The state of one run."""

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

    def study(self, which: int) -> Study:
        return self.model.studies[which % len(self.model.studies)]

    def one_held(self, which: int) -> Held:
        return self.held[which % len(self.held)]

    def slots(self) -> list[Slot]:
        return [slot for study in self.model.studies for slot in study.slots]

    def conflict(self, *, unless: bool) -> AbstractContextManager[Any]:
        return nullcontext() if unless else pytest.raises(ConflictError)

    def stale(self, *, unless: bool) -> AbstractContextManager[Any]:
        return nullcontext() if unless else pytest.raises(StaleFenceError)

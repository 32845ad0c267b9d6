"""The same stateful model of studies, trials and leases on SQLite and on PostgreSQL."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from alphagrad.tuner.database import Database
from alphagrad.tuner.optuna_storage import OptunaStorage
from tests.tuner.contract_machine import Contract

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "40"))


@pytest.mark.timeout(60 + EXAMPLES * 2)
def test_the_database_does_what_the_model_says(
    database: Database, optuna_storage: OptunaStorage
) -> None:
    class Bound(Contract):
        pass

    Bound.database, Bound.optuna = database, optuna_storage
    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )

"""A study's trials, run without processes: what a worker writes, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alphagrad.tuner import leases, results
from alphagrad.tuner.database import Database
from alphagrad.tuner.messages import FinalState, Metrics, Trace
from alphagrad.tuner.metrics import append_metrics
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settling import settle
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.traces import append_trace, record_layers

LAYERS = ["w", "b"]


def play(
    database: Database,
    storage: OptunaStorage,
    states: Sequence[FinalState],
    study: str | None = None,
) -> list[leases.Claim]:
    """Run a trial for each state, with two reports, two metrics and two rows of a trace."""
    return [play_one(database, storage, state, study) for state in states]


def play_one(
    database: Database,
    storage: OptunaStorage,
    state: FinalState | None,
    study: str | None = None,
) -> leases.Claim:
    """Run one trial up to its end, which Optuna is told; with no state it is left running."""
    claimed = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"], study=study)
    assert claimed is not None
    trial, spec = claimed.trial, StudySpec.model_validate(claimed.study.spec)
    asked = storage.ask(
        spec,
        optuna_study_id=claimed.study.optuna_study_id or 0,
        slot=trial.slot,
        resumed=False,
    )
    results.record_ask(database, claimed, asked)
    judged = storage.study(spec, number=asked.number)
    lease = (trial.id, claimed.fence)
    for step, value in ((1, 0.25), (2, float("inf"))):
        storage.report(judged, asked.optuna_trial_id, step=step, value=value, lease=lease)
    batch = Metrics(
        first=0, names=["a", "b"], which=[0, 1], steps=[1, 2], values=[0.5, float("nan")]
    )
    append_metrics(database, trial_id=trial.id, fence=claimed.fence, batch=batch)
    record_layers(database, trial_id=trial.id, fence=claimed.fence, names=LAYERS)
    alpha = np.array([[1.5, 2.5], [3.5, np.nan]], dtype=np.float32)
    trace = Trace(first=0, steps=[1, 2], alpha=alpha, saturation=alpha / np.float32(10))
    append_trace(database, trial_id=trial.id, fence=claimed.fence, trace=trace)
    if state is None:
        return claimed
    result = {"COMPLETE": 0.5 + asked.number, "PRUNED": 0.25, "FAIL": None}[state]
    error = 'a "quoted", reason\nof two lines' if state == "FAIL" else None
    results.finish(
        database,
        trial_id=trial.id,
        fence=claimed.fence,
        state=state,
        value=result,
        error=error,
    )
    settle(database)
    return claimed

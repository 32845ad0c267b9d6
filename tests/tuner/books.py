"""What our tables and Optuna's say about the same trials must agree."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from alphagrad.tuner.database import Database
from alphagrad.tuner.lists import list_trials


def check_books(database: Database, name: str, theirs: list[FrozenTrial]) -> None:
    """Our table and Optuna's agree, trial by trial, and nothing is left running."""
    ours = list_trials(database, name)
    assert [trial.number for trial in ours] == list(range(len(ours)))
    assert all(trial.told and trial.worker is None for trial in ours)
    assert {trial.state for trial in ours} <= {"COMPLETE", "PRUNED", "FAIL"}
    ended = [(trial.number, trial.state, trial.value) for trial in ours]
    assert [(trial.number, trial.state.name, trial.value) for trial in theirs] == ended
    for our, their in zip(ours, theirs, strict=True):
        assert their.params.items() <= (our.params or {}).items()

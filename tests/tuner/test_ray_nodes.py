"""A machine of a Ray cluster that is lost."""

from __future__ import annotations

from typing import Any

import pytest

from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.database import Database
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_store import get_study
from alphagrad.tuner.traces import read_trace
from tests.marks import on_sqlite
from tests.processes import command_line, descendants, parent
from tests.ray_nodes import RayNodes
from tests.tuner.books import check_books

LONG = {"epochs": 200, "batch_size": 256, "hidden_sizes": [8], "alpha": 30.0}


@on_sqlite
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_study_goes_on_when_a_node_is_killed(
    settings: TunerSettings, database: Database, submit: Any, until: Any, work: Any,
    optuna_trials: Any,
) -> None:  # fmt: skip
    """The driver is on the first node; a trial of the second is taken over by the first."""
    with RayNodes(cpus=1) as nodes:
        second = nodes.add(cpus=1)
        settings.ray_address = nodes.address
        submit(engine="ray", n_trials=2, parallelism=2, params=LONG)
        working = work()

        def machines() -> set[int]:
            """The raylets that have a seat."""
            seats = {pid for pid in descendants(nodes.pid) if b"ray::Seat" in command_line(pid)}
            return {parent(pid) for pid in seats}

        def speaking() -> int:
            running = [one for one in list_trials(database, "s") if one.state == "RUNNING"]
            return sum(len(read_trace(database, trial).steps) > 9 for trial in running)

        until(lambda: len(machines()) == 2 and speaking() == 2, seconds=240)
        nodes.kill(second)
        until(lambda: get_study(database, "s").ended, seconds=240)
        working.stop()
    assert get_study(database, "s").trials == {"COMPLETE": 2}
    trials = list_trials(database, "s")
    [lost] = [trial for trial in trials if trial.losses]
    assert (lost.attempt, lost.losses, lost.failures) == (2, 1, 0)
    assert [attempt.outcome for attempt in list_attempts(database, lost.id)] == ["LOST", "COMPLETE"]
    assert "resumed after epoch" in settings.log_path("s", lost.number or 0).read_text()
    check_books(database, "s", optuna_trials(database, "s"))

"""Studies that were run before an upgrade are the same after it, and those that wait are run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
from alembic.script import ScriptDirectory

from alphagrad.tuner.check import check_database
from alphagrad.tuner.database import Database
from alphagrad.tuner.export import export_study
from alphagrad.tuner.export_rows import TABLES
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.migrate import _config, migrate, newest_revision, revision
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_store import get_study
from tests.tuner.test_migrations import to_revision
from tests.tuner.working import run_to_its_end

Submit = Callable[..., StudyRow]
OptunaTrials = Callable[[Database, str], list[optuna.trial.FrozenTrial]]


def previous_revision() -> str:
    script = ScriptDirectory.from_config(_config()).get_revision("head")
    assert script is not None
    assert isinstance(script.down_revision, str)
    return script.down_revision


def test_an_upgrade_keeps_what_was_run_and_runs_what_waits(
    database: Database,
    settings: TunerSettings,
    submit: Submit,
    until: Callable[..., Any],
    optuna_trials: OptunaTrials,
) -> None:
    submit(name="before", n_trials=3)
    finish(database, settings, "before", until)
    submit(name="after", n_trials=2)
    before = everything(database, "before", optuna_trials)
    # What a study has is there to be lost.
    assert all(len(before[table].splitlines()) > 1 for table in TABLES)
    assert [trial["state"] for trial in before["optuna"]] == ["COMPLETE"] * 3

    to_revision(database, previous_revision())
    assert revision(database) == previous_revision()
    migrate(database)
    assert revision(database) == newest_revision()

    assert everything(database, "before", optuna_trials) == before
    assert check_database(database) == []
    finish(database, settings, "after", until)
    assert [trial.state for trial in list_trials(database, "after")] == ["COMPLETE"] * 2
    assert everything(database, "before", optuna_trials) == before
    assert check_database(database) == []


def finish(
    database: Database, settings: TunerSettings, name: str, until: Callable[..., Any]
) -> None:
    """Let a worker complete a study."""
    run_to_its_end(database, settings, name, until)
    assert get_study(database, name).row.state == "COMPLETED"


def everything(database: Database, name: str, optuna_trials: OptunaTrials) -> dict[str, Any]:
    """All that can be exported of a study, its state, and its trials as plain Optuna has them."""
    found: dict[str, Any] = {
        table: b"".join(export_study(database, name, what=table, format="csv")) for table in TABLES
    }
    status = get_study(database, name)
    found["study"] = (status.row.spec, status.row.state, status.best and status.best.number)
    found["optuna"] = [
        {
            "state": trial.state.name,
            "value": trial.value,
            "params": trial.params,
            "reports": trial.intermediate_values,
        }
        for trial in optuna_trials(database, name)
    ]
    return found

"""`db check` is silent about a sound database and names each fault, on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from alembic import command
from sqlalchemy import text

from alphagrad.tuner import check
from alphagrad.tuner.check import check_database
from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import _config
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from tests.tuner.by_hand import play, play_one


@pytest.fixture
def sound(
    database: Database, submit: Callable[..., StudyRow], optuna_storage: OptunaStorage
) -> Database:
    """A study that has ended, and one with a trial that runs."""
    submit(n_trials=3)
    play(database, optuna_storage, ["COMPLETE", "PRUNED", "FAIL"])
    submit(name="open", n_trials=2)
    play_one(database, optuna_storage, None)
    return database


def test_a_sound_database_has_no_faults(sound: Database) -> None:
    assert check_database(sound) == []


FAULTS = [
    ("UPDATE trials SET state = 'FAIL' WHERE trial_id = 1", "s/0: the trial has another state"),
    ("UPDATE trial_values SET value = 7 WHERE trial_id = 1", "s/0: the trial has another value"),
    ("DELETE FROM trial_values WHERE trial_id = 1", "s/0: the trial has another value"),
    ("UPDATE trials SET number = 9 WHERE trial_id = 2", "s/1: the trial has another number"),
    (
        "UPDATE alphagrad_trials SET optuna_trial_id = 999 WHERE slot = 2",
        "s/2: the trial is told, but not in Optuna's tables",
    ),
    (
        "UPDATE alphagrad_trials SET lease_expires_at = NULL WHERE state = 'RUNNING'",
        "open/0: the trial runs without a lease",
    ),
    (
        "UPDATE alphagrad_trials SET finished_at = NULL WHERE slot = 1",
        "s/1: the trial is finished without a time",
    ),
    ("UPDATE alphagrad_studies SET next_slot = 2 WHERE name = 's'", "s: the study's trials are"),
    ("DELETE FROM alphagrad_trials WHERE slot = 1", "s: the study's trials are not one per slot"),
    ("UPDATE alphagrad_studies SET n_trials = 2 WHERE name = 's'", "s: the study has started more"),
    (
        "UPDATE alphagrad_trials SET told = false WHERE slot = 2",
        "s/2: the study has ended, but not this trial",
    ),
    (
        "UPDATE trials SET state = 'RUNNING' WHERE trial_id = 3",
        "s/2: the study has ended, but Optuna has a trial of it that runs",
    ),
    (
        "UPDATE alphagrad_studies SET optuna_study_id = 99 WHERE name = 's'",
        "s: the study is not in Optuna's tables",
    ),
]


@pytest.mark.parametrize(("damage", "message"), FAULTS)
def test_each_fault_is_named(sound: Database, damage: str, message: str) -> None:
    with sound.engine.begin() as connection:
        assert connection.execute(text(damage)).rowcount == 1
    assert any(line.startswith(message) for line in check_database(sound)), check_database(sound)


def test_an_old_schema_is_named_and_the_rest_left_alone(sound: Database) -> None:
    config = _config()
    with sound.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        connection.commit()
    [line] = check_database(sound)
    assert line.startswith("schema revision 0001, not ")
    assert line.endswith("run alphagrad db upgrade")


def test_of_many_faults_some_are_shown(
    database: Database, submit: Callable[..., StudyRow], optuna_storage: OptunaStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(check, "SHOWN", 1)
    submit(n_trials=4)
    play(database, optuna_storage, ["COMPLETE"] * 4)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE trial_values SET value = -1"))
    found = check_database(database)
    assert len(found) == 2
    assert found[-1] == "and 3 more: the trial has another value in Optuna's tables"


def test_broken_files_and_indexes_are_found(sound: Database) -> None:
    if sound.is_sqlite:
        # Plain connections do not check foreign keys.
        with closing(sqlite3.connect(sound.url.database or "")) as connection:
            connection.execute("DELETE FROM trials WHERE trial_id = 3")
            connection.commit()
        assert any("names a missing row of trials" in line for line in check_database(sound))
        return
    with sound.engine.begin() as server:
        server.execute(
            text(
                "UPDATE pg_index SET indisvalid = false "
                "WHERE indexrelid = 'ix_alphagrad_trials_state_value'::regclass"
            )
        )
    assert check_database(sound) == [
        "index ix_alphagrad_trials_state_value is not valid: REINDEX it"
    ]

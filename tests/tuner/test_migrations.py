"""From one schema revision to the next, with data, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from sqlalchemy import inspect, text

from alphagrad.tuner import leases
from alphagrad.tuner.database import Database
from alphagrad.tuner.messages import Metrics
from alphagrad.tuner.metrics import append_metrics, read_metrics
from alphagrad.tuner.migrate import _config, migrate, newest_revision, revision
from alphagrad.tuner.study_store import get_trial

Rows = dict[str, list[dict[str, Any]]]

FIRST_LIGHT = [
    """INSERT INTO alphagrad_studies
       (id, name, spec, versions, state, n_trials, parallelism, next_slot, created_at)
       VALUES (3, 's', '{"task": "digits"}', '{}', 'RUNNING', 2, 2, 2, 1e9)""",
    """INSERT INTO alphagrad_trials
       (id, study_id, slot, number, state, seed, params, value, layers,
       attempt, failures, losses, fence, told)
       VALUES (5, 3, 0, 0, 'COMPLETE', 4294967295, '{"alpha": 2.5}', 0.5, '["w"]',
       1, 0, 0, 1, true)""",
    """INSERT INTO alphagrad_trials
       (id, study_id, slot, number, state, attempt, failures, losses, fence, told)
       VALUES (6, 3, 1, 1, 'WAITING', 1, 0, 1, 1, false)""",
    """INSERT INTO alphagrad_knobs (id, trial_id, layers, alpha, state, requested_at)
       VALUES (1, 5, '*', 0.5, 'rejected', 1e9)""",
    """INSERT INTO alphagrad_api_keys (id, name, role, hash, created_at)
       VALUES (1, 'mine', 'admin', 'abc', 1e9)""",
]

# Revision, table, column (none: the whole table), and what an upgrade finds in it.
NEWS: list[tuple[str, str, str | None, Any]] = [
    ("0002", "alphagrad_metrics", None, []),
    ("0002", "alphagrad_trials", "metrics", None),
    ("0003", "alphagrad_attempts", None, []),
    ("0003", "alphagrad_trials", "fixed_params", None),
    ("0003", "alphagrad_trials", "not_before", None),
    ("0003", "alphagrad_studies", "priority", 0),
    ("0003", "alphagrad_studies", "queue", None),
    ("0004", "alphagrad_trials", "objective_values", None),
    ("0004", "alphagrad_trials", "constraints", None),
    ("0004", "alphagrad_trials", "feasible", True),
    ("0004", "alphagrad_trials", "on_front", False),
    ("0005", "alphagrad_members", None, []),
    ("0005", "alphagrad_exploits", None, []),
]


@pytest.fixture
def old(database_url: str) -> Iterator[Database]:
    """A database as the first release left it, with rows in every table."""
    database = Database(database_url)
    to_revision(database, "0001")
    with database.engine.begin() as connection:
        for statement in FIRST_LIGHT:
            connection.execute(text(statement))
        trace = "INSERT INTO alphagrad_traces VALUES (1, 5, 1, 7, :alpha, :saturation)"
        connection.execute(text(trace), {"alpha": b"\0\0\x80?", "saturation": b"\0\0\0\0"})
    yield database
    database.dispose()


def to_revision(database: Database, wanted: str) -> None:
    """Up or down to a revision of our tables; Optuna's are left alone."""
    current = revision(database)
    config = _config()
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        move = command.upgrade if current is None or current < wanted else command.downgrade
        move(config, wanted)
        connection.commit()
    assert revision(database) == wanted


def contents(database: Database) -> Rows:
    """All rows of our tables."""
    tables = [t for t in inspect(database.engine).get_table_names() if t.startswith("alphagrad_")]
    with database.engine.connect() as connection:
        return {
            table: [
                dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()
            ]
            for table in tables
            if table != "alphagrad_alembic_version"
        }


def test_an_upgrade_keeps_every_row(old: Database) -> None:
    before = contents(old)
    assert all(before.values())
    assert len(before["alphagrad_trials"]) == 2
    migrate(old)
    assert revision(old) == newest_revision()
    assert without_news(contents(old), since="0001") == before


def test_an_upgrade_from_the_second_revision_keeps_the_metrics(old: Database) -> None:
    to_revision(old, "0002")
    with old.engine.begin() as connection:
        connection.execute(text("UPDATE alphagrad_trials SET metrics = '[\"a\"]' WHERE id = 5"))
        connection.execute(text("INSERT INTO alphagrad_metrics VALUES (5, 0, 1, 0, 3, 0.5)"))
    before = contents(old)
    migrate(old)
    assert without_news(contents(old), since="0002") == before
    steps, values = read_metrics(old, get_trial(old, "s", 0))["a"]
    assert (steps.tolist(), values.tolist()) == ([3], [0.5])


def without_news(rows: Rows, *, since: str) -> Rows:
    """Rows without the tables and columns that came after a revision, which must be as new."""
    for revision_of_it, table, column, value in NEWS:
        if revision_of_it <= since:
            continue
        if column is None:
            assert rows.pop(table) == value
        else:
            assert all(row.pop(column) == value for row in rows[table])
    return rows


def test_a_trial_from_before_the_upgrade_goes_on_with_metrics(old: Database) -> None:
    migrate(old)
    claimed = leases.claim(old, worker="w", lease_seconds=60, tasks=["digits"])
    assert claimed is not None
    assert (claimed.trial.id, claimed.fence) == (6, 2)
    batch = Metrics(first=0, names=["a"], which=[0, 0], steps=[1, 2], values=[0.5, 0.25])
    append_metrics(old, trial_id=6, fence=2, batch=batch)
    steps, values = read_metrics(old, get_trial(old, "s", 1))["a"]
    assert (steps.tolist(), values.tolist()) == ([1, 2], [0.5, 0.25])
    assert read_metrics(old, get_trial(old, "s", 0)) == {}


@pytest.mark.parametrize("newest", ["0002", "0003", "0004", "0005"])
def test_a_downgrade_gives_up_what_is_new_alone(old: Database, newest: str) -> None:
    before = contents(old)
    to_revision(old, newest)
    to_revision(old, "0001")
    assert contents(old) == before

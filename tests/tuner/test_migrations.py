"""From one schema revision to the next, with data, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from alphagrad.tuner import leases, webhook_models  # noqa: F401  (their table, for Base)
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import NewerDatabaseError
from alphagrad.tuner.messages import Metrics
from alphagrad.tuner.metrics import append_metrics, read_metrics
from alphagrad.tuner.migrate import VERSION_TABLE, _config, migrate, newest_revision, revision
from alphagrad.tuner.models import Base
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
    ("0008", "alphagrad_events", None, []),
    ("0008", "alphagrad_webhooks", None, []),
    ("0009", "alphagrad_audit", None, []),
    ("0009", "alphagrad_studies", "owner", None),
    ("0009", "alphagrad_api_keys", "last_used_at", None),
    ("0009", "alphagrad_api_keys", "expires_at", None),
    ("0009", "alphagrad_api_keys", "revoked_at", None),
    ("0009", "alphagrad_api_keys", "previous_hash", None),
    ("0009", "alphagrad_api_keys", "previous_until", None),
    ("0009", "alphagrad_api_keys", "max_open_studies", None),
    ("0009", "alphagrad_api_keys", "max_running_trials", None),
    ("0009", "alphagrad_api_keys", "max_requests_per_minute", None),
    ("0010", "alphagrad_attempts", "samples", 0),
    ("0010", "alphagrad_attempts", "values", 0),
    ("0010", "alphagrad_attempts", "prune_reason", None),
    ("0011", "alphagrad_histograms", None, []),
    ("0011", "alphagrad_idempotency", None, []),
    ("0011", "alphagrad_workers", None, []),
]

# What each revision can hold that the one before could not.
ADDED: dict[str, list[str]] = {
    "0001": [],  # the fixture has filled it
    "0002": [
        "UPDATE alphagrad_trials SET metrics = '[\"a\"]' WHERE id = 5",
        "INSERT INTO alphagrad_metrics VALUES (5, 0, 1, 0, 3, 0.5)",
    ],
    "0003": [
        """INSERT INTO alphagrad_attempts VALUES (5, 1, 'w', 1e9, 1e9, 'COMPLETE', NULL)""",
        """UPDATE alphagrad_trials SET fixed_params = '{"alpha": 2.5}', not_before = 1e9
           WHERE id = 6""",
        """UPDATE alphagrad_studies SET priority = 3, queue = '[{"alpha": 2.5}]'""",
    ],
    "0004": [
        """UPDATE alphagrad_trials SET objective_values = '[0.5, 1.5]', feasible = false,
           constraints = '{"c": 1.0}' WHERE id = 5""",
    ],
    "0005": [
        "INSERT INTO alphagrad_members VALUES (5, 10, 0.5, 1)",
        """INSERT INTO alphagrad_exploits VALUES
           (1, 6, 1, 10, 0.25, '{"a": 1.5}', 5, 12, 0.5, '{"a": 2.5}', '{"a": 3}', 1e9)""",
    ],
    "0007": [],  # indexes
    "0008": [
        """INSERT INTO alphagrad_events VALUES
           (1, 'trial.ended', 'gone', 3, '{"state": "FAIL"}', 1e9)""",
        """INSERT INTO alphagrad_webhooks
           (id, url, events, secret, position, failures, created_at)
           VALUES (1, 'https://example.org/', '["*"]', 'whsec_', 1, 0, 1e9)""",
    ],
    "0009": [
        "UPDATE alphagrad_studies SET owner = 'mine'",
        """UPDATE alphagrad_api_keys SET last_used_at = 1e9, expires_at = 2e9, revoked_at = 1e9,
           previous_hash = 'def', previous_until = 1e9, max_open_studies = 1,
           max_running_trials = 2, max_requests_per_minute = 3""",
        """INSERT INTO alphagrad_audit VALUES
           (1, 1e9, 'mine', 'admin', 'POST', '/v1/studies/s:stop', 's', 202, 'r', '127.0.0.1')""",
    ],
    "0010": [
        """UPDATE alphagrad_attempts SET samples = 7, "values" = 8,
           prune_reason = 'by the median pruner at step 3' WHERE trial_id = 5""",
    ],
    "0011": [
        "INSERT INTO alphagrad_histograms VALUES (1, 5, '*', 60, 'requested', NULL, NULL, 1e9)",
        """INSERT INTO alphagrad_idempotency VALUES
           ('key:1', 'k', 'abc', NULL, NULL, 202, '[]', NULL, 1e9)""",
        "INSERT INTO alphagrad_workers VALUES ('w', 'optuna', 2, 1, 0, 0, 1e9)",
    ],
}


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


@pytest.mark.parametrize("start", list(ADDED))
def test_an_upgrade_from_every_revision_keeps_every_row(old: Database, start: str) -> None:
    add_up_to(old, start)
    before = contents(old)
    assert all(before.values())
    migrate(old)
    assert revision(old) == newest_revision()
    assert without_news(contents(old), since=start) == before
    assert check_tables(old) == []


def test_every_revision_has_data_to_be_kept() -> None:
    revisions = ScriptDirectory.from_config(_config()).walk_revisions()
    assert list(ADDED) == sorted(found.revision for found in revisions)


def test_metrics_of_the_second_revision_can_be_read(old: Database) -> None:
    add_up_to(old, "0002")
    migrate(old)
    steps, values = read_metrics(old, get_trial(old, "s", 0))["a"]
    assert (steps.tolist(), values.tolist()) == ([3], [0.5])


def add_up_to(database: Database, last: str) -> None:
    """Go up to a revision, and fill in what each one on the way has brought."""
    for name, statements in ADDED.items():
        if name > last:
            return
        if name != "0001":
            to_revision(database, name)
        with database.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))


def check_tables(database: Database) -> list[Any]:
    """What differs between the migrated tables and those that the code declares."""

    def ours(name: str | None, kind: str, parents: Any) -> bool:
        return kind != "table" or str(name).startswith("alphagrad_")

    with database.engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "include_name": ours, "compare_type": False}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Base.metadata))


def without_news(rows: Rows, *, since: str) -> Rows:
    """Rows without the tables and columns that came after a revision, which must be as new."""
    for revision_of_it, table, column, value in NEWS:
        if revision_of_it <= since:
            continue
        if column is None:
            assert rows.pop(table) == value
        else:
            assert all(row.pop(column) == value for row in rows.get(table, []))
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


@pytest.mark.parametrize("newest", list(ADDED)[1:])
def test_a_downgrade_gives_up_what_is_new_alone(old: Database, newest: str) -> None:
    before = contents(old)
    to_revision(old, newest)
    to_revision(old, "0001")
    assert contents(old) == before


def test_a_database_of_a_newer_version_is_refused_as_it_is(old: Database) -> None:
    migrate(old)
    with old.engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    before = contents(old)
    with pytest.raises(NewerDatabaseError, match=f"revision 9999, .* up to {newest_revision()}:"):
        migrate(old)
    assert contents(old) == before
    assert revision(old) == "9999"

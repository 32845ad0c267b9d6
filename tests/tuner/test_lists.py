"""Lists with filters: what is found, and that no list of trials reads them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import event, insert

from alphagrad.tuner.database import Database
from alphagrad.tuner.lists import list_studies, list_trials
from alphagrad.tuner.models import StudyRow, TrialRow

MANY = 5000
STATES = ("COMPLETE", "COMPLETE", "PRUNED", "FAIL", "COMPLETE")


@pytest.fixture
def filled(database: Database) -> Database:
    """Two studies, one of many trials; every hundredth is infeasible."""
    with database.write() as session:
        for name, task in (("many", "digits"), ("Many", "dqn"), ("a_b", "digits"), ("axb", "dqn")):
            state = "RUNNING" if name == "many" else "QUEUED"
            session.add(
                StudyRow(
                    name=name,
                    spec={"task": task, "direction": "maximize"},
                    versions={},
                    state=state,
                    n_trials=MANY,
                    parallelism=1,
                    created_at=1e9,
                )
            )
        session.flush()
        rows = [
            {
                "study_id": 1,
                "slot": number,
                "number": number,
                "state": STATES[number % 5],
                "value": 0.5,
                "feasible": number % 100 != 7,
                "told": True,
                "attempt": 1,
                "failures": 0,
                "losses": 0,
                "fence": 1,
            }
            for number in range(MANY)
        ]
        session.execute(insert(TrialRow), rows)
    if not database.is_sqlite:
        with database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")
    return database


def test_studies_are_filtered_and_ordered(filled: Database) -> None:
    def names(**filters: Any) -> list[str]:
        start = 2**31 if filters.get("order") == "newest" else 0
        found = list_studies(filled, **{"after": start} | filters)
        return [status.row.name for status in found]

    assert names() == ["many", "Many", "a_b", "axb"]
    assert names(order="newest", limit=3) == ["axb", "a_b", "Many"]
    assert names(order="newest", after=3) == ["Many", "many"]
    assert names(states=["QUEUED"]) == ["Many", "a_b", "axb"]
    assert names(states=["QUEUED", "RUNNING"], task="digits") == ["many", "a_b"]
    assert names(name="m*") == ["many"]
    assert names(name="?any") == ["many", "Many"]
    assert names(name="a_?") == ["a_b"]
    assert names(name="a%") == names(name="[m]any") == names(name="a\\") == []


def test_trials_are_filtered_in_the_order_of_their_numbers(filled: Database) -> None:
    def numbers(**filters: Any) -> list[int | None]:
        return [trial.number for trial in list_trials(filled, "many", limit=5, **filters)]

    assert numbers(states=["PRUNED", "FAIL"]) == [2, 3, 7, 8, 12]
    assert numbers(states=["PRUNED", "FAIL"], after=8) == [12, 13, 17, 18, 22]
    assert numbers(feasible=False) == [7, 107, 207, 307, 407]
    assert numbers(feasible=True, after=5) == [6, 8, 9, 10, 11]
    assert numbers(feasible=False, states=["PRUNED"], after=4800) == [4807, 4907]
    assert numbers(states=[]) == []


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"states": ["FAIL"]},
        {"states": ["PRUNED", "FAIL"]},
        {"feasible": False},
        {"feasible": True},
        {"states": ["COMPLETE"], "feasible": False},
    ],
    ids=str,
)
def test_a_page_is_read_along_an_index(filled: Database, filters: dict[str, Any]) -> None:
    statements: list[tuple[str, Any]] = []

    def note(c: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if "FROM alphagrad_trials" in statement:
            statements.append((statement, parameters))

    event.listen(filled.engine, "before_cursor_execute", note)
    list_trials(filled, "many", after=MANY // 2, limit=100, **filters)
    event.remove(filled.engine, "before_cursor_execute", note)
    assert statements
    for statement, parameters in statements:
        plan = explain(filled, statement, parameters)
        assert "alphagrad_trials" in " ".join(plan)
        for line in plan:
            assert "SCAN" not in line, plan
            assert "Seq Scan" not in line, plan
            assert "TEMP B-TREE" not in line, plan
            assert "Sort" not in line, plan


def explain(database: Database, statement: str, parameters: Any) -> Sequence[str]:
    word = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{word} {statement}", parameters).all()
    return [str(row[-1]) for row in rows]

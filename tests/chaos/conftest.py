"""Fixtures of the chaos suite: how much of it to run, its figures, and its processes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate
from tests.chaos.books import Books
from tests.chaos.service import Place
from tests.marks import FULL

Scale = Callable[[int, int], int]
Record = Callable[..., None]
_FIGURES: list[dict[str, Any]] = []


@pytest.fixture(scope="session")
def scale() -> Scale:
    """Chooses between the amount that runs with all tests, and that of ``make chaos``."""
    return lambda small, large: large if FULL else small


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Keeps what a test measured, for the table at the end."""
    began = time.monotonic()

    def record(what: str, **figures: Any) -> None:
        _FIGURES.append({"what": what, **figures, "seconds": round(time.monotonic() - began)})

    return record


@pytest.fixture
def place(tmp_path: Path, database_url: str) -> Iterator[Place]:
    """Processes on the test's database, which is migrated; all are killed at the end."""
    database = Database(database_url)
    migrate(database)
    database.dispose()
    place = Place(tmp_path, database_url)
    try:
        yield place
    finally:
        place.kill_all()


@pytest.fixture
def books(place: Place) -> Iterator[Books]:
    """The books of the test's studies."""
    database = Database(place.url)
    yield Books(database, place.journal)
    database.dispose()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was measured, and write it where ``CHAOS_FIGURES`` says."""
    if not _FIGURES:
        return
    terminalreporter.section("chaos")
    for one in _FIGURES:
        figures = ", ".join(f"{name} {value}" for name, value in one.items() if name != "what")
        terminalreporter.write_line(f"{one['what']}: {figures}")
    if path := os.environ.get("CHAOS_FIGURES"):
        Path(path).write_text(json.dumps(_FIGURES, indent=1) + "\n", encoding="utf-8")

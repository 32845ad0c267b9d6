"""Workers, trials, supervisors and servers killed at random moments: nothing is lost or doubled."""

from __future__ import annotations

import os

import pytest

from tests.chaos.books import Books
from tests.chaos.conftest import Record, Scale
from tests.chaos.service import Place
from tests.chaos.storm import storm
from tests.marks import on_postgresql_or_both


@on_postgresql_or_both  # on SQLite with all tests: tests/tuner/test_worker.py
@pytest.mark.timeout(3600)
def test_sigkill_at_random_moments(
    place: Place, books: Books, scale: Scale, record: Record
) -> None:
    seed = int(os.environ.get("CHAOS_SEED", "1"))
    print(f"CHAOS_SEED={seed}")  # noqa: T201
    done = storm(
        place,
        books,
        kills=scale(3, 260),
        n_trials=scale(6, 40),
        workers=("one", "two")[: scale(1, 2)],
        seed=seed,
    )
    counts = books.check()
    record(f"SIGKILLs, {books.database.url.get_backend_name()}", **done, **counts)

"""A database that goes away, a lock that stays: studies go on by themselves."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.spec import StudySpec
from tests.chaos.books import Books
from tests.chaos.conftest import Record, Scale
from tests.chaos.outage import at_work, ends, status_while_away
from tests.chaos.service import Place
from tests.chaos.storm import body
from tests.conftest import need
from tests.marks import on_sqlite
from tests.postgres import PostgresServer, find_program
from tests.tuner.asker import Asker


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for this test alone."""
    if find_program("initdb") is None:
        need("PostgreSQL")
    with PostgresServer() as server:
        with psycopg.connect(f"{server.url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE chaos")
        yield server


@pytest.mark.timeout(900)
def test_a_postgresql_server_that_restarts(
    server: PostgresServer, tmp_path: Path, scale: Scale, record: Record
) -> None:
    database = Database(f"{server.url}/chaos")
    migrate(database)
    place = Place(tmp_path, f"{server.url}/chaos")
    books = Books(database, place.journal)
    restarts, chance = scale(2, 20), random.Random(1)
    try:
        at_work(place, books, n_trials=10 * restarts, workers=scale(1, 2))
        for number in range(restarts):
            server.stop("immediate" if number % 2 == 0 else "fast")
            assert status_while_away(place) == {503}
            time.sleep(chance.uniform(0.0, 2 * place.lease))  # a lease may run out meanwhile
            server.start()
            time.sleep(chance.uniform(0.5, 3.0))
        ends(books, seconds=120)
        assert place.mend() == 0  # nobody had to be started again
        assert "the database is away, trying again" in place.log
        record("PostgreSQL restarts in mid-study", restarts=restarts, **books.check())
    finally:
        place.kill_all()
        database.dispose()


def test_what_optuna_drew_outlives_a_crash_before_our_row_has_it(server: PostgresServer) -> None:
    """Else the row, written as soon as the server is back, names a trial that Optuna has lost."""
    database = Database(f"{server.url}/chaos")
    migrate(database)
    storage = OptunaStorage(database)
    try:
        asker = Asker(storage, StudySpec.model_validate(body("s", n_trials=2)))
        drawn = []
        for slot in range(2):
            drawn.append(asker.ask(slot))
            server.stop("immediate")
            server.start()
        stored = storage.rdb.get_all_trials(asker.study_id)
        assert [(trial.number, trial.params["x"]) for trial in stored] == [
            (asked.number, asked.params["x"]) for asked in drawn
        ]
    finally:
        storage.dispose()
        database.dispose()


LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


@on_sqlite
@pytest.mark.timeout(300)
def test_a_lock_that_another_process_holds(
    place: Place, books: Books, scale: Scale, record: Record
) -> None:
    seconds = scale(6, 30)  # longer than a lease
    at_work(place, books, n_trials=20, workers=scale(1, 2))
    path = books.database.url.database
    command = [sys.executable, "-c", LOCK, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        client = place.client()
        assert client is not None
        with client:
            assert client.get("/v1/studies/s").status_code == 200  # readers do not wait
        before = books.look()
        time.sleep(seconds / 2)
        assert books.look() == before  # nothing can be written
        assert holder.wait(60) == 0
    ends(books, seconds=60)
    assert place.mend() == 0
    counts = books.check()
    assert counts["attempts"] == 20  # nobody was taken for dead
    record("a SQLite lock in mid-study", held=f"{seconds} s", **counts)

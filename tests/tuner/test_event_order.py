"""Who has seen an event never misses one before it, whatever the writers do."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from alphagrad.tuner import events
from alphagrad.tuner.database import Database
from alphagrad.tuner.models import StudyRow
from tests.marks import on_postgresql

Submit = Callable[..., StudyRow]
WRITERS = 6
EACH = 25


@contextmanager
def slow_to_commit(database: Database, seconds: Callable[[], float]) -> Iterator[Database]:
    """The same database, on which a commit waits a while after the transaction's last statement."""
    opened = Database(database.url.render_as_string(hide_password=False))
    event.listen(opened.engine, "commit", lambda connection: time.sleep(seconds()))
    yield opened
    opened.dispose()


def say(session: Session, study_id: int, count: int = 1) -> None:
    for _ in range(count):
        events.emit(session, "study.changed", study_id=study_id, state="PAUSED", finished=False)


def test_a_reader_beside_many_writers_sees_every_event_once_in_order(
    database: Database, submit: Submit
) -> None:
    study_id = submit().id

    def write(seed: int) -> None:
        dice = random.Random(seed)
        with slow_to_commit(database, lambda: dice.random() * 0.01) as own:
            for _ in range(EACH):
                own.retry(lambda session: say(session, study_id, dice.randrange(1, 4)))

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    looks = 0
    while any(writer.is_alive() for writer in writers):
        seen += [one.id for one in events.read(database, after=seen[-1] if seen else 0)]
        looks += 1
    seen += [one.id for one in events.read(database, after=seen[-1])]
    with database.read() as session:
        there = list(session.scalars(text("SELECT id FROM alphagrad_events ORDER BY id")))
    assert looks > 20
    assert len(there) > WRITERS * EACH
    assert seen == there


def test_what_commits_after_a_stream_begins_has_a_larger_id(
    database: Database, submit: Submit
) -> None:
    study_id = submit().id
    between, go_on = threading.Event(), threading.Event()

    def write() -> None:
        def wait() -> float:
            between.set()
            go_on.wait(10)
            return 0.0

        with slow_to_commit(database, wait) as own:
            own.retry(lambda session: say(session, study_id))

    writer = threading.Thread(target=write)
    writer.start()
    assert between.wait(10)
    if not database.is_sqlite:  # there a second writer waits for the first one's commit anyway
        threading.Timer(0.3, go_on.set).start()
        database.retry(lambda session: say(session, study_id))
    newest = events.newest(database)
    with database.read() as session:
        there = list(session.scalars(text("SELECT id FROM alphagrad_events ORDER BY id")))
    go_on.set()
    writer.join()
    # On PostgreSQL it has waited for the one in between.
    assert (newest, there) == ((1, [1]) if database.is_sqlite else (3, [1, 2, 3]))
    assert len(events.read(database, after=1)) == (1 if database.is_sqlite else 2)


def test_a_transaction_that_is_run_again_tells_its_events_once(
    database: Database, submit: Submit
) -> None:
    study_id = submit().id
    runs: list[int] = []

    def operation(session: Session) -> None:
        runs.append(1)
        say(session, study_id)
        if len(runs) == 1:
            if database.is_sqlite:
                session.execute(text("SELECT no_such_function()"))
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    database.retry(operation)
    assert len(runs) == 2
    assert len(events.read(database, after=1)) == 1


@on_postgresql
def test_a_writer_that_vanishes_holds_up_the_others_for_a_while_only(
    database: Database, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A writer's lock on SQLite ends with its process.
    monkeypatch.setattr(events, "_WRITER", text(str(events._WRITER).replace("10s", "500ms")))
    study_id = submit().id
    failed: list[Any] = []

    def vanish() -> None:
        with slow_to_commit(database, lambda: 1.5) as own:
            try:
                with own.write() as session:
                    say(session, study_id)
            except DBAPIError as error:
                failed.append(error)

    gone = threading.Thread(target=vanish)
    gone.start()
    time.sleep(0.2)  # so that it has the lock; the outcome does not depend on it
    database.retry(lambda session: say(session, study_id))
    assert len(events.read(database, after=1)) == 1
    gone.join()
    assert len(failed) == 1
    assert len(events.read(database, after=1)) == 1

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import QueuePool

from alphagrad.tuner import database as database_module
from alphagrad.tuner.database import (
    Database,
    db_now,
    is_outage,
    parse_url,
    retry_on_disconnect,
)
from alphagrad.tuner.migrate import VERSION_TABLE, migrate, newest_revision, revision
from alphagrad.tuner.models import Base, StudyRow
from tests.marks import on_postgresql

# One process imports everything and forks six: they begin together, and cost one import.
MIGRATE_AT_ONCE = """
import multiprocessing, sys
from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate, newest_revision, revision

fork = multiprocessing.get_context("fork")
start = fork.Barrier(6)

def run():
    database = Database(sys.argv[1])
    start.wait()
    migrate(database)
    assert revision(database) == newest_revision() != None

processes = [fork.Process(target=run) for _ in range(6)]
for process in processes:
    process.start()
for process in processes:
    process.join()
sys.exit(any(process.exitcode for process in processes))
"""


def test_six_processes_migrate_an_empty_database_at_once(database_url: str) -> None:
    command = [sys.executable, "-W", "error", "-c", MIGRATE_AT_ONCE, database_url]
    subprocess.run(command, check=True, timeout=60)
    database = Database(database_url)
    assert revision(database) == newest_revision()
    with database.engine.connect() as connection:
        versions = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).all()
    assert len(versions) == 1
    database.dispose()


def test_migrating_again_changes_nothing(database: Database) -> None:
    insert_study(database, "kept")
    migrate(database)
    assert revision(database) == newest_revision()
    assert names(database) == ["kept"]


def test_an_empty_database_has_no_revision(database_url: str) -> None:
    empty = Database(database_url)
    assert revision(empty) is None
    empty.dispose()


def test_migrating_makes_the_folder_of_the_database(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/some/folder/a.db")
    migrate(database)
    assert (tmp_path / "some/folder/a.db").exists()
    database.dispose()


def test_the_migration_makes_what_the_models_say(database: Database) -> None:
    def ours(name: str | None, kind: str, parents: object) -> bool:
        return kind != "table" or name in Base.metadata.tables

    options = {"compare_type": True, "include_name": ours}
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
        # The comparison sees a difference where there is one.
        connection.execute(text("ALTER TABLE alphagrad_studies ADD COLUMN more INTEGER"))
        assert len(compare_metadata(context, Base.metadata)) == 1
        connection.rollback()


def test_optunas_tables_live_beside_ours(database: Database) -> None:
    tables = set(inspect(database.engine).get_table_names())
    assert tables > {"alphagrad_studies", VERSION_TABLE, "studies", "trials", "alembic_version"}


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:secret@db/a",
        "postgresql+psycopg2://root:secret@db/a",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite+aiosqlite:///a.db",
    ],
)
def test_other_databases_are_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="allowed are") as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "", "/var/lib/alphagrad.db"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///FILE"):
        parse_url(url)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_is_reached_with_our_driver(scheme: str) -> None:
    url = parse_url(f"{scheme}://me:secret@db:5433/a?sslmode=require")
    assert url.drivername == "postgresql+psycopg"
    assert (url.password, url.port, url.database) == ("secret", 5433, "a")
    assert url.query == {"sslmode": "require"}


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/a.db")
    migrate(database)
    return database


def insert_study(database: Database, name: str) -> None:
    with database.write() as session:
        session.add(
            StudyRow(
                name=name, spec={}, versions={}, state="QUEUED", n_trials=1, parallelism=1,
                created_at=0.0,
            )
        )  # fmt: skip


def names(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(StudyRow.name).order_by(StudyRow.name)))


def test_on_sqlite_a_writer_holds_the_lock_before_its_first_statement(sqlite: Database) -> None:
    impatient = Database(str(sqlite.url))
    with sqlite.write() as session:
        session.connection()  # begins the transaction; nothing is read or written yet
        with impatient.engine.connect() as other:
            other.rollback()
            reads = other.execution_options(alphagrad_reads_only=True)
            reads.exec_driver_sql("PRAGMA busy_timeout = 50")
            reads.rollback()
            with pytest.raises(OperationalError, match="locked"):
                reads.execution_options(alphagrad_reads_only=False).execute(select(1))
    impatient.dispose()
    sqlite.dispose()


def test_on_sqlite_readers_do_not_wait_for_a_writer(sqlite: Database) -> None:
    insert_study(sqlite, "a")
    with sqlite.write() as session:
        session.execute(text("UPDATE alphagrad_studies SET name = 'b'"))
        assert names(sqlite) == ["a"]
    assert names(sqlite) == ["b"]
    sqlite.dispose()


def test_writers_wait_for_each_other(database: Database) -> None:
    # Eight threads add one to the same number: an update that is lost shows.
    insert_study(database, "a")

    def add() -> None:
        for _ in range(5):
            with database.write() as session:
                row = session.scalars(select(StudyRow).with_for_update()).one()
                row.n_trials += 1

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.scalars(select(StudyRow.n_trials)).one() == 41


def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    def delete_and_raise() -> None:
        with database.write() as session:
            session.execute(text("DELETE FROM alphagrad_studies"))
            raise ZeroDivisionError

    insert_study(database, "a")
    with pytest.raises(ZeroDivisionError):
        delete_and_raise()
    assert names(database) == ["a"]


def test_the_databases_clock_runs_within_a_transaction(
    database: Database, until: Callable[..., object]
) -> None:
    with database.read() as session:
        first = session.scalar(select(db_now()))
        assert first == pytest.approx(time.time(), abs=5.0)
        until(lambda: (session.scalar(select(db_now())) or 0.0) > first + 0.002)


@on_postgresql
def test_a_connection_that_the_server_cut_is_replaced(database: Database) -> None:
    insert_study(database, "a")
    runs = 0

    def operation() -> list[str]:
        nonlocal runs
        runs += 1
        with database.write() as session:
            found = list(session.scalars(select(StudyRow.name)))
            if runs == 1:
                pid = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar()
                with database.engine.connect() as other:
                    other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
                session.execute(select(StudyRow.name))
        return found

    assert retry_on_disconnect(operation) == ["a"]
    assert runs == 2


def test_a_mistake_is_not_tried_again(database: Database) -> None:
    runs = 0

    def operation() -> None:
        nonlocal runs
        runs += 1
        insert_study(database, "a")
        insert_study(database, "a")

    with pytest.raises(IntegrityError):
        retry_on_disconnect(operation)
    assert runs == 1


def test_a_pool_without_a_free_connection_is_an_outage(sqlite: Database) -> None:
    pool = sqlite.engine.pool
    assert isinstance(pool, QueuePool)
    pool._timeout = 0.05
    with ExitStack() as taken:
        for _ in range(15):
            taken.enter_context(sqlite.engine.connect())
        with pytest.raises(OperationalError, match="QueuePool limit") as caught:
            sqlite.engine.connect()
        assert is_outage(caught.value)
    with sqlite.read() as session:
        assert session.scalar(select(1)) == 1


def test_an_outage_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.2)
    away = Database(f"sqlite:///{tmp_path}/no/such/folder/a.db")
    with pytest.raises(OperationalError):
        away.retry(lambda session: session.execute(select(1)))
    away.dispose()

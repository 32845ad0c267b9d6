"""A disk that is full for a while: nothing is lost, and work goes on once there is space."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate
from tests.chaos.books import Books
from tests.chaos.conftest import Record, Scale
from tests.chaos.outage import at_work, ends, status_while_away
from tests.chaos.service import Place
from tests.conftest import need
from tests.postgres import PostgresServer, find_program


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """A file system in memory that soon is full."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "chaos", str(folder)]
    if os.geteuid() != 0 or subprocess.run(["mount", *options]).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all space that is left."""
    filler = disk / "filler"
    with filler.open("wb") as file, suppress(OSError):
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    os.write(file.fileno(), b"\0" * size)
    return filler


@pytest.mark.timeout(300)
def test_a_full_disk_under_sqlite_and_checkpoints(
    tmp_path: Path, scale: Scale, record: Record
) -> None:
    with small_disk(tmp_path / "home", megabytes=32) as disk:
        _study_on_a_full_disk(tmp_path, f"sqlite:///{disk}/a.db", disk, scale, record)


@pytest.mark.timeout(300)
def test_a_full_disk_under_postgresql(tmp_path: Path, scale: Scale, record: Record) -> None:
    if find_program("initdb") is None:
        need("PostgreSQL")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)  # pytest's folders are its user's; PostgreSQL is another
    with small_disk(tmp_path / "disk", megabytes=160) as disk, PostgresServer(disk) as server:
        with psycopg.connect(f"{server.url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE chaos")
        _study_on_a_full_disk(tmp_path, f"{server.url}/chaos", disk, scale, record)


def _study_on_a_full_disk(
    folder: Path, url: str, disk: Path, scale: Scale, record: Record
) -> None:
    database = Database(url)
    migrate(database)
    place = Place(folder, url)
    books = Books(database, place.journal)
    seconds = scale(4, 30)
    try:
        # No retries: a trial that failed for want of space would be lost.
        at_work(place, books, n_trials=20, retries=0, pause=0.1)
        time.sleep(2.0)
        filler = fill(disk)
        time.sleep(seconds)
        said = status_while_away(place)
        filler.unlink()
        assert said <= {200, 503}, said
        ends(books, seconds=120)
        assert place.mend() == 0
        counts = books.check()
        assert "FAIL" not in books.states()
        kind = database.url.get_backend_name()
        record(f"a full disk, {kind}", full=f"{seconds} s", **counts)
    finally:
        place.kill_all()
        database.dispose()

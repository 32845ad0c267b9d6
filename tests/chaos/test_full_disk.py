"""A disk that is full for a while: nothing is lost, and work goes on once there is space."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
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

pytestmark = pytest.mark.long


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """A file system in memory that soon is full."""
    folder.parent.chmod(0o755)
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


@pytest.mark.timeout(400)
def test_a_full_disk_under_sqlite(tmp_path: Path, scale: Scale, record: Record) -> None:
    with small_disk(tmp_path / "home", megabytes=32) as disk:
        url = f"sqlite:///{disk}/a.db"
        log = _study_on_a_full_disk(tmp_path, url, disk, "sqlite", scale, record)
    assert "the database is away, trying again: database or disk is full" in log


@pytest.mark.timeout(400)
def test_a_full_disk_under_postgresql(tmp_path: Path, scale: Scale, record: Record) -> None:
    if find_program("initdb") is None:
        need("PostgreSQL")
    # PostgreSQL runs as another user, who may not enter pytest's folders.
    # Its journal is on another disk: without space for that it stops, and has to be started again.
    with (
        tempfile.TemporaryDirectory(prefix="alphagrad-disk-") as folder,
        small_disk(Path(folder) / "disk", megabytes=96) as disk,
        PostgresServer(disk, journal_elsewhere=True) as server,
    ):
        with psycopg.connect(f"{server.url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE chaos")
        url = f"{server.url}/chaos"
        log = _study_on_a_full_disk(tmp_path, url, disk, "postgresql", scale, record)
    assert "No space left on device" in log


@pytest.mark.timeout(400)
def test_a_full_disk_under_checkpoints_and_logs(
    tmp_path: Path, new_postgres: Callable[[], str], scale: Scale, record: Record
) -> None:
    with small_disk(tmp_path / "home", megabytes=8) as disk:
        url, what = new_postgres(), "checkpoints and logs"
        log = _study_on_a_full_disk(tmp_path, url, disk, what, scale, record)
    assert "is put off: OSError: [Errno 28] No space left on device" in log


def _study_on_a_full_disk(
    folder: Path, url: str, disk: Path, what: str, scale: Scale, record: Record
) -> str:
    """Run a study on a disk that is full for a while; gives what its workers logged."""
    database = Database(url)
    migrate(database)
    place = Place(folder, url)
    books = Books(database, place.journal)
    seconds = scale(4, 30)
    try:
        # No retries: a trial that failed for want of space would be lost.
        at_work(place, books, n_trials=scale(12, 60), workers=scale(1, 2), retries=0, pause=0.1)
        filler = fill(disk)
        time.sleep(seconds)
        said = status_while_away(place)
        filler.unlink()
        assert said <= {200, 202, 503}, said
        ends(books, seconds=120)
        assert place.mend() == 0  # nobody had to be started again
        counts = books.check()
        assert "FAIL" not in books.states()
        record(f"a full disk under {what}", full=f"{seconds} s", **counts)
        return place.log
    finally:
        place.kill_all()
        database.dispose()

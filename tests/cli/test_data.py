"""export, rm and db on a home of their own."""

from __future__ import annotations

import csv
import errno
import io
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from pyarrow import parquet
from sqlalchemy.engine import make_url

from alphagrad.api.client_study import Study
from tests.marks import on_postgresql

UNKNOWN = "alphagrad: no study is named 'nobody'; there are tiny\n"

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def home(ran: Path, tmp_path: Path) -> Path:
    """A copy of the home in which a study of two trials was run."""
    return Path(shutil.copytree(ran, tmp_path / "home"))


def test_export_writes_to_the_screen_and_to_files(home: Path, alphagrad: Command) -> None:
    shown = alphagrad("export", "tiny", "--home", str(home))
    assert shown.returncode == 0, shown.stderr
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [row["number"] for row in rows] == ["0", "1"]
    file = home / "alpha.parquet"
    options = ("--what", "alpha", "--format", "parquet", "--out", str(file))
    assert alphagrad("export", "tiny", *options, "--home", str(home)).returncode == 0
    layers = set(parquet.read_table(file).column("layer").to_pylist())
    assert "logits.weight" in layers


def test_export_of_an_unknown_study_makes_no_file(home: Path, alphagrad: Command) -> None:
    file = home / "nothing.csv"
    done = alphagrad("export", "nobody", "--out", str(file), "--home", str(home))
    assert (done.returncode, done.stderr) == (1, UNKNOWN)
    assert not file.exists()


def test_an_export_that_breaks_off_leaves_the_file_that_was_there(
    home: Path, alphagrad: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> Iterator[bytes]:
        yield b"number\n0\n"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Study, "export", breaks)
    file = home / "trials.csv"
    file.write_text("of yesterday")
    done = alphagrad("export", "tiny", "--out", str(file), "--home", str(home))
    assert (done.returncode, done.stderr) == (1, "alphagrad: No space left on device\n")
    assert file.read_text() == "of yesterday"
    assert list(home.glob("*.part")) == []


def test_prune_upgrades_the_database_first(tmp_path: Path, alphagrad: Command) -> None:
    (tmp_path / "alphagrad.db").touch()
    done = alphagrad("db", "prune", "--home", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0 folders of checkpoints")


@on_postgresql
def test_a_role_that_may_not_make_tables_is_told_so(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
    as_guest = make_url(database_url).set(username="guest").render_as_string(hide_password=False)
    # Optuna leaves its connections to the end of the process.
    command = [sys.executable, "-m", "alphagrad", "ls", "--database-url", as_guest]
    done = subprocess.run([*command, "--home", str(tmp_path)], capture_output=True, text=True)
    said = "alphagrad: the database refuses: permission denied for schema public\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_rm_deletes_a_study_and_its_files(home: Path, alphagrad: Command) -> None:
    assert (home / "logs" / "tiny").is_dir()
    assert alphagrad("rm", "tiny", "--home", str(home)).stdout == "tiny deleted\n"
    assert not (home / "logs" / "tiny").exists()
    assert alphagrad("rm", "tiny", "--home", str(home)).returncode == 1


@pytest.mark.parametrize("table", [None, "alphagrad_studies", "version_info"])
def test_a_damaged_database_is_said_to_be_one(
    home: Path, alphagrad: Command, table: str | None, tmp_path: Path
) -> None:
    file = home / "alphagrad.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
        [size] = connection.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as damaged:
        damaged.seek(0 if table is None else (roots[table] - 1) * size)
        damaged.write(b"\xff" * (100 if table is None else size))
    at = ("--home", str(home))
    reason = "file is not a database" if table is None else "database disk image is malformed"
    said = f"alphagrad: the database is damaged: {reason}; see `alphagrad db check`\n"
    for command in (["ls"], ["show", "tiny"]):
        done = alphagrad(*command, *at)
        assert (done.returncode, done.stderr) == (1, said)
    checked = alphagrad("db", "check", *at)
    assert (checked.returncode, checked.stdout) == (1, f"the database is damaged: {reason}\n")
    assert json.loads(alphagrad("db", "check", "--json", *at).stdout)["faults"]
    if table is None:
        done = alphagrad("db", "backup", str(tmp_path / "copy.db"), *at)
        assert (done.returncode, done.stderr) == (1, said)


def test_the_database_is_upgraded_checked_copied_and_pruned(
    home: Path, alphagrad: Command, tmp_path: Path
) -> None:
    at = ("--home", str(home))
    assert alphagrad("db", "upgrade", *at).stdout.startswith("schema revision ")
    assert alphagrad("db", "check", *at).stdout == "nothing is wrong\n"
    copy = tmp_path / "copy.db"
    assert alphagrad("db", "backup", str(copy), *at).stdout == f"{copy} written\n"
    with closing(sqlite3.connect(home / "alphagrad.db")) as connection:
        connection.execute("UPDATE trial_values SET value = 9")
        connection.commit()
    found = alphagrad("db", "check", *at)
    assert (found.returncode, found.stdout.count("has another value")) == (1, 2)
    copied = alphagrad("db", "check", "--database-url", f"sqlite:///{copy}")
    assert copied.stdout == "nothing is wrong\n"
    done = alphagrad("db", "prune", "--details-after", "0", *at).stdout
    assert done.startswith("0 folders of checkpoints (0.0 MB), 1 folders of logs, ")
    assert " 0 rows" not in done
    assert done.endswith(" 0 of the audit log deleted\n")
    again = alphagrad("db", "backup", str(copy), *at)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "choose another name" in again.stderr


def test_a_study_goes_to_another_database_and_comes_from_it(
    home: Path, alphagrad: Command, tmp_path: Path
) -> None:
    at, file = ("--home", str(home)), tmp_path / "other.db"
    done = alphagrad("db", "copy", "tiny", "--to", str(file), *at)
    assert done.returncode == 0, done.stderr
    rows = int(done.stdout.removeprefix("tiny: 2 trials, ").split()[0])
    assert done.stdout == f"tiny: 2 trials, {rows} rows copied, COMPLETED\n"
    folder = tmp_path / "new %41?"
    new = ("--home", str(folder))
    url = f"sqlite:///{file}"
    done = alphagrad("db", "copy", "tiny", "--from", url, "--name", "t", "--no-details", *new,
                     "--json")  # fmt: skip
    copied = json.loads(done.stdout)
    assert copied.pop("rows") < rows
    assert copied == {"name": "t", "state": "COMPLETED", "trials": 2}
    assert (folder / "alphagrad.db").is_file()
    assert alphagrad("best", "t", *new).stdout == alphagrad("best", "tiny", *at).stdout
    again = alphagrad("db", "copy", "tiny", "--to", str(file), *at)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "alphagrad: a study named 'tiny' exists; choose another name\n"
    odd = tmp_path / "a 50% (odd)?.db"
    assert alphagrad("db", "copy", "tiny", "--to", str(odd), *at).returncode == 0
    assert odd.is_file()
    nowhere = str(tmp_path / "nowhere.db")
    refused = ["postgresql://me:secret@db/x", "me:secret@db/x"]
    for options in ((), ("--from", nowhere, "--to", nowhere), *(("--to", url) for url in refused)):
        done = alphagrad("db", "copy", "tiny", *options, *at)
        assert (done.returncode, "secret" in done.stderr) == (2, False)
    done = alphagrad("db", "copy", "tiny", "--from", nowhere, *at)
    assert done.stderr == f"alphagrad: there is no database {nowhere}\n"


def test_there_must_be_a_database_to_check(alphagrad: Command, tmp_path: Path) -> None:
    done = alphagrad("db", "check", "--home", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("alphagrad: there is no database ")

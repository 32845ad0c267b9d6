"""The commands for stored data: export, and those of the database."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from alphagrad.cli_app import STUDIES, AsJson, DatabaseUrl, Home, StudyName, given
from alphagrad.cli_session import Session, command, to_json

if TYPE_CHECKING:
    from alphagrad.tuner.database import Database
    from alphagrad.tuner.settings import TunerSettings

db = typer.Typer(
    help="Upgrade, check, back up and prune the database, and copy studies to another.",
    no_args_is_help=True,
)


@command(panel=STUDIES, answers=False)
def export(
    session: Session,
    study: StudyName,
    format: Annotated[  # noqa: A002
        Literal["csv", "json", "parquet"], typer.Option(help="The file's format.")
    ] = "csv",
    what: Annotated[
        Literal["trials", "reports", "metrics", "alpha"], typer.Option(help="The table.")
    ] = "trials",
    out: Annotated[
        Path | None, typer.Option(help="A file.", show_default="standard output")
    ] = None,
) -> None:
    """Write a study's trials, reports, metrics or α traces as CSV, JSON or Parquet."""
    if out is None and format == "parquet" and sys.stdout.isatty():
        raise typer.BadParameter("parquet is not for a screen: give --out FILE")
    pieces = session.client.study(study).export(what=what, format=format)
    first = next(pieces, b"")  # before a file is made: the export may be refused
    with nullcontext(sys.stdout.buffer) if out is None else _whole(out) as file:
        file.write(first)
        for piece in pieces:
            file.write(piece)
        file.flush()


@db.command()
def upgrade(home: Home = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Bring the database to this version's schema; most commands do so too."""
    from alphagrad.tuner.migrate import migrate, newest_revision, revision

    with _opened(home, database_url, must_exist=False) as (database, _):
        migrate(database)
        now, newest = revision(database), newest_revision()
    shown = to_json({"revision": now, "newest": newest})
    typer.echo(shown if as_json else f"schema revision {now} of {newest}")


@db.command()
def check(home: Home = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Look for damage: files, schema, our tables beside Optuna's. Exit code 1 if there is any."""
    from alphagrad.tuner.check import check_database

    with _opened(home, database_url) as (database, _):
        found = check_database(database)
    if as_json:
        typer.echo(to_json({"faults": found}))
    else:
        typer.echo("\n".join(found) or "nothing is wrong")
    if found:
        raise typer.Exit(1)


@db.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The copy; it must not exist.")],
    home: Home = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Copy the SQLite database while it is in use; of PostgreSQL, pg_dump makes copies."""
    from alphagrad.tuner.backup import backup as copy

    with _opened(home, database_url) as (database, _):
        copy(database, file)
    typer.echo(to_json({"file": str(file)}) if as_json else f"{file} written")


@db.command("copy")
def copy_a_study(
    study: StudyName,
    to: Annotated[
        str | None,
        typer.Option(metavar="FILE|URL", help="The other database; a file may be a new one."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE|URL", help="The other database, to copy from there."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The copy's name.", show_default="the study's")
    ] = None,
    details: Annotated[
        bool, typer.Option(help="With α traces and metrics, by far the most of it.")
    ] = True,
    home: Home = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Copy a study, as it is at this moment, to another database or from one.

    An open study arrives paused. Checkpoints and logs are files and are not copied.
    """
    from alphagrad.tuner.copying import copy_study

    other = to or source
    if other is None or (to and source):
        raise typer.BadParameter("give either --to or --from: the other database")
    with (
        _opened(home, database_url, must_exist=bool(to)) as (here, _),
        _opened(None, _url(other), must_exist=bool(source)) as (there, _),
        _counted(as_json) as on_rows,
    ):
        ends = (here, there) if to else (there, here)
        copied = copy_study(*ends, study, new_name=name, details=details, on_rows=on_rows)
    if as_json:
        typer.echo(to_json(asdict(copied)))
        return
    typer.echo(f"{copied.name}: {copied.trials} trials, {copied.rows} rows copied, {copied.state}")


@db.command()
def prune(
    details_after: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="DAYS",
            help="Of studies that ended so long ago, delete α traces, metrics and logs too.",
        ),
    ] = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Delete checkpoints of finished trials, files of studies that are gone, old audit rows."""
    from alphagrad.tuner.migrate import migrate
    from alphagrad.tuner.retention import prune as remove_unneeded

    with _opened(home, database_url) as (database, settings):
        migrate(database)
        done = remove_unneeded(database, settings, details_after_days=details_after)
    if as_json:
        typer.echo(to_json(asdict(done)))
        return
    typer.echo(
        f"{done.checkpoints} folders of checkpoints ({done.bytes / 1e6:.1f} MB), "
        f"{done.logs} folders of logs, {done.rows} rows, {done.audit} of the audit log deleted"
    )


def _url(place: str) -> str:
    """The URL of a file or database; one with a password is not taken, which others could see."""
    from alphagrad.tuner.database import parse_url, sqlite_url

    if "://" not in place:
        if "@" in place:
            raise typer.BadParameter("a URL begins with postgresql://, a file's name has no @")
        return sqlite_url(Path(place).expanduser())
    if parse_url(place).password is not None:
        raise typer.BadParameter(
            "a password in --to or --from could be seen by other users: leave it out of the URL, "
            "and put it into ~/.pgpass or PGPASSWORD"
        )
    return place


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place when it is whole; until then what was there stays."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _counted(silent: bool) -> Iterator[Callable[[int], None]]:
    """Shows how many rows there are so far, on a terminal alone."""
    from rich.console import Console

    console = Console(stderr=True)
    if silent or not console.is_terminal:
        yield lambda rows: None
        return
    with console.status("0 rows") as status:
        yield lambda rows: status.update(f"{rows:,} rows")


@contextmanager
def _opened(
    home: Path | None, database_url: str | None, *, must_exist: bool = True
) -> Iterator[tuple[Database, TunerSettings]]:
    from alphagrad.tuner.database import Database
    from alphagrad.tuner.errors import SettingsError
    from alphagrad.tuner.settings import TunerSettings

    settings = TunerSettings(**given(home=home, database_url=database_url))
    database = Database(settings.url)
    if must_exist and database.is_sqlite and not Path(database.url.database or "").exists():
        raise SettingsError(f"there is no database {database.url.database}")
    try:
        yield database, settings
    finally:
        database.dispose()

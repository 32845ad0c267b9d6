"""The commands for API keys. They work on the database, where the server finds them at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from alphagrad.cli_app import AsJson, DatabaseUrl, Home, given

if TYPE_CHECKING:
    from alphagrad.tuner.access_models import ApiKeyRow
    from alphagrad.tuner.database import Database

keys = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)

KeyName = Annotated[str, typer.Argument(help="The key's name.")]
Days = Annotated[
    float | None, typer.Option(min=0.001, max=36_500, help="It works for so many days.")
]


@keys.command("make")
def make(
    name: KeyName,
    role: Annotated[
        Literal["reader", "submitter", "admin"],
        typer.Option(help="reader looks, submitter has studies of its own, admin may do all."),
    ] = "submitter",
    expires_days: Days = None,
    max_open_studies: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="Open studies at a time.")
    ] = None,
    max_running_trials: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="Running trials at a time.")
    ] = None,
    max_requests: Annotated[
        int | None, typer.Option(min=1, max=2**31 - 1, help="Requests a minute.")
    ] = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a key and print it, this once; quotas left out are the server's."""
    from alphagrad.api.key_store import Quotas, make_key

    quotas = Quotas(
        open_studies=max_open_studies,
        running_trials=max_running_trials,
        requests_per_minute=max_requests,
    )
    with _opened(home, database_url) as database:
        key = make_key(database, name, role=role, expires_days=expires_days, quotas=quotas)
    _print_once(key)


@keys.command("ls")
def list_all(as_json: AsJson = False, home: Home = None, database_url: DatabaseUrl = None) -> None:
    """List the keys, without their secrets."""
    from rich.console import Console
    from rich.table import Table

    from alphagrad.api.key_store import list_keys

    with _opened(home, database_url) as database:
        found = [_shown(row) for row in list_keys(database)]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    columns = ("name", "role", "state", "created_at", "last_used_at", "expires_at")
    table = Table(*columns)
    for row in found:
        table.add_row(*(_cell(row[name]) for name in columns))
    Console().print(table)


@keys.command()
def rotate(
    name: KeyName,
    grace_minutes: Annotated[
        float, typer.Option(min=0, max=60 * 24 * 365, help="The old secret works for so long too.")
    ] = 0.0,
    expires_days: Days = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Give a key a new secret and print it, this once."""
    from alphagrad.api.key_store import rotate_key

    with _opened(home, database_url) as database:
        key = rotate_key(database, name, grace_minutes=grace_minutes, expires_days=expires_days)
    _print_once(key)


@keys.command()
def revoke(name: KeyName, home: Home = None, database_url: DatabaseUrl = None) -> None:
    """End a key for good; its studies stay, and go on."""
    from alphagrad.api.key_store import revoke_key

    with _opened(home, database_url) as database:
        revoke_key(database, name)
    typer.echo(f"{name} revoked")


@keys.command()
def audit(
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many.")] = 100,
    key: Annotated[str | None, typer.Option(help="Only of this key.")] = None,
    study: Annotated[str | None, typer.Option(help="Only about this study.")] = None,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show who changed what, newest first."""
    from rich.console import Console
    from rich.table import Table

    from alphagrad.api.audit_models import AuditOut
    from alphagrad.tuner import audit as log

    with _opened(home, database_url) as database:
        rows = log.read(database, limit=limit, key_name=key, study=study)
    found = [AuditOut.of(row).model_dump(mode="json") for row in rows]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    columns = ("at", "key_name", "role", "method", "path", "status", "client")
    table = Table(*columns)
    for row in found:
        table.add_row(*(_cell(row[name]) for name in columns))
    Console().print(table)


def _cell(value: object) -> str:
    """What a table shows of a value, brackets and all: a path of the log may have any."""
    from rich.markup import escape

    return "" if value is None else escape(str(value))


def _print_once(key: str) -> None:
    typer.echo("alphagrad: the key is shown this once; only its hash is kept", err=True)
    typer.echo(key)


def _shown(row: ApiKeyRow) -> dict[str, Any]:
    state = "valid"
    if row.revoked_at is not None:
        state = "revoked"
    elif row.expires_at is not None and row.expires_at <= datetime.now(UTC).timestamp():
        state = "expired"
    times = ("created_at", "last_used_at", "expires_at", "revoked_at", "previous_until")
    quotas = ("max_open_studies", "max_running_trials", "max_requests_per_minute")
    return (
        {"name": row.name, "role": row.role, "state": state}
        | {name: _time(getattr(row, name)) for name in times}
        | {name: getattr(row, name) for name in quotas}
    )


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


@contextmanager
def _opened(home: Path | None, database_url: str | None) -> Iterator[Database]:
    from alphagrad.tuner.database import Database
    from alphagrad.tuner.migrate import migrate
    from alphagrad.tuner.settings import TunerSettings

    database = Database(TunerSettings(**given(home=home, database_url=database_url)).url)
    try:
        migrate(database)
        yield database
    finally:
        database.dispose()

"""What the commands share: the application, options, and the way to the studies."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from alphagrad.api.client import Client
    from alphagrad.api.local import LocalClient

app = typer.Typer(
    help="Tune AlphaGrad: submit studies, run them, watch them, steer them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Home = Annotated[
    Path | None,
    typer.Option(help="Folder of all state. [default: ALPHAGRAD_HOME or ~/.alphagrad]"),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        help="PostgreSQL instead of the embedded SQLite. A URL with a password is better "
        "put into ALPHAGRAD_DATABASE_URL, which other users cannot see."
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        envvar="ALPHAGRAD_URL",
        help="A server to talk to, with the key in ALPHAGRAD_API_KEY; without it, the database.",
    ),
]
StudyFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A study file (TOML).")
]
StudyName = Annotated[str, typer.Argument(help="The study's name.")]
NewName = Annotated[str | None, typer.Option("--name", help="A name other than the file's.")]
Slots = Annotated[int | None, typer.Option(min=1, help="Trials at a time. [default: one a core]")]


def client(url: str | None, home: Path | None, database_url: str | None) -> Client | LocalClient:
    """A client of a server, or of the database where no server is named."""
    if url is None:
        from alphagrad.api.local import LocalClient
        from alphagrad.tuner.settings import TunerSettings

        return LocalClient(TunerSettings(**given(home=home, database_url=database_url)))
    from alphagrad.api.client import ApiError, Client

    key = os.environ.get("ALPHAGRAD_API_KEY")
    if not key:
        raise ApiError(f"put the API key of {url} into ALPHAGRAD_API_KEY", status=None)
    return Client(url, key)


def read(study_file: Path, name: str | None) -> dict[str, Any]:
    """A study file's contents, unchecked, under another name if one is given."""
    from alphagrad.tuner.spec import load_toml

    return load_toml(study_file) | ({} if name is None else {"name": name})


def warn(warnings: Iterable[str]) -> None:
    """Say on standard error what of a study fits together badly."""
    for warning in warnings:
        typer.echo(f"alphagrad: warning: {warning}", err=True)


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def log() -> None:
    """Let the log go to standard error."""
    from alphagrad.tuner.log_format import configure_logging

    configure_logging()

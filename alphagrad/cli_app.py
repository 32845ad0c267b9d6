"""The application, and the options that commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from alphagrad.cli_complete import study_names, task_names

EXIT_CODES = {
    0: "done",
    1: "refused, or failed",
    2: "wrong usage",
    3: "the study ended FAILED or CANCELLED (run, watch --exit-status)",
    4: "no server answers, or its database does not",
    130: "interrupted",
}

ENDED_BADLY = 3
LEFT = 130

STUDIES = "Studies"
STEERING = "Steering"
TRIALS = "Trials"
SERVICE = "Service and database"

app = typer.Typer(
    help="Tune AlphaGrad: submit studies, run them, watch them, steer them.",
    epilog="Exit codes: " + "; ".join(f"{n} {what}" for n, what in EXIT_CODES.items()),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Home = Annotated[
    Path | None,
    typer.Option(help="Folder of all state.", show_default="ALPHAGRAD_HOME, or ~/.alphagrad"),
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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
StudyFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A study file (TOML).")
]
StudyName = Annotated[str, typer.Argument(help="The study's name.", autocompletion=study_names)]
TaskName = Annotated[
    str | None,
    typer.Argument(help="A task, to see its parameters.", autocompletion=task_names),
]
TrialNumber = Annotated[int, typer.Argument(min=0, max=2**31 - 1, help="The trial's number.")]
NewName = Annotated[str | None, typer.Option("--name", help="A name other than the file's.")]
Slots = Annotated[
    int | None, typer.Option(min=1, help="Trials at a time.", show_default="one a core")
]


def read(study_file: Path, name: str | None) -> dict[str, Any]:
    """A study file's contents, unchecked, under another name if one is given."""
    from alphagrad.api.client_spec import read_spec

    return read_spec(study_file) | ({} if name is None else {"name": name})


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

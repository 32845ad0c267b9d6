"""The command ``alphagrad``. Heavy imports wait until a command needs them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from alphagrad import __version__
from alphagrad.cli_app import SERVICE, STUDIES, app
from alphagrad.hidden_url import hide_url

# isort: off
# Their commands register themselves, in the order in which `--help` lists them.
from alphagrad import cli_studies, cli_run, cli_watch, cli_steer, cli_trials, cli_plot  # noqa: F401
from alphagrad import cli_service, cli_data, cli_keys, cli_paper  # noqa: F401
# isort: on

# Here, so that their order does not hang on who imports them first.
app.add_typer(cli_data.db, name="db", rich_help_panel=SERVICE)
app.add_typer(cli_keys.keys, name="keys", rich_help_panel=SERVICE)
app.add_typer(cli_paper.paper, name="paper", rich_help_panel=STUDIES)

__all__ = ["app", "main"]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"alphagrad {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Tune AlphaGrad: submit studies, run them, watch them, steer them."""


def main() -> None:
    """The entry point: an error that the user can mend becomes one line and an exit code."""
    hide_url()
    try:
        app()
    except Exception as error:
        from alphagrad.user_errors import exit_code, mendable

        message = mendable(error)
        if message is None:
            raise
        typer.echo(f"alphagrad: {message}", err=True)
        sys.exit(exit_code(error))

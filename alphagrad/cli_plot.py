"""The command that draws a trial's α and saturation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alphagrad.cli_app import TRIALS, DatabaseUrl, Home, Url, app
from alphagrad.cli_complete import study_names
from alphagrad.user_errors import NothingYetError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

KINDS = (".html", ".png", ".svg")
MOST_STEPS = 2000


@app.command(rich_help_panel=TRIALS)
def plot(
    trace: Annotated[
        str,
        typer.Argument(
            metavar="STUDY|TRACE.CSV",
            help="A study's name, or the CSV file of an AlphaTraceWriter.",
            autocompletion=study_names,
        ),
    ],
    number: Annotated[
        int | None, typer.Argument(min=0, max=2**31 - 1, help="The trial's number in the study.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="An .html, .png or .svg file.", show_default="STUDY-NUMBER.html"),
    ] = None,
    url: Url = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Draw α and saturation per layer over time, of a trial or from a file."""
    if out is not None and out.suffix not in KINDS:
        raise typer.BadParameter(f"{out} must end in one of {', '.join(KINDS)}")
    if number is None:
        figure = _of_file(Path(trace))
    else:
        from alphagrad.cli_session import connected
        from alphagrad.plot import draw_columns

        with connected(url, home, database_url) as client:
            columns = client.study(trace).trial(number).alpha(wide=True, max_steps=MOST_STEPS)
        if not columns["step"]:
            raise NothingYetError(f"trial {number} of {trace} has no α trace (yet)")
        figure = draw_columns(columns, title=f"{trace}, trial {number}")
    target = out or (
        Path(trace).with_suffix(".html") if number is None else Path(f"{trace}-{number}.html")
    )
    _write(figure, target)
    typer.echo(f"{target} written")


def _of_file(trace: Path) -> Figure:
    from alphagrad.plot import draw

    if not trace.is_file():
        message = f"there is no file {trace}; of a study's trial, give its number too"
        raise typer.BadParameter(message)
    try:
        return draw(trace)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _write(figure: Figure, target: Path) -> None:
    if target.suffix == ".html":
        figure.write_html(target, include_plotlyjs=True)
        return
    try:
        figure.write_image(target, scale=2)
    except RuntimeError as error:
        if type(error.__context__).__name__ != "ChromeNotFoundError":
            raise
        message = f"{target} needs Chrome or Chromium to be installed; an .html file does not"
        raise typer.BadParameter(message) from error

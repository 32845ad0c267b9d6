"""The commands on one trial: metrics, logs, knobs, set-alpha."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from alphagrad.cli_app import TRIALS, StudyName, TrialNumber
from alphagrad.cli_session import Session, command


@command(panel=TRIALS)
def metrics(
    session: Session,
    study: StudyName,
    number: TrialNumber,
    name: Annotated[
        list[str] | None, typer.Option(help="A metric; can be given again.", show_default="all")
    ] = None,
) -> None:
    """Print what a trial recorded, as CSV: of each metric at most 20,000 values."""
    from alphagrad import display

    trial = session.client.study(study).trial(number)
    found = trial.metrics(names=name, max_steps=20_000)
    if absent := [one for one, series in found.items() if not series["steps"]]:
        known = ", ".join(trial.data["metrics"] or ()) or "no metrics"
        message = f"trial {number} of {study} has no {', '.join(absent)}; it recorded {known}"
        raise typer.BadParameter(message)
    if session.json:
        session.show(found)
    else:
        display.write_metrics(found, sys.stdout)


@command(panel=TRIALS)
def logs(
    session: Session,
    study: StudyName,
    number: TrialNumber,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written, until its end.")
    ] = False,
    whole: Annotated[
        bool, typer.Option("--all", help="From the first line on, not the last 64 kB.")
    ] = False,
) -> None:
    """Print the log of a trial."""
    for line in session.client.study(study).trial(number).log(follow=follow, whole=whole):
        session.line({"line": line}, line)


@command(panel=TRIALS)
def knobs(session: Session, study: StudyName, number: TrialNumber) -> None:
    """List the commands that a trial's α was given, and what became of each."""
    from alphagrad import display

    found = session.client.study(study).trial(number).knobs()
    session.show(found, lambda: display.knobs_table(found))


@command("set-alpha", panel=TRIALS)
def set_alpha(
    session: Session,
    study: StudyName,
    number: TrialNumber,
    alpha: Annotated[
        float | None, typer.Argument(help="The new steepness; without it only the pin changes.")
    ] = None,
    layers: Annotated[str, typer.Option(help="A glob on layer names.")] = "*",
    pin: Annotated[
        bool | None,
        typer.Option("--pin/--unpin", help="Keep schedulers off these layers, or let them on."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Until the trial has answered.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait.")] = 60.0,
) -> None:
    """Change α of some layers of a running trial, and say at which step it was applied."""
    trial = session.client.study(study).trial(number)
    knob = trial.set_alpha(alpha, layers=layers, pin=pin, wait=wait, timeout=timeout)
    at = f" at step {knob['step']}" if knob["state"] == "applied" else ""
    session.show(knob, lambda: f"{study}/{number} {knob['state']}{at}")

"""The command ``alphagrad``. Heavy imports wait until a command needs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from alphagrad import cli_data, cli_keys, cli_steer  # noqa: F401  (their commands register themselves)
from alphagrad.cli_app import (
    DatabaseUrl,
    Home,
    NewName,
    Slots,
    StudyFile,
    StudyName,
    Url,
    app,
    client,
    given,
    log,
    read,
    warn,
)

__all__ = ["app", "main"]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind. [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one. [default: 8000]")
    ] = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
    slots: Slots = None,
    worker: Annotated[bool, typer.Option(help="Also run trials here.")] = True,
) -> None:
    """Start the API and a worker."""
    from alphagrad.api.serve import serve as run_service
    from alphagrad.api.settings import ApiSettings

    log()
    options = given(host=host, port=port, home=home, database_url=database_url, slots=slots)
    run_service(ApiSettings(**options), with_worker=worker)


@app.command()
def worker(
    home: Home = None,
    database_url: DatabaseUrl = None,
    slots: Slots = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="End when standard input closes.")
    ] = False,
) -> None:
    """Run trials of all studies in the database, until stopped."""
    import signal
    import threading

    from alphagrad.tuner.database import Database
    from alphagrad.tuner.migrate import migrate
    from alphagrad.tuner.settings import TunerSettings
    from alphagrad.tuner.worker import Worker

    log()
    settings = TunerSettings(**given(home=home, database_url=database_url, slots=slots))
    database = Database(settings.url)
    migrate(database)
    running = Worker(database, settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: running.stop())
    if with_parent:

        def wait_for_parent() -> None:
            sys.stdin.read()
            running.stop()

        threading.Thread(target=wait_for_parent, daemon=True).start()
    running.run()


@app.command()
def run(
    study_file: StudyFile, name: NewName = None, home: Home = None, database_url: DatabaseUrl = None
) -> None:
    """Run a study here, without a server, and show its trials."""
    from rich.console import Console

    from alphagrad import display
    from alphagrad.api.local import LocalClient
    from alphagrad.api.study_models import StudyOut
    from alphagrad.tuner import parse_spec, run_study
    from alphagrad.tuner.advice import spec_warnings
    from alphagrad.tuner.settings import TunerSettings

    console = Console()
    spec = parse_spec(read(study_file, name))
    warn(spec_warnings(spec))
    settings = TunerSettings(**given(home=home, database_url=database_url))
    with display.StudyProgress(console) as progress:
        status = run_study(
            spec,
            settings,
            on_progress=lambda now: progress.update(StudyOut.of(now).model_dump(mode="json")),
        )
    with LocalClient(settings) as client:
        study = client.study(spec.name)
        searched = display.searched_params(study)
        console.print(display.trials_table(client.trials(spec.name), searched=searched))
    console.print(f"{spec.name} {status.row.state}")
    if status.row.state != "COMPLETED":
        raise typer.Exit(1)


@app.command()
def submit(
    study_file: StudyFile,
    name: NewName = None,
    url: Url = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Submit a study; a worker runs it."""
    with client(url, home, database_url) as studies:
        study = studies.submit(read(study_file, name))
    warn(study["warnings"])
    typer.echo(f"{study['name']} {study['state']}")


@app.command()
def tasks(
    name: Annotated[str | None, typer.Argument(help="A task, to see its parameters.")] = None,
) -> None:
    """List the tasks a study can name, or the parameters of one."""
    from rich.console import Console

    from alphagrad import display
    from alphagrad.tuner.registry import get_task, task_names

    console = Console()
    if name is not None:
        console.print(display.params_table(get_task(name).schema()))
        return
    console.print(display.tasks_table(get_task(one) for one in task_names()))


@app.command("ls")
def list_studies(url: Url = None, home: Home = None, database_url: DatabaseUrl = None) -> None:
    """List the studies."""
    from rich.console import Console

    from alphagrad import display

    with client(url, home, database_url) as studies:
        found = list(studies.studies())
    Console().print(display.studies_table(found))


@app.command()
def show(
    study: StudyName, url: Url = None, home: Home = None, database_url: DatabaseUrl = None
) -> None:
    """Show a study and its trials, and of a population who took over from whom."""
    from rich.console import Console

    from alphagrad import display

    with client(url, home, database_url) as studies:
        found = studies.study(study)
        trials = list(studies.trials(study))
        exploits = list(studies.exploits(study)) if found["spec"].get("population") else []
    console = Console()
    console.print(display.studies_table([found]))
    console.print(display.trials_table(trials, searched=display.searched_params(found)))
    if exploits:
        console.print(display.exploits_table(exploits))


@app.command()
def metrics(
    study: StudyName,
    number: Annotated[int, typer.Argument(min=0, max=2**31 - 1, help="The trial's number.")],
    name: Annotated[
        list[str] | None, typer.Option(help="A metric; can be given again. [default: all]")
    ] = None,
    url: Url = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print what a trial recorded, as CSV: of each metric at most 20,000 values."""
    from alphagrad import display

    with client(url, home, database_url) as studies:
        found = studies.metrics(study, number, names=name or (), max_steps=20_000)["metrics"]
        if absent := [one for one, series in found.items() if not series["steps"]]:
            known = (
                ", ".join(studies.metrics(study, number, max_steps=2)["metrics"]) or "no metrics"
            )
            message = f"trial {number} of {study} has no {', '.join(absent)}; it recorded {known}"
            raise typer.BadParameter(message)
    display.write_metrics(found, sys.stdout)


@app.command()
def plot(
    trace: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV of an AlphaTraceWriter.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="An .html, .png or .svg file. [default: trace.html]")
    ] = None,
) -> None:
    """Draw α and saturation per layer over time."""
    from choreographer.errors import ChromeNotFoundError

    from alphagrad.plot import draw

    target = out or trace.with_suffix(".html")
    kinds = (".html", ".png", ".svg")
    if target.suffix not in kinds:
        raise typer.BadParameter(f"{target} must end in one of {', '.join(kinds)}")
    try:
        figure = draw(trace)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if target.suffix == ".html":
        figure.write_html(target, include_plotlyjs=True)
    else:
        try:
            figure.write_image(target, scale=2)
        except ChromeNotFoundError as error:
            message = f"{target} needs Chrome or Chromium to be installed; an .html file does not"
            raise typer.BadParameter(message) from error
    typer.echo(f"{target} written")


@app.command()
def demo(
    home: Home = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the demo's service.")] = False,
) -> None:
    """Start the service, tune CartPole over REST, compare with √d and Adam (``make run``)."""
    from alphagrad import demo as first_light

    (first_light.stop if stop else first_light.run)(home or Path(".alphagrad"))


def main() -> None:
    """The entry point: an error that the user can mend becomes one line and exit code 1."""
    try:
        app()
    except Exception as error:
        from alphagrad.user_errors import mendable

        message = mendable(error)
        if message is None:
            raise
        typer.echo(f"alphagrad: {message}", err=True)
        sys.exit(1)

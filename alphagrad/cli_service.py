"""The commands that run the service, its workers and the demonstration, and list tasks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from alphagrad.cli_app import (
    SERVICE,
    AsJson,
    DatabaseUrl,
    Home,
    Slots,
    TaskName,
    Url,
    app,
    given,
    log,
)


@app.command(rich_help_panel=SERVICE)
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to bind.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one.", show_default="8000")
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


@app.command(rich_help_panel=SERVICE)
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


@app.command(rich_help_panel=SERVICE)
def tasks(name: TaskName = None, url: Url = None, as_json: AsJson = False) -> None:
    """List the tasks that a study can name, of this machine or a server, or one's parameters."""
    from alphagrad import display
    from alphagrad.cli_session import connected, show, to_json

    if url is not None:
        with connected(url, None, None) as client:
            found = [client.task(name)] if name is not None else list(client.tasks())
    else:
        from alphagrad.api.local import installed_tasks

        found = installed_tasks(name)
    if as_json:
        typer.echo(to_json(found if name is None else found[0]))
    elif name is not None:
        show(display.params_table(found[0]["params"]))
    else:
        show(display.tasks_table(found))


@app.command(rich_help_panel=SERVICE)
def demo(
    home: Annotated[
        Path, typer.Option(help="Folder of all its state, which is the demo's alone.")
    ] = Path(".alphagrad"),
    stop: Annotated[bool, typer.Option("--stop", help="Stop the demo's service.")] = False,
) -> None:
    """Start the service, tune CartPole over REST, compare with √d and Adam (``make run``)."""
    from alphagrad import demo as first_light
    from alphagrad.local_service import LocalService

    if stop:
        LocalService(home).stop()
    else:
        first_light.run(home)

"""The command that shows studies and trials as they go on."""

from __future__ import annotations

import queue
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated

import typer

from alphagrad.cli_app import ENDED_BADLY, LEFT, STUDIES
from alphagrad.cli_complete import study_names
from alphagrad.cli_session import Session, command

if TYPE_CHECKING:
    from alphagrad.api.client import Client
    from alphagrad.api.client_answers import EventData
    from alphagrad.watch_state import Watched

DRAW_SECONDS = 0.25
LOAD_SECONDS = 2.0
"""How often everything is asked for anew while something happens; at rest, ten times as seldom."""
OPEN_SECONDS = 10.0
HINT = "q leaves; the studies go on"

Events = queue.SimpleQueue["EventData | Exception"]


@command(panel=STUDIES)
def watch(
    session: Session,
    study: Annotated[
        str | None,
        typer.Argument(help="The study's name.", show_default="all", autocompletion=study_names),
    ] = None,
    exit_status: Annotated[
        bool,
        typer.Option("--exit-status", help="Exit with 3 if the study ends FAILED or CANCELLED."),
    ] = False,
) -> None:
    """Show a study's trials live, or all studies, until the study has ended.

    Where there is no terminal, a line is written for each thing that happens; with --json it is
    the event itself. A whole table is drawn on a terminal; q or Ctrl-C leaves, the study goes on.
    """
    from alphagrad.watch_state import Watched

    watched = Watched(session.client, study=study)
    watched.load()
    events: Events = queue.SimpleQueue()
    if not watched.ended:
        events = _listen(session.client, study)
        watched.load()  # again: now nothing is missed
    if session.json or not sys.stdout.isatty():
        _write(watched, events, session)
    elif not _draw(watched, events) and exit_status:
        raise typer.Exit(LEFT)  # how the study ends is not known
    ended = None if study is None else watched.studies.get(study)
    if exit_status and ended is not None and ended["state"] in ("FAILED", "CANCELLED"):
        raise typer.Exit(ENDED_BADLY)


def _listen(client: Client, study: str | None) -> Events:
    """Events from now on, put into a queue by a thread; behind the last one comes an error."""
    events: Events = queue.SimpleQueue()
    is_open = threading.Event()

    def listen() -> None:
        try:
            of = client if study is None else client.study(study)
            for event in of.events(on_open=is_open.set):
                events.put(event)
        except Exception as error:  # noqa: BLE001  (raised where the queue is read)
            events.put(error)
        finally:
            is_open.set()

    threading.Thread(target=listen, daemon=True).start()
    is_open.wait(OPEN_SECONDS)
    return events


def _next(events: Events, *, wait: float) -> EventData | None:
    try:
        event = events.get(timeout=wait)
    except queue.Empty:
        return None
    if isinstance(event, Exception):
        raise event
    return event


def _write(watched: Watched, events: Events, session: Session) -> None:
    from alphagrad.watch_view import line

    if not session.json:
        for study in watched.studies.values():
            session.line(None, f"{study['name']} {study['state']}")
    while not watched.ended:
        event = _next(events, wait=LOAD_SECONDS)
        if event is None:
            watched.load()
            continue
        watched.take(event)
        if session.json:
            session.line(event, "")
        elif (text := line(event)) is not None:
            session.line(None, text)


def _draw(watched: Watched, events: Events) -> bool:
    """Draw until the end; whether it came to that, and nobody left before."""
    from rich.live import Live

    from alphagrad.keyboard import single_keys
    from alphagrad.watch_view import view

    loaded_at = time.monotonic()
    stale = False
    with (
        single_keys() as key,
        Live(view(watched, hint=HINT), auto_refresh=False) as live,
    ):
        while not watched.ended:
            if "q" in key(DRAW_SECONDS).lower():
                return False
            while (event := _next(events, wait=0.0)) is not None:
                watched.take(event)
                stale |= event["kind"] != "trial.progress"
            since = time.monotonic() - loaded_at
            if since > LOAD_SECONDS * (1 if stale else 10):
                watched.load()
                loaded_at, stale = time.monotonic(), False
            live.update(view(watched, hint=HINT), refresh=True)
        if watched.studies:  # none: it was deleted
            watched.load()
        live.update(view(watched, hint=""), refresh=True)
    return True

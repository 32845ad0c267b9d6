"""The commands that steer a study: pause, resume, stop, cancel, edit, enqueue."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from alphagrad.cli_app import DatabaseUrl, Home, StudyName, Url, app, client

Assignments = Annotated[
    list[str], typer.Argument(metavar="NAME=VALUE...", help="A value is JSON, or else text.")
]


@app.command()
def pause(
    study: StudyName, url: Url = None, home: Home = None, database_url: DatabaseUrl = None
) -> None:
    """Start no more trials of a study until it is resumed; those that run go on to their end."""
    with client(url, home, database_url) as studies:
        typer.echo(f"{study} {studies.pause(study)['state']}")


@app.command()
def resume(
    study: StudyName, url: Url = None, home: Home = None, database_url: DatabaseUrl = None
) -> None:
    """Let a paused study go on."""
    with client(url, home, database_url) as studies:
        typer.echo(f"{study} {studies.resume(study)['state']}")


@app.command()
def stop(
    study: StudyName, url: Url = None, home: Home = None, database_url: DatabaseUrl = None
) -> None:
    """Start no more trials of a study; those that run go on to their end."""
    with client(url, home, database_url) as studies:
        typer.echo(f"{study} {studies.stop(study)['state']}")


@app.command()
def cancel(
    study: StudyName, url: Url = None, home: Home = None, database_url: DatabaseUrl = None
) -> None:
    """Start no more trials of a study and kill those that run."""
    with client(url, home, database_url) as studies:
        typer.echo(f"{study} {studies.cancel(study)['state']}")


@app.command()
def edit(
    study: StudyName,
    changes: Assignments,
    url: Url = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Edit an open study, e.g. n_trials=40: n_trials, parallelism, priority, pruner, limits."""
    with client(url, home, database_url) as studies:
        found = studies.edit(study, _assigned(changes))
    typer.echo(f"{study} {found['state']}")


@app.command()
def enqueue(
    study: StudyName,
    params: Assignments,
    url: Url = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Let the next trial of a study try some parameters, e.g. alpha=98."""
    with client(url, home, database_url) as studies:
        found = studies.enqueue(study, _assigned(params))
    typer.echo(f"{study} {found['state']}")


def _assigned(pairs: list[str]) -> dict[str, Any]:
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE")
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return values

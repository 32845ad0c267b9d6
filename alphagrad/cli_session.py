"""Commands on studies: the way to them, and how their answer is shown."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import typer

from alphagrad.cli_app import AsJson, DatabaseUrl, Home, Url, app, given

if TYPE_CHECKING:
    from alphagrad.api.client import Client

P = ParamSpec("P")

PATIENCE_SECONDS = 3.0
"""A person waits for the answer."""
MOST_LOOKED_AT = 500
MOST_NAMED = 5


class Session:
    """What a command works with.

    Attributes:
        client: of the server or, where none is named, of the database.
        json: whether the answer is to be JSON.
    """

    def __init__(self, client: Client, *, as_json: bool) -> None:
        self.client = client
        self.json = as_json

    def show(self, data: Any, *drawn: Callable[[], Any]) -> None:
        """Print the answer: as one JSON document, or else what the functions draw of it."""
        if self.json:
            typer.echo(to_json(data))
            return
        for draw in drawn:
            show(draw())

    def line(self, data: Any, text: str) -> None:
        """Print one of many lines: a JSON document each, or else the text."""
        typer.echo(to_json(data) if self.json else text)
        sys.stdout.flush()


def to_json(data: Any) -> str:
    """One line of JSON."""
    return json.dumps(data, ensure_ascii=False)


def show(drawn: Any) -> None:
    """Print text as it is, and what rich draws on a console."""
    if isinstance(drawn, str):
        typer.echo(drawn)
    elif drawn is not None:
        from rich.console import Console

        Console().print(drawn)


@contextmanager
def connected(url: str | None, home: Path | None, database_url: str | None) -> Iterator[Client]:
    """A client of a server, or of the database where no server is named."""
    if url is None:
        from alphagrad.api.local import LocalClient
        from alphagrad.tuner.settings import TunerSettings

        with LocalClient(TunerSettings(**given(home=home, database_url=database_url))) as local:
            yield local
    else:
        from alphagrad.api.client import Client

        with Client(url, patience=PATIENCE_SECONDS) as remote:
            yield remote


def command(
    name: str | None = None, *, panel: str, answers: bool = True
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[Concatenate[Session, P], None]]:
    """Make a command of a function that takes a session and then the command's own parameters.

    The command has those parameters, ``--url``, ``--home`` and ``--database-url``, and ``--json``.

    Args:
        name: of the command; by default the function's.
        panel: where ``--help`` lists it.
        answers: whether it prints data, and so has ``--json``.
    """

    def register(
        function: Callable[Concatenate[Session, P], None],
    ) -> Callable[Concatenate[Session, P], None]:
        @wraps(function)
        def run(
            *args: Any,
            url: str | None,
            home: Path | None,
            database_url: str | None,
            as_json: bool = False,
            **own: Any,
        ) -> None:
            with connected(url, home, database_url) as client, _explained(client, own):
                call: Any = function
                call(Session(client, as_json=as_json), **own)

        shared: dict[str, tuple[Any, Any]] = {}
        shared |= {"url": (Url, None), "home": (Home, None), "database_url": (DatabaseUrl, None)}
        shared |= {"as_json": (AsJson, False)} if answers else {}
        signature = inspect.signature(function, eval_str=True)
        added = [
            inspect.Parameter(
                word, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default
            )
            for word, (kind, default) in shared.items()
        ]
        parameters = [
            one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for one in list(signature.parameters.values())[1:]
        ] + added
        typed: Any = run
        typed.__signature__ = inspect.Signature(parameters)
        typed.__annotations__ = {one.name: one.annotation for one in parameters}
        app.command(name, rich_help_panel=panel)(run)
        return function

    return register


@contextmanager
def _explained(client: Client, own: dict[str, Any]) -> Iterator[None]:
    """Where a study is not found, the names it may have been meant to have."""
    from alphagrad.api.client_errors import ApiError

    try:
        yield
    except ApiError as error:
        study = own.get("study")
        if error.kind != "not-found" or not isinstance(study, str):
            raise
        names = [one.name for one in client.studies(limit=MOST_LOOKED_AT)]
        if study in names:
            raise
        raise ApiError(f"{error}; {_instead(study, names)}", status=error.status) from error


def _instead(study: str, names: list[str]) -> str:
    if not names:
        return "there are no studies yet: `alphagrad submit FILE` makes one"
    if near := get_close_matches(study, names, n=3):
        return f"did you mean {' or '.join(near)}?"
    more = "" if len(names) <= MOST_NAMED else ", … (`alphagrad ls`)"
    return f"there are {', '.join(names[-MOST_NAMED:])}{more}"

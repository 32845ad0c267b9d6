"""Eight processes that do the same at the same moment: claim all trials, or open the database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError

from alphagrad.tuner import attempts, leases
from alphagrad.tuner.database import Database, engine_options
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.optuna_storage import OptunaStorage

SIZE = 8


class Crowd:
    """The processes; each imports once and then answers line by line."""

    def __init__(self) -> None:
        self._members = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.crowd"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
                text=True,
            )
            for _ in range(SIZE)
        ]
        self.ask(do="nothing")  # all have their imports done

    def ask(self, **order: Any) -> list[dict[str, Any]]:
        """Let all do the same, as simultaneously as they can; what each answers."""
        line = json.dumps({"at": time.time() + 0.3, **order})
        for member in self._members:
            assert member.stdin is not None
            member.stdin.write(line + "\n")
            member.stdin.flush()
        answers = []
        for member in self._members:
            assert member.stdout is not None
            answers.append(json.loads(member.stdout.readline()))
        return answers

    def close(self) -> None:
        for member in self._members:
            member.communicate(timeout=30)


def claim_all(url: str, study: str, *, locks: bool) -> dict[str, Any]:
    """Claim until nothing is left; with ``locks=False`` as if nobody had thought of races."""
    database = Database(url)
    taken: list[tuple[int, int]] = []
    errors = 0
    with nullcontext() if locks else unlocked(database):
        while True:
            try:
                claim = leases.claim(
                    database, worker=str(os.getpid()), lease_seconds=600, tasks=["digits"],
                    study=study,
                )  # fmt: skip
            except DBAPIError:
                errors += 1
                continue
            if claim is None:
                break
            taken.append((claim.trial.slot, claim.fence))
    database.dispose()
    return {"taken": taken, "errors": errors}


@contextmanager
def unlocked(database: Database) -> Iterator[None]:
    """Transactions begin as Python's sqlite3 begins them, and PostgreSQL locks no rows.

    The history of attempts is not written either: its key would refuse a second claim.
    """
    database.engine.dispose()
    database.engine = create_engine(database.url, **engine_options(database.url))
    if not database.is_sqlite:

        @event.listens_for(database.engine, "before_cursor_execute", retval=True)
        def _no_locks(
            connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
        ) -> tuple[str, Any]:
            return statement.replace(" FOR UPDATE", ""), parameters

    with patch.object(attempts, "begin", lambda *given, **named: None):
        yield


def open_database(url: str) -> dict[str, Any]:
    """What the first start of a worker or server does with its database."""
    database = Database(url)
    migrate(database)
    storage = OptunaStorage(database)
    found = storage.has_study("none")
    storage.dispose()
    database.dispose()
    return {"found": found}


def _obey(order: dict[str, Any]) -> dict[str, Any]:
    time.sleep(max(0.0, order["at"] - time.time()))
    match order["do"]:
        case "claim":
            return claim_all(order["url"], order["study"], locks=order["locks"])
        case "open":
            return open_database(order["url"])
    return {}


def main() -> None:
    """Answer orders until the input ends."""
    for line in sys.stdin:
        try:
            answer = _obey(json.loads(line))
        except Exception as error:  # noqa: BLE001  (told to the test)
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

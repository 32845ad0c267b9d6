"""Empty databases and folders for a benchmark, and the scripts it runs in their own processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

HERE = Path(__file__).parent
FIGURES = HERE.parent / "docs" / "figures"
DATABASES = ("sqlite", "postgresql")
KEY = "a key for one run"


class Places:
    """Empty databases and folders, on demand; a context manager that removes them.

    Args:
        postgresql: the URL of a server; ``None`` starts one.
        databases: the kinds that are needed.
    """

    def __init__(self, postgresql: str | None, databases: list[str]) -> None:
        self.server = postgresql
        self._start = postgresql is None and "postgresql" in databases
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Places:
        self._folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="alphagrad-bench-"))
        )
        if self._start:
            sys.path.insert(0, str(HERE.parent))
            from tests.postgres import PostgresServer

            self.server = self._stack.enter_context(PostgresServer(fsync=True)).url
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def new(self, kind: str) -> dict[str, str]:
        """An empty folder, and an empty database of a kind."""
        self._count += 1
        name = f"bench_{os.getpid()}_{self._count}"
        home = self._folder / name
        home.mkdir()
        if kind == "sqlite":
            return {"home": str(home), "url": f"sqlite:///{home / 'alphagrad.db'}"}
        with psycopg.connect(f"{self.server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return {"home": str(home), "url": f"{self.server}/{name}"}


def child(script: str, job: dict[str, Any]) -> dict[str, Any]:
    """Run a script with a job, and return what it measured."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), json.dumps(job)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{script} {job.get('what', '')} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def service(place: dict[str, str], *options: str, **environment: str) -> Iterator[tuple[int, str]]:
    """`alphagrad serve` in a place, its API key KEY: its process id and URL."""
    home = Path(place["home"])
    environment |= {
        "ALPHAGRAD_HOME": place["home"],
        "ALPHAGRAD_DATABASE_URL": place["url"],
        "ALPHAGRAD_API_KEY": KEY,
    }
    command = [sys.executable, "-m", "alphagrad", "serve", "--port", "0", *options]
    log = home / "serve.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, env=os.environ | environment, stderr=errors) as server,
    ):
        try:
            state = home / "serve.json"
            while not state.exists():
                if server.poll() is not None:
                    raise SystemExit(log.read_text(encoding="utf-8")[-3000:])
                time.sleep(0.05)
            yield server.pid, json.loads(state.read_text(encoding="utf-8"))["url"]
        finally:
            server.terminate()

"""Helpers of the tuner's tests: submitting studies, running scripts, waiting for a condition."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest

from alphagrad.tuner.database import Database
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.spec_reading import parse_spec
from alphagrad.tuner.study_store import create_study
from alphagrad.tuner.trial_process import ONLY_TASK
from tests import waiting
from tests.plain_optuna import plain_study
from tests.tuner.working import Working

BODY: dict[str, Any] = {
    "name": "s",
    "task": "digits",
    "n_trials": 3,
    "seed": 1,
    "params": {
        "epochs": 1,
        "batch_size": 256,
        "hidden_sizes": [8],
        "alpha": {"type": "float", "low": 1.0, "high": 100.0, "log": True},
    },
}


@pytest.fixture
def spec(engine: str) -> Callable[..., StudySpec]:
    """A small study of digits; keywords replace its fields."""
    return lambda **changes: parse_spec(BODY | {"engine": engine} | changes)


@pytest.fixture
def optuna_storage(database: Database) -> Iterator[OptunaStorage]:
    opened = OptunaStorage(database)
    yield opened
    opened.dispose()


@pytest.fixture
def submit(
    database: Database, optuna_storage: OptunaStorage, spec: Callable[..., StudySpec]
) -> Callable[..., StudyRow]:
    """Submits the small study of digits; keywords replace its fields."""
    return lambda **changes: create_study(database, optuna_storage, spec(**changes))


@pytest.fixture
def until() -> Callable[..., Any]:
    """Waits for a call to return something true, and returns that; 90 s if not told otherwise."""
    return partial(waiting.until, seconds=90.0)


@pytest.fixture
def optuna_trials() -> Callable[[Database, str], list[optuna.trial.FrozenTrial]]:
    """A study's trials as plain Optuna sees them at the database's URL, without our classes."""

    def read(database: Database, name: str) -> list[optuna.trial.FrozenTrial]:
        with plain_study(database, name) as study:
            return study.trials

    return read


@pytest.fixture
def environment(settings: TunerSettings, engine: str) -> dict[str, str]:
    """Environment variables that bring a subprocess to the test's database, engine and cluster."""
    variables = os.environ | {
        "ALPHAGRAD_HOME": str(settings.home),
        "ALPHAGRAD_DATABASE_URL": settings.url,
        "ALPHAGRAD_SLOTS": "2",
        "TEST_ENGINE": engine,
    }
    if settings.ray_address is not None:
        variables["ALPHAGRAD_RAY_ADDRESS"] = settings.ray_address
    return variables


HEAD = """
import json, math, os, signal, subprocess, sys, threading, time
from alphagrad.tuner import NonRetryableError, Trial, TrialPruned, parse_spec, task
from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_changes import cancel_study
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.study_store import create_study, get_study
from alphagrad.tuner.worker import Worker

def run_studies(bodies, on_tick=lambda database: None):
    settings = TunerSettings()
    database = Database(settings.url)
    migrate(database)
    storage = OptunaStorage(database)
    for name, body in bodies.items():
        body = {"engine": os.environ["TEST_ENGINE"], "n_trials": 1, "seed": 1, "name": name, **body}
        create_study(database, storage, parse_spec(body))
    storage.dispose()
    worker = Worker(database, settings)

    def tick():
        on_tick(database)
        if all(get_study(database, name).ended for name in bodies):
            worker.stop()

    worker.run(on_tick=tick)
    answer = {
        name: [[t.state, t.value, t.error, t.attempt] for t in list_trials(database, name)]
        for name in bodies
    }
    database.dispose()
    return answer
"""


@pytest.fixture
def run_script(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Any]:
    """Runs a script that defines tasks, and returns what its `main` returned.

    It is a script because trial processes import the file again that the worker was started from.
    It starts with `HEAD`; `run_studies` in it gives each study's trials as
    (state, value, error, attempt).
    """

    def run(source: str, *, seconds: float = 120.0) -> Any:
        path = tmp_path / "script.py"
        tail = "\nif __name__ == '__main__':\n    print(json.dumps(main()))\n"
        path.write_text(HEAD + textwrap.dedent(source) + tail)
        done = subprocess.run(
            [sys.executable, str(path)],
            env=environment | {ONLY_TASK: "none of the installed ones"},
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds,
            check=True,
        )
        return json.loads(done.stdout)

    return run


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Tells whether a process has ended, whether or not its parent has noticed."""

    def gone(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    return gone


@pytest.fixture
def work(database: Database, settings: TunerSettings) -> Iterator[Callable[[], Working]]:
    """Starts a worker; those still working at the test's end are stopped."""
    started: list[Working] = []

    def start() -> Working:
        started.append(Working(database, settings))
        return started[-1]

    yield start
    for working in started:
        if working.alive:
            working.stop()


@pytest.fixture
def storage(tmp_path: Path, migrated_sqlite: Callable[[Path], str]) -> Iterator[OptunaStorage]:
    """Optuna's side of an empty SQLite database, for what does not depend on its kind."""
    database = Database(migrated_sqlite(tmp_path / "a.db"))
    opened = OptunaStorage(database)
    yield opened
    opened.dispose()
    database.dispose()

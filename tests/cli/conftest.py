"""The command as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.here import run_here

Command = Callable[..., "subprocess.CompletedProcess[str]"]

ALONE = ("run", "serve", "worker")

TINY = """
name = "tiny"
task = "digits"
n_trials = 2
seed = 1

[params]
epochs = 1
alpha = { type = "float", low = 1.0, high = 100.0, log = true }
"""


@pytest.fixture(autouse=True, scope="session")
def wide_terminal() -> Iterator[None]:
    """Tables are not broken to fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "120")
        yield


@pytest.fixture(scope="session")
def alphagrad() -> Command:
    """Runs ``alphagrad …`` and gives what it printed and its exit code.

    In this process, which saves the imports, but for the commands that start other processes.
    """

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        if arguments[0] not in ALONE:
            return run_here(list(arguments), environment)
        return subprocess.run(
            [sys.executable, "-m", "alphagrad", *arguments],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study file of two trials, a second each."""
    path = tmp_path_factory.mktemp("studies") / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def ran(tiny: Path, tmp_path_factory: pytest.TempPathFactory, alphagrad: Command) -> Path:
    """A home in which the tiny study was run; its output is in ``run.txt``, its errors beside."""
    home = tmp_path_factory.mktemp("ran")
    done = alphagrad("run", str(tiny), "--home", str(home))
    assert done.returncode == 0, done.stderr
    (home / "run.txt").write_text(done.stdout, encoding="utf-8")
    (home / "warnings.txt").write_text(done.stderr, encoding="utf-8")
    return home

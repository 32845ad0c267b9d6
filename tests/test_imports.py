"""What starts fast stays so: no heavy import before it is needed."""

import subprocess
import sys
from importlib import import_module

import pytest

HEAVY = {"torch", "ray", "gymnasium", "sklearn", "optuna", "sqlalchemy", "fastapi", "numpy"}


def loaded_by(code: str) -> set[str]:
    """The heavy packages that a program has loaded when it has ended."""
    report = f"import sys; print(*({HEAVY!r} & {{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


HELP = """
from alphagrad.cli import app
try:
    app({arguments})
except SystemExit as end:
    assert not end.code
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["serve", "--help"], ["run", "--help"], ["demo", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(HELP.format(arguments=arguments)) == set()


@pytest.mark.parametrize("module", ["alphagrad", "alphagrad.cli", "alphagrad.api.client"])
def test_a_light_module_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(f"import {module}") == set()


@pytest.mark.parametrize("module", ["alphagrad.api.app", "alphagrad.api.local", "alphagrad.tuner"])
def test_a_server_loads_no_training_library(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert loaded.isdisjoint({"torch", "ray", "gymnasium"})
    assert "optuna" in loaded


def test_a_trials_process_loads_no_database() -> None:
    """It sends what it has over a pipe; each forkserver and each seat of Ray imports this anew."""
    loaded = loaded_by("import alphagrad.tuner.trial_main, alphagrad.tuner.ray_mailbox")
    assert loaded == {"optuna", "numpy"}


def test_checking_a_study_loads_no_training_library() -> None:
    code = (
        "from alphagrad.tuner import parse_spec\n"
        "parse_spec({'name': 'x', 'task': 'dqn', 'n_trials': 1})"
    )
    assert loaded_by(code).isdisjoint({"torch", "ray", "gymnasium"})


@pytest.mark.parametrize("module", ["alphagrad.client", "alphagrad.tuner"])
def test_names_that_are_imported_later_are_listed(module: str) -> None:
    loaded = import_module(module)
    assert dir(loaded) == sorted(loaded.__all__)

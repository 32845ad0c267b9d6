"""docs/client.md: every method is there, and what it shows runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alphagrad.api.client_steps import iteration, method
from alphagrad.client import ApiError, AsyncClient, AsyncStudy, AsyncTrial, Client, Study, Trial

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text("utf-8")
OBJECTS = {"client": Client, "study": Study, "trial": Trial}


def public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


@pytest.mark.parametrize(
    "name", [f"{word}.{name}" for word, kind in OBJECTS.items() for name in public(kind)]
)
def test_what_an_object_has_is_documented(name: str) -> None:
    assert re.search(rf"`{name}(`|\()", PAGE)


def test_what_is_documented_is_there() -> None:
    for word, name in set(re.findall(r"`(client|study|trial)\.(\w+)", PAGE)):
        kind = OBJECTS[word]
        assert hasattr(kind, name) or (word, name) in {
            ("study", "data"),
            ("study", "warnings"),
            ("trial", "data"),
            ("trial", "study"),
        }


def test_arguments_are_documented() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    for word, kind in OBJECTS.items():
        for name in public(kind):
            shared = next((vars(k)[name] for k in kind.__mro__ if name in vars(k)), None)
            if not isinstance(shared, method | iteration):
                continue
            steps: Any = shared.steps if isinstance(shared, method) else shared.items
            code = steps.__code__
            (row,) = [row for row in rows if f"`{word}.{name}(" in row]
            for argument in code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]:
                assert f"{argument}=" in row, (name, argument)


def test_errors_are_documented() -> None:
    for name in vars(ApiError("", status=None)):
        assert f"`error.{name}`" in PAGE


@pytest.mark.parametrize(
    ("sync", "awaited"), [(Client, AsyncClient), (Study, AsyncStudy), (Trial, AsyncTrial)]
)
def test_both_clients_have_the_same_methods(sync: type, awaited: type) -> None:
    assert public(sync) == public(awaited)
    for name in public(sync):
        assert getattr(sync, name).__doc__, name


def test_the_examples_run(service_url: str, key: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S)
    assert len(blocks) == 7
    script = tmp_path / "example.py"
    script.write_text("print('---')\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"ALPHAGRAD_URL": service_url, "ALPHAGRAD_API_KEY": key},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.split("---\n")
    assert all(printed)
    assert printed[0].startswith("COMPLETED 0.")
    assert re.match(r"applied at step \d+\n", printed[3])
    assert printed[-1] == "422 invalid ['n_trials']\n"
    assert (tmp_path / "bar.csv").read_text().startswith("number,")

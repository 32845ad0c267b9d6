"""docs/tutorial.md is done as it stands there, from the first block to the last."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from tests.free_port import free_port

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
INSTALLATION = BLOCKS[0][1]


def files() -> dict[str, str]:
    """What the reader is told to save, by name."""
    names = re.findall(r"[Ss]ave this as `([\w.]+)`", PAGE)
    return dict(zip(names, (code for kind, code in BLOCKS if kind != "sh"), strict=True))


def script() -> str:
    """All commands behind the installation, as one."""
    return "".join(code for kind, code in BLOCKS[1:] if kind == "sh")


def test_the_installation_is_a_target_of_make() -> None:
    (target,) = re.findall(r"^make (\S+)", INSTALLATION, flags=re.MULTILINE)
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "pip install" in done.stdout
    assert "--editable ." in done.stdout


@pytest.mark.parametrize("name", ["first.toml", "long.toml"])
def test_the_study_files_are_written_out(name: str) -> None:
    assert f"alphagrad submit {name}" in script()
    assert tomllib.loads(files()[name])["name"] == name.removesuffix(".toml")


TRACE = """
curl --silent --fail --header "Authorization: Bearer $ALPHAGRAD_API_KEY" \\
  "$ALPHAGRAD_URL/v1/studies/long/trials/0/alpha?layers=hidden*.weight" > trace.json
"""


def test_every_step_does_what_the_page_says(tmp_path: Path) -> None:
    for name, code in files().items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    commands = script().replace(" &\n", " > serve.log 2>&1 &\n", 1).replace("8000", free_port())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"set -eu\ntrap 'kill %1; wait' EXIT\n{commands}{TRACE}"],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    shown = done.stdout + done.stderr + (tmp_path / "serve.log").read_text()
    assert done.returncode == 0, shown
    assert "warning" not in done.stderr, shown
    assert re.search(r"^\S+  first  COMPLETED$", done.stdout, flags=re.MULTILINE), shown
    (turned,) = re.findall(r"long/0 applied at step (\d+)", done.stdout)
    assert re.search(rf"hidden\*\.weight .* 100 .* applied .* {turned} ", done.stdout), shown
    assert "long CANCELLED" in done.stdout, shown
    (right,) = re.findall(r"(0\.\d+) of the images are right", done.stdout)
    assert float(right) > 0.8
    brighter(json.loads((tmp_path / "trace.json").read_text()), turned=int(turned))


def brighter(trace: dict[str, Any], *, turned: int) -> None:
    """The rows of the matrices are dark, and turn brighter where the knob was turned."""
    assert trace["layers"] == ["hidden1.weight", "hidden2.weight"]
    rows = list(zip(trace["steps"], trace["saturation"], strict=True))
    before = [row for step, row in rows if step < turned]
    after = [row for step, row in rows if step >= turned]
    for layer in range(2):
        dark, bright = (mean(row[layer] or 0.0 for row in part) for part in (before, after))
        assert dark < 0.02, trace
        assert bright > 5 * dark, trace

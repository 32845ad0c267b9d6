"""The README's code blocks run, and what it names is there."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from alphagrad.tuner import parse_spec

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def blocks(language: str, containing: str = "") -> list[str]:
    return [code for kind, code in BLOCKS if kind == language and containing in code]


def run(command: list[str], home: Path, cwd: Path = ROOT) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"ALPHAGRAD_HOME": str(home), "PATH": path}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_block_is_run_by_a_test_here() -> None:
    known = len(blocks("python")) + len(blocks("toml"))
    shell = sum(len(blocks("sh", word)) for word in ("make run", "alphagrad serve", "alphagrad ls"))
    assert known + shell == len(BLOCKS)


@pytest.mark.parametrize("index", range(len(blocks("python"))))
def test_python_blocks_run_as_scripts(index: int, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(blocks("python")[index], encoding="utf-8")
    output = run([sys.executable, "-W", "error", str(script)], tmp_path, cwd=tmp_path)
    assert "2.bias" in output or "COMPLETED" in output


def test_the_study_file_is_valid() -> None:
    (study,) = blocks("toml")
    assert parse_spec(tomllib.loads(study)).n_trials == 20


def test_make_targets_exist() -> None:
    (block,) = blocks("sh", "make run")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in [*re.findall(r"^make (\w+)", block, flags=re.MULTILINE), "stop", "help"]:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_rest_block_runs_against_a_real_service(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    (block,) = blocks("sh", "alphagrad serve")
    script = "set -eu\ntrap 'kill %1; wait' EXIT\n" + block.replace("8000", port).replace(
        " &\n", " > serve.log 2>&1 &\n", 1
    )
    output = run(["bash", "-c", script], tmp_path, cwd=tmp_path)
    assert '"state":"applied"' in output
    assert '"state":"CANCELLED"' in output


def test_the_command_line_block_runs(tmp_path: Path) -> None:
    (block,) = blocks("sh", "alphagrad ls")
    output = run(["bash", "-euc", block], tmp_path)
    assert "mine COMPLETED" in output
    assert "later STOPPING" in output

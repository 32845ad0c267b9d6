"""The files of a deployment, read as the tools read them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import need

ROOT = Path(__file__).parent.parent.parent
COMPOSE = ROOT / "docker-compose.yml"
OURS = ("migrate", "api", "worker", "ray-head", "ray-worker")
"""The services that run our image."""


def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def services() -> dict[str, dict[str, Any]]:
    """The services of the compose file, its anchors resolved and its variables left as they are."""
    found: dict[str, dict[str, Any]] = load(COMPOSE)["services"]
    return found


def program(name: str) -> str:
    """The path of a tool that `scripts/test-tools` installs."""
    found = shutil.which(name)
    if found is None:
        need(name)
    return found


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a tool with what it prints in ``stdout``."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )

"""The scripts of ``examples`` run, small."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = {
    "chars.py": (["--steps", "10"], "nats per character, saturation 0."),
    "sb3_ppo.py": (["--steps", "256"], "the same α after loading: True"),
    "lightning_digits.py": (["--epochs", "1"], "accuracy 0."),
    "transformers_bert.py": (["--steps", "10"], ", mean α "),
}


def test_every_example_is_run() -> None:
    assert sorted(EXAMPLES) == sorted(path.name for path in (ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    options, expected = EXAMPLES[name]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONWARNINGS": "default", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout
    with (tmp_path / "alpha.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"step", "layer", "alpha", "saturation"} <= set(rows[0])
    assert all(float(row["alpha"]) > 0 for row in rows)

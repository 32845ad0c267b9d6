"""The wheel works without the checkout that made it: in a program, as a server, typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_stranger_installs_and_uses_the_wheel() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "check_wheel.py")],
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "study small: COMPLETED" in done.stdout
    assert "strict, no error in typed.py" in done.stdout

"""How long a trial takes from its process's fork to its first environment step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rl_stamp import FOLDER
from rl_tasks import Task

# As little training as a task allows.
SHORT: dict[str, dict[str, Any]] = {
    "ppo": {"total_timesteps": 64, "num_steps": 64, "num_minibatches": 2},
    "td3": {"total_timesteps": 20, "learning_starts": 10},
    "dqn": {"total_timesteps": 20, "learning_starts": 10},
}


def starts(task: Task, trials: int) -> list[float]:
    """Run a study by the command line, one trial at a time.

    Args:
        task: what it trains.
        trials: how many trials.

    Returns:
        For each trial the seconds from the fork to the first step, the least first.

    Raises:
        RuntimeError: the study did not complete.
    """
    with tempfile.TemporaryDirectory(prefix="alphagrad-rl-") as folder:
        stamps = Path(folder) / "stamps"
        stamps.mkdir()
        study = Path(folder) / "study.toml"
        study.write_text(_toml(task, trials), encoding="utf-8")
        modules = os.pathsep.join(
            filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH")))
        )
        home = Path(folder) / "home"
        done = subprocess.run(
            [sys.executable, "-m", "alphagrad", "run", str(study), "--home", str(home)],
            env=os.environ | {FOLDER: str(stamps), "PYTHONPATH": modules},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        found = sorted(float(file.read_text(encoding="utf-8")) for file in stamps.iterdir())
        if done.returncode or len(found) != trials:
            logs = [log.read_text(encoding="utf-8") for log in sorted(home.glob("logs/*/*.log"))]
            raise RuntimeError("\n".join([*logs[:1], done.stdout, done.stderr]))
        return found


def _toml(task: Task, trials: int) -> str:
    params = {"env_id": f"rl_stamp:Stamped-{task.env_id}", "eval_episodes": 1, **SHORT[task.name]}
    lines = [f"name = {json.dumps(task.name)}", f"task = {json.dumps(task.name)}"]
    lines += [f"n_trials = {trials}", "seed = 1", "[params]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in params.items()]
    return "\n".join([*lines, 'k = { type = "float", low = 0.1, high = 1.0 }', ""])

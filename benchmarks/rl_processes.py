"""What needs processes of its own: CleanRL's scripts, two trainings at a time, other kernels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rl_clock import Spent, Window
from rl_tasks import FIRST, TASKS, Task

CHILD = Path(__file__).with_name("rl_child.py")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
CORETYPE = "OPENBLAS_CORETYPE"


class ChildFailedError(Exception):
    """A process has ended without a result; the message is the last that it wrote."""


class Child:
    """A timed training in a process of its own, with a working folder that goes with it.

    Args:
        job: what `rl_child.py` takes.
        environment: its environment variables.
    """

    def __init__(self, job: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="alphagrad-rl-")
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD), json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=dict(environment),
            cwd=self._folder.name,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()
        self._folder.cleanup()

    def wait_until_ready(self) -> None:
        """Wait until its clock could start."""
        self._line()

    def go(self) -> None:
        """Start its clock."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Wait for what it has spent."""
        found: dict[str, Any] = json.loads(self._line())
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return line
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        raise ChildFailedError(lines[-1] if lines else f"exit {self._process.returncode}")


def together(jobs: list[dict[str, Any]], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Run jobs at the same time; their clocks start together.

    Raises:
        ChildFailedError: one has failed.
    """
    with ExitStack() as stack:
        children = [stack.enter_context(Child(job, environment)) for job in jobs]
        for child in children:
            child.wait_until_ready()
        for child in children:
            child.go()
        return [child.result() for child in children]


def script(task: Task, folder: Path, window: Window, *, seed: int) -> Spent:
    """Time one of CleanRL's scripts.

    Args:
        task: which one.
        folder: a checkout of CleanRL.
        window: what to time.
        seed: the script's.

    Raises:
        ChildFailedError: the script is not there, or has failed.
    """
    places = [folder / "cleanrl" / task.script, folder / task.script]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise ChildFailedError(f"no {task.script} in {folder}")
    job = {
        "script": str(found.resolve()),
        "folder": str(folder.resolve()),
        "arguments": ["--no-cuda", "--no-track", "--seed", str(seed), *task.arguments],
        "window": [window.first, window.count],
    }
    [result] = together([job], os.environ)
    return Spent(cpu=result["cpu"], wall=result["wall"])


def two_against_one(task: Task, window: Window, *, one_thread: bool, seed: int) -> dict[str, float]:
    """Time one process, then two at a time.

    Args:
        task: what they train.
        window: what to time.
        one_thread: whether each keeps to one thread, as our tasks do; else numpy and torch take
            as many as they do by default (TD3 only).
        seed: of the first process; the second has the next.

    Returns:
        `throughput` of two over one, `cpu` of a step with two over one, and `steps_per_second` of
        one and of two together.
    """
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    if one_thread:
        environment |= dict.fromkeys(THREADS, "1")
    jobs = [_job(task, window, guarded=one_thread, seed=seed + i) for i in range(2)]
    return _compared(jobs, environment, steps=window.count * task.per_update)


def two_loops_against_one(turns: int = 20_000_000) -> dict[str, float]:
    """Time empty loops likewise: more than the machine gives them, no training can have."""
    return _compared([{"loop": turns}] * 2, os.environ, steps=turns)


def _compared(
    jobs: list[dict[str, Any]], environment: Mapping[str, str], *, steps: float
) -> dict[str, float]:
    [alone] = together(jobs[:1], environment)
    both = together(jobs, environment)
    slower = max(one["wall"] for one in both)
    return {
        "steps_per_second_of_one": steps / alone["wall"],
        "steps_per_second_of_two": 2 * steps / slower,
        "throughput": 2 * alone["wall"] / slower,
        "cpu": sum(one["cpu"] for one in both) / 2 / alone["cpu"],
    }


def haswell_against_default(window: Window, *, seed: int) -> dict[str, Any]:
    """Time TD3 with the kernels that OpenBLAS chooses, and with Haswell's.

    Returns:
        CPU time with `OPENBLAS_CORETYPE=Haswell` over that without, and the kernels of both.
    """
    job = _job(TASKS["td3"], window, guarded=True, seed=seed)
    plain = {name: value for name, value in os.environ.items() if name != CORETYPE}
    [default], [haswell] = (
        together([job], environment) for environment in (plain, plain | {CORETYPE: "Haswell"})
    )
    kernels = {"default": default["kernels"], "haswell": haswell["kernels"]}
    return {"ratio": haswell["cpu"] / default["cpu"], "kernels": kernels}


def _job(task: Task, window: Window, *, guarded: bool, seed: int) -> dict[str, Any]:
    return {
        "task": task.name,
        "params": task.variant(FIRST),
        "window": [window.first, window.count],
        "guarded": guarded,
        "seed": seed,
    }

"""One timed training in a process of its own; started by rl_processes.py.

Its argument is a job in JSON. It writes "ready" before the clock starts, waits for a line, and
writes what was spent, in JSON.
"""

from __future__ import annotations

import json
import runpy
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
from rl_clock import Spent, Stopwatch, Window, clocked


def main() -> None:
    """Run the job."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    warnings.filterwarnings("ignore", message=".*is out of date", category=DeprecationWarning)
    out, sys.stdout = sys.stdout, sys.stderr  # a script's own lines go elsewhere

    def before() -> None:
        print("ready", file=out, flush=True)
        if not sys.stdin.readline():
            sys.exit("nobody waits for the result")

    kernels: list[str] = []
    if "loop" in job:
        before()
        watch = Stopwatch()
        for _ in range(job["loop"]):
            pass
        spent = watch.spent()
    elif "script" in job:
        spent = _script(job, before)
    else:
        spent, kernels = _ours(job, before)
    result = {"cpu": spent.cpu, "wall": spent.wall, "kernels": kernels}
    print(json.dumps(result), file=out, flush=True)


def _script(job: dict[str, Any], before: Callable[[], None]) -> Spent:
    torch.set_num_threads(1)
    sys.argv = [job["script"], *job["arguments"]]
    sys.path.insert(0, job["folder"])
    return clocked(
        lambda: runpy.run_path(job["script"], run_name="__main__"),
        Window(*job["window"]),
        before=before,
    )


def _ours(job: dict[str, Any], before: Callable[[], None]) -> tuple[Spent, list[str]]:
    from rl_tasks import ours, trial
    from threadpoolctl import threadpool_info

    name, params, seed = job["task"], job["params"], job["seed"]
    window = Window(*job["window"])
    if job["guarded"]:
        spent = ours(name, params, window, seed=seed, before=before)
    else:
        from alphagrad.studies.td3 import td3

        # What the task's decorator keeps to one thread.
        bare = td3.__wrapped__  # type: ignore[attr-defined]
        spent = clocked(lambda: bare(trial(name, params, seed=seed)), window, before=before)
    kernels = {pool.get("architecture") for pool in threadpool_info()} - {None}
    return spent, sorted(map(str, kernels))


if __name__ == "__main__":
    main()

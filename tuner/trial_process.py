"""The process that trials run in: forked from a server that has the heavy imports done."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running

from alphagrad.tuner.executor import Engine
from alphagrad.tuner.messages import FromTrial, ToTrial, TrialRequest
from alphagrad.tuner.process_tree import kill_tree
from alphagrad.tuner.resources import THREAD_VARIABLES
from alphagrad.tuner.trial_main import run_trials

ONLY_TASK = "ALPHAGRAD_ONLY_TASK"
"""Tells a forkserver to import one task alone."""


def forkserver(only_task: str | None = None) -> ForkServerContext:
    """The context that starts trials, about 20 ms each once its imports are done.

    A forkserver has no threads and no CUDA context, so its children may use both.

    Args:
        only_task: import this task ahead, not all of them; trials of others start more slowly.
    """
    if only_task is not None:
        os.environ[ONLY_TASK] = only_task
    for variable in THREAD_VARIABLES:
        # Two processes of two threads each fight for two cores: 29 times slower for TD3.
        os.environ.setdefault(variable, "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["alphagrad.tuner.preload"])
    ensure_running()  # its imports take seconds; they go on while the worker looks for trials
    return context


class LocalExecutor:
    """Runs the trials of engine ``optuna``: processes of this machine.

    Args:
        cpus: slots, of which a trial takes as many as it needs CPUs.
        gpus: the names of GPUs.
        warm: begin the imports of torch and the tasks now.
    """

    engine: Engine = "optuna"

    def __init__(self, cpus: int, gpus: Sequence[str] = (), *, warm: bool = True) -> None:
        self.capacity = cpus, gpus
        if warm:
            forkserver()

    def start(self, requests: Sequence[TrialRequest]) -> TrialProcess:
        """Start a process for a trial, or for a stack of them."""
        return TrialProcess(forkserver(), requests)

    def close(self) -> None:
        """The forkserver ends with this process."""


class TrialProcess:
    """A started process that runs one trial, or a stack of them, each with a line of its own.

    Args:
        context: the forkserver that starts it.
        requests: what it is told to run, of one study.

    Attributes:
        lines: the worker's ends, in the order of the requests.
        started_at: when it started, on the clock of ``time.monotonic``.
    """

    def __init__(self, context: ForkServerContext, requests: Sequence[TrialRequest]) -> None:
        pairs = [context.Pipe(duplex=True) for _ in requests]
        self.lines: list[Connection[ToTrial, FromTrial]] = [ours for ours, _ in pairs]
        numbers = "+".join(str(request.number) for request in requests)
        self._process = context.Process(
            target=run_trials,
            args=([theirs for _, theirs in pairs], list(requests)),
            name=f"{requests[0].study}/{numbers}",
        )
        self.started_at = time.monotonic()
        self._process.start()
        for _, theirs in pairs:
            theirs.close()
        self._trials = len(requests)

    @property
    def sentinel(self) -> int:
        """What becomes ready when the process ends."""
        return self._process.sentinel

    @property
    def exitcode(self) -> int | None:
        """The exit code, a signal's number negated, or ``None`` while it runs."""
        return self._process.exitcode

    def join(self, timeout: float) -> None:
        """Wait so many seconds for its end."""
        self._process.join(timeout)

    def release(self) -> None:
        """Say that one of its trials needs it no more; the last one ends it and all it started."""
        self._trials -= 1
        if self._trials:
            return
        assert self._process.pid is not None
        # Also what outlives the process itself.
        if not kill_tree(self._process.pid) and self._process.is_alive():
            self._process.kill()  # it has not made its own group yet
        self._process.join()

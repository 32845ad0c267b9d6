"""The process that trials run in: forked from a server that has the heavy imports done."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from typing import Any

from alphagrad.tuner.executor import Engine
from alphagrad.tuner.messages import FromTrial, ToTrial, TrialRequest
from alphagrad.tuner.process_tree import kill_tree
from alphagrad.tuner.resources import THREAD_VARIABLES
from alphagrad.tuner.trial_main import run_trials

logger = logging.getLogger(__name__)

ONLY_TASK = "ALPHAGRAD_ONLY_TASK"
"""Tells a forkserver to import one task alone."""
ORPHANED = 255
"""What Python gives for the exit code of a child whose forkserver is gone, though it may run on."""
MOST_SPARES = 2
"""So many processes wait for their trial, at most: two may end at the same moment."""


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
    # Each trial's process imports its worker's main module, a script or the command line; what
    # that imports in turn is imported here, once.
    ahead = ["alphagrad.tuner.preload"]
    if script_of_tasks() is not None:
        ahead.append("alphagrad.tuner.embedded")
    elif "alphagrad.cli" in sys.modules:
        ahead.append("alphagrad.cli")
    context.set_forkserver_preload(ahead)
    ensure_running()  # its imports take seconds; they go on while the worker looks for trials
    return context


def script_of_tasks() -> str | None:
    """The script that this process was started from, which may have tasks: not ``alphagrad``."""
    main, cli = sys.modules["__main__"], sys.modules.get("alphagrad.cli")
    if cli is not None and getattr(main, "main", None) is cli.main:
        return None
    return getattr(main, "__file__", None)


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
        self._spares: list[TrialProcess] = []
        self._most_spares = 0
        if warm:
            forkserver()

    def start(self, requests: Sequence[TrialRequest]) -> TrialProcess:
        """Start a process for a trial, or for a stack of them."""
        self._most_spares = min(self.capacity[0], MOST_SPARES)
        while self._spares and len(requests) == 1:
            process = self._spares.pop(0)
            if process.run(requests[0]):
                return process
            process.release()
        return TrialProcess(forkserver(), requests)

    def prepare(self) -> None:
        """Start a process ahead of its trial, once trials are run and if too few wait.

        Forking takes 10 to 20 ms, in which a trial that has ended would leave its slot empty.
        """
        if len(self._spares) >= self._most_spares:
            return
        try:
            self._spares.append(TrialProcess(forkserver()))
        except Exception as error:  # noqa: BLE001  (the next trial says so, if it is so still)
            logger.warning("no process could be started ahead: %s", error)
            self._most_spares = 0

    def close(self) -> None:
        """End the processes that wait for a trial; the forkserver ends with this process."""
        self._most_spares = 0
        for spare in self._spares:
            spare.release()
        for spare in self._spares:
            spare.join()
        self._spares = []


class TrialProcess:
    """A started process that runs one trial, or a stack of them, each with a line of its own.

    It may be started before it is known what it will run: it has its imports done and waits.

    Args:
        context: the forkserver that starts it.
        requests: what it is told to run, of one study; ``None`` for a process that waits for
            :meth:`run`.

    Attributes:
        lines: the worker's ends, in the order of the requests.
        started_at: when it started, on the clock of ``time.monotonic``.
    """

    def __init__(
        self, context: ForkServerContext, requests: Sequence[TrialRequest] | None = None
    ) -> None:
        count = 1 if requests is None else len(requests)
        pairs = [context.Pipe(duplex=True) for _ in range(count)]
        self.lines: list[Connection[ToTrial, FromTrial]] = [ours for ours, _ in pairs]
        self._process = context.Process(
            target=run_trials,
            args=([theirs for _, theirs in pairs], None if requests is None else list(requests)),
        )
        self.started_at = time.monotonic()
        self._process.start()
        for _, theirs in pairs:
            theirs.close()
        self._trials = len(pairs)

    def run(self, request: TrialRequest) -> bool:
        """Tell a process that waits what to run; says whether it is still there."""
        line: Connection[Any, Any] = self.lines[0]
        try:
            line.send(request)  # the one message that is no answer
        except OSError:
            return False
        self.started_at = time.monotonic()
        return True

    @property
    def sentinel(self) -> int:
        """What becomes ready when the process ends."""
        return self._process.sentinel

    @property
    def exitcode(self) -> int | None:
        """The exit code, a signal's number negated, or ``None`` while it runs."""
        return self._process.exitcode

    @property
    def is_orphan(self) -> bool:
        """Whether it runs though its exit code says that it does not.

        The process id of a child that did end with 255 is gone too: its forkserver waited for it.
        """
        if self.exitcode != ORPHANED:
            return False
        assert self._process.pid is not None
        try:
            os.kill(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most so many seconds."""
        self._process.join(timeout)

    def release(self) -> bool:
        """Say that one of its trials needs it no more; the last one kills it and all it started.

        Returns:
            Whether it was killed; :meth:`join` waits until it is gone.
        """
        self._trials -= 1
        if self._trials:
            return False
        assert self._process.pid is not None
        # Also what outlives the process itself.
        if not kill_tree(self._process.pid) and self._process.is_alive():
            self._process.kill()  # it has not made its own group yet
        return True

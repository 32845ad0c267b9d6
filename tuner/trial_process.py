"""The process that trials run in: forked from a server that has the heavy imports done."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from typing import Any

from alphagrad.tuner.messages import FromTrial, ToTrial, TrialRequest
from alphagrad.tuner.process_tree import kill_tree
from alphagrad.tuner.resources import THREAD_VARIABLES
from alphagrad.tuner.trial_main import run_trials


def forkserver() -> ForkServerContext:
    """The context that starts trials, about 20 ms each once its imports are done.

    A forkserver has no threads and no CUDA context, so its children may use both.
    """
    for variable in THREAD_VARIABLES:
        # Two processes of two threads each fight for two cores: 29 times slower for TD3.
        os.environ.setdefault(variable, "1")
    context = multiprocessing.get_context("forkserver")
    # Each trial's process imports its worker's main module, and with it the command line.
    main = [name for name in ("alphagrad.cli",) if name in sys.modules]
    context.set_forkserver_preload(["alphagrad.tuner.preload", *main])
    ensure_running()  # its imports take seconds; they go on while the worker looks for trials
    return context


class TrialProcess:
    """A started process that runs one trial, or a stack of them, each with a line of its own.

    It may be started before it is known what it will run: it has its imports done and waits.

    Args:
        context: the forkserver that starts it.
        requests: what it is told to run, of one study; ``None`` for a process that waits for
            :meth:`run`.

    Attributes:
        lines: the worker's ends, in the order of the requests.
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
        return True

    @property
    def sentinel(self) -> int:
        """What becomes ready when the process ends."""
        return self._process.sentinel

    @property
    def exitcode(self) -> int | None:
        """The exit code, a signal's number negated, or ``None`` while it runs."""
        return self._process.exitcode

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

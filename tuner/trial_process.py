"""The process a trial runs in: forked from a server that has the heavy imports done."""

from __future__ import annotations

import faulthandler
import math
import multiprocessing
import os
import signal
import sys
import traceback
from importlib import import_module
from importlib.metadata import entry_points
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any

import optuna

from alphagrad.tuner.channel import PipeChannel
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.messages import Finished, FromTrial, ToTrial, TrialRequest
from alphagrad.tuner.registry import ENTRY_POINT_GROUP, get_task
from alphagrad.tuner.trial import Trial

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def forkserver() -> ForkServerContext:
    """The context that starts trials, about 20 ms each once its imports are done.

    A forkserver has no threads and no CUDA context, so its children may use both.
    """
    for variable in THREAD_VARIABLES:
        # Two processes of two threads each fight for two cores: 29 times slower for TD3.
        os.environ.setdefault(variable, "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["alphagrad.tuner.preload"])
    ensure_running()  # its imports take seconds; they go on while the worker looks for trials
    return context


def start(
    context: ForkServerContext, request: TrialRequest
) -> tuple[ForkServerProcess, Connection[ToTrial, FromTrial]]:
    """Start a trial's process; returns it and the worker's end of the line."""
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(
        target=run_trial, args=(theirs, request), name=f"{request.study}/{request.number}"
    )
    process.start()
    theirs.close()
    return process, ours


def kill(process: ForkServerProcess) -> None:
    """End a trial's process and all it started."""
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)  # also what outlives the process itself
    except ProcessLookupError:
        if process.is_alive():
            process.kill()  # it has not made its own group yet
    process.join()


def run_trial(connection: Connection[FromTrial, ToTrial], request: TrialRequest) -> None:
    """Run one attempt of a trial and send its end: the target of the process."""
    os.setsid()  # a group of its own, so that all of it can be killed at once
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _log_to(Path(request.log_path))
    channel = PipeChannel(connection)
    trial = Trial(
        params=request.params,
        seed=request.seed,
        number=request.number,
        study=request.study,
        attempt=request.attempt,
        channel=channel,
        checkpoints=CheckpointStore(Path(request.checkpoint_dir), fence=request.fence),
    )
    trial.log(f"attempt {request.attempt} of {request.study}/{request.number}: {request.params}")
    finished = _run(trial, request.task)
    trial.close()
    trial.log(f"{finished.state} {finished.value if finished.error is None else finished.error}")
    channel.finish(finished)


def _run(trial: Trial, name: str) -> Finished:
    try:
        task = get_task(name)
        trial.params = task.complete(trial.params)
        return outcome(task(trial))
    except optuna.TrialPruned:
        return Finished(state="PRUNED")
    except Exception as error:  # noqa: BLE001  (whatever a task raises is its result)
        traceback.print_exc()
        return Finished(state="FAIL", error=f"{type(error).__name__}: {error}")


def outcome(value: Any) -> Finished:
    """What a task's return value makes of its trial.

    A finite number completes it. NaN, infinities, ``None``, booleans and text fail it: no sampler
    can learn from them.

    Example:
        >>> outcome(0.5)
        Finished(state='COMPLETE', value=0.5, error=None)
        >>> outcome(float("inf")).error
        'the task returned inf; a finite number is needed'
    """
    text = isinstance(value, str | bytes | bool) or value is None
    try:
        number = math.nan if text else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        return Finished(
            state="FAIL", error=f"the task returned {value!r}; a finite number is needed"
        )
    return Finished(state="COMPLETE", value=number)


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    # The descriptors themselves, so that output of C libraries lands there too.
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = open(  # noqa: SIM115  (open as long as the process lives)
            number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        setattr(sys, name, stream)
    faulthandler.enable()


def import_tasks() -> None:
    """Import the modules of all installed tasks; one that cannot be imported is left out."""
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            import_module(get_task(point.name).module)
        except Exception:  # noqa: BLE001  (its trials will fail with this error, others must not)
            traceback.print_exc()

"""What a trial's process does: runs one trial, or a stack of them, and sends each one's end."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import optuna
from pydantic import ValidationError

from alphagrad.tuner.channel import PipeChannel
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.errors import NonRetryableError
from alphagrad.tuner.log_file import open_log
from alphagrad.tuner.messages import (
    DISK_FULL,
    Finished,
    FromTrial,
    OutOfSpace,
    ToTrial,
    TrialRequest,
)
from alphagrad.tuner.niceness import make_way
from alphagrad.tuner.outcomes import outcome, with_constraints
from alphagrad.tuner.process_tree import adopt_orphans
from alphagrad.tuner.registry import ENTRY_POINT_GROUP, Task, get_task
from alphagrad.tuner.resources import Allotment, use
from alphagrad.tuner.trial import Trial


def run_trials(
    connections: Sequence[Connection[FromTrial, ToTrial]],
    requests: Sequence[TrialRequest] | None,
) -> None:
    """Run an attempt of each trial and send their ends: the target of the process.

    Args:
        connections: the trials' ends of the lines to the worker.
        requests: what to run, of one study; several form a stack. ``None``: it comes over the line.
    """
    os.setsid()  # a group of its own, so that all of it can be killed at once
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if requests is None:
        try:
            first: Any = connections[0].recv()
        except (EOFError, OSError):
            return  # the worker is gone, or needs it no more
        requests = [first]
    make_way(requests[0].nice)
    use(Allotment(requests[0].cpu, requests[0].gpus))
    # The output of the process is in the log of its first trial.
    _log_to(Path(requests[0].log_path))
    lines: list[PipeChannel] = []
    channels = [PipeChannel(connection, company=lines) for connection in connections]
    trials = [_trial(request, channel) for request, channel in zip(requests, channels, strict=True)]
    for request, trial in zip(requests, trials, strict=True):
        own = f"attempt {request.attempt} of {request.study}/{request.number}: {request.params}"
        numbers = [other.number for other in requests if other is not request]
        trial.log(f"{own}, stacked with {numbers}" if numbers else own)
    for index, ended in outcomes(requests[0].task, trials):
        trial = trials[index]
        try:
            trial.close()
        except Exception:  # noqa: BLE001  (a broken device gives no trace: that ended nothing)
            traceback.print_exc()
        end = with_constraints(ended, trial.constraints, requests[index].constraints)
        if isinstance(end, OutOfSpace):
            trial.log(f"put off: {end.error}")
        elif end.state == "PRUNED":
            trial.log(f"PRUNED {channels[index].prune_reason or ''}".rstrip())
        else:
            trial.log(f"{end.state} {end.value if end.error is None else end.error}")
        channels[index].finish(end)


def outcomes(
    task: Task | str, trials: Sequence[Trial]
) -> Iterator[tuple[int, Finished | OutOfSpace]]:
    """Run a task for one trial, or for a stack of them.

    Args:
        task: the task or its name; for several trials, one that can be stacked.
        trials: what to run it for.

    Yields:
        A trial's place in ``trials`` and its end, in the order in which they end.
    """
    running = set(range(len(trials)))
    try:
        task = get_task(task) if isinstance(task, str) else task
        for trial in trials:
            trial.params = task.complete(trial.params)
        results = task.run_stack(trials) if len(trials) > 1 else [(0, task(trials[0]))]
        for index, value in results:
            end = outcome(value, n_objectives=trials[index].n_objectives)
            running.remove(index)
            yield index, end
        left: Finished | OutOfSpace = Finished(
            state="FAIL", error="the task ended without a result"
        )
    except optuna.TrialPruned as pruned:
        left = outcome(pruned)
    except (NonRetryableError, ValidationError) as error:  # bad parameters stay bad
        traceback.print_exc()
        left = Finished(state="FAIL", error=f"{type(error).__name__}: {error}", retryable=False)
    except Exception as error:  # noqa: BLE001  (whatever a task raises is its result)
        traceback.print_exc()
        shown = f"{type(error).__name__}: {error}"
        full = isinstance(error, OSError) and error.errno in DISK_FULL
        left = OutOfSpace(shown) if full else Finished(state="FAIL", error=shown)
    for index in sorted(running):
        yield index, left


def import_tasks(only: str | None = None) -> None:
    """Import the modules of all installed tasks, or of one; what cannot be imported is left out."""
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if only not in (None, point.name):
            continue
        try:
            import_module(get_task(point.name).module)
        except Exception:  # noqa: BLE001  (its trials will fail with this error, others must not)
            traceback.print_exc()


def _trial(request: TrialRequest, channel: PipeChannel) -> Trial:
    return Trial(
        params=request.params,
        seed=request.seed,
        number=request.number,
        study=request.study,
        attempt=request.attempt,
        channel=channel,
        checkpoints=CheckpointStore(
            Path(request.checkpoint_dir), fence=request.fence, exploit=request.exploit
        ),
        log=open_log(Path(request.log_path)),
        n_objectives=request.n_objectives,
        constraint_names=request.constraints,
        traces_before_reports=request.traces_before_reports,
        population=request.population,
    )


def _log_to(path: Path) -> None:
    with open_log(path) as file:
        # The descriptors themselves, so that output of C libraries lands there too.
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = open_log(1), open_log(2)
    faulthandler.enable()

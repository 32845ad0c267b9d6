"""The handle a task receives: its parameters, and its way to talk to the worker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, SupportsFloat, TextIO

from alphagrad.tuner.channel import Channel, NullChannel
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.errors import NonRetryableError
from alphagrad.tuner.messages import Report, Saved
from alphagrad.tuner.metric_buffer import MetricBuffer
from alphagrad.tuner.registry import get_task
from alphagrad.tuner.steps import checked_step
from alphagrad.tuner.watch import Watcher

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from alphagrad.scheduler import AlphaScheduler


class Trial:
    """One run of a task, as the task sees it.

    A task never opens the database. What it reports goes over a channel to its worker, which
    writes it; the pruner's verdict and the knob's commands come back the same way.

    Attributes:
        study: the study's name.
        number: the trial's number in its study, from 0, as Optuna counts.
        seed: an integer in [0, 2³²), the same for the same study seed and number.
        params: constants, suggested values and the task's defaults, by name.
        attempt: 1 at the first try; more after a failure or a lost worker.
        n_objectives: how many numbers the task is to return.
        constraints: those set so far, by name.

    Example:
        >>> from alphagrad.tuner import Trial
        >>> trial = Trial(params={"alpha": 50.0}, seed=7)
        >>> trial.params["alpha"]
        50.0
        >>> trial.report(0.5, step=10)
        >>> trial.should_prune()
        False
    """

    def __init__(
        self,
        *,
        params: Mapping[str, Any],
        seed: int = 0,
        number: int = 0,
        study: str = "",
        attempt: int = 1,
        channel: Channel | None = None,
        checkpoints: CheckpointStore | None = None,
        log: TextIO | None = None,
        n_objectives: int = 1,
        constraint_names: Collection[str] | None = None,
        traces_before_reports: bool = False,
        population: bool = False,
    ) -> None:
        self.study = study
        self.number = number
        self.seed = seed
        self.params = dict(params)
        self.attempt = attempt
        self.n_objectives = n_objectives
        self.constraints: dict[str, float] = {}
        self._constraint_names = constraint_names
        self._channel = channel or NullChannel()
        self._checkpoints = checkpoints
        self._log = log
        self._population = population
        self._watcher = Watcher(self._channel)
        self._metrics = MetricBuffer(self._channel)
        self._has_reported = False
        self._traces_before_reports = traces_before_reports
        self._schedulers: list[AlphaScheduler] = []

    def report(self, value: float, step: int) -> None:
        """Report the objective's value so far, to the worker and to the watched α schedulers.

        Args:
            value: the value; NaN and infinities are recorded as they are.
            step: where training stands, in [0, 2³¹), as Optuna stores it. A step reported twice
                keeps the last value; a later attempt of the trial replaces what an earlier one
                reported from its first step on (not with a Wilcoxon pruner, whose steps have no
                order).

        Raises:
            TypeError: ``value`` is not a number, or ``step`` not an integer.
            ValueError: ``step`` is out of its range.
            NonRetryableError: the study has several objectives.
        """
        if self.n_objectives > 1:
            raise NonRetryableError(
                f"report: the study has {self.n_objectives} objectives, and reports are of one; "
                "use trial.record"
            )
        if isinstance(value, str | bytes | bool):
            raise TypeError(f"report: the value must be a number, got {value!r}")
        report = Report(step=checked_step("report", step), value=float(value))
        if self._traces_before_reports:
            self._watcher.flush()
        self._channel.send(report)
        self._has_reported = True
        for scheduler in self._schedulers:
            scheduler.observe(float(value))

    def record(self, values: Mapping[str, SupportsFloat], step: int) -> None:
        """Record metrics beside the objective: losses, Q values, an episode's return.

        They are sent in batches, so a call costs a few microseconds; a tensor on a GPU is waited
        for. A later attempt of the trial replaces what an earlier one recorded from its first
        step on.

        Args:
            values: numbers by name, also NumPy scalars and tensors of one element. NaN and
                infinities are recorded as they are. A name is text of 1 to 100 characters, by
                custom ``group/name``; a trial may have 1,000 names.
            step: where training stands, in [0, 2³¹). Values of one name and step are all kept.

        Raises:
            TypeError: a value is not a number, or ``step`` not an integer.
            ValueError: ``step`` is out of its range, or a name cannot be stored.

        Example:
            >>> trial = Trial(params={})
            >>> trial.record({"losses/td": 0.25, "charts/episodic_return": 21.0}, step=100)
        """
        self._metrics.add(values, step=checked_step("record", step))

    def set_constraint(self, key: str, value: float) -> None:
        """Say how far the trial is from what it must not exceed; at most 0 is feasible.

        What is set before a checkpoint is to be set again after a resume.

        Args:
            key: one of the study's ``constraints``; without a study, any name.
            value: a finite number; the last one set counts.

        Raises:
            NonRetryableError: the study does not have this constraint.
            ValueError: the value is not finite.

        Example:
            >>> trial = Trial(params={})
            >>> trial.set_constraint("seconds", 41.5 - 60.0)
            >>> trial.constraints
            {'seconds': -18.5}
        """
        if self._constraint_names is not None and key not in self._constraint_names:
            known = ", ".join(self._constraint_names) or "none"
            raise NonRetryableError(
                f"set_constraint: the study has no constraint {key!r}; it has: {known}"
            )
        if not math.isfinite(value):
            raise ValueError(f"set_constraint: {key!r} must be a finite number, got {value}")
        self.constraints[key] = float(value)

    def should_prune(self) -> bool:
        """Whether the pruner wants the trial stopped, judged by its latest report.

        Waits for the worker's verdict, a few milliseconds. A task that obeys raises
        :class:`alphagrad.tuner.TrialPruned`.
        """
        return self._has_reported and self._channel.wait_for_verdict()

    def watch(
        self,
        optimizer: Optimizer,
        scheduler: AlphaScheduler | None = None,
        *,
        step: Callable[[], int] | None = None,
    ) -> None:
        """Record α and saturation of each layer, and obey the knob, from the next step on.

        Steps are sampled densely at first, then 0.5 % of the steps so far apart. An optimizer
        without α, such as Adam, has nothing to trace; a knob command for it is rejected.

        Args:
            optimizer: the optimizer; a task with two (TD3) calls this for each.
            scheduler: its α scheduler, if it has one: named in the trial's log, and told of each
                value that is reported.
            step: gives the trace's step, e.g. ``lambda: global_step``; by default the number of
                optimizer steps taken since ``watch``.

        Raises:
            ValueError: a layer of this name is already watched.
        """
        if scheduler is not None:
            self.log(f"α of {type(optimizer).__name__} is led by {type(scheduler).__name__}")
            self._schedulers.append(scheduler)
        self._watcher.add(optimizer, step=step)

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Store what the task needs to go on after a crash; the previous one is replaced.

        Waits until the worker has written all that the trial reported and recorded before. In a
        population the attempt may end here: the next one then goes on from another member's
        checkpoint with parameters of its own, so set what a checkpoint holds of them anew.

        Args:
            state: tensors, numbers, strings and lists or dicts of them: it is read back with
                ``weights_only=True``.

        Raises:
            NonRetryableError: something else is in it, such as a number of numpy's.
        """
        if self._checkpoints is not None:
            # What is stored must reach as far as the checkpoint, where a later attempt goes on.
            self._watcher.flush()
            self._metrics.flush()
            # If the worker is gone, what it did not write is computed again from the one before.
            if self._channel.sync():
                self._checkpoints.save(state)
                if self._population:
                    self._channel.send(Saved())
                    self._channel.sync()

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint of this trial, of this attempt or an earlier one, or ``None``.

        After an exploit it is that of the member whose place the trial has taken.
        """
        return None if self._checkpoints is None else self._checkpoints.load()

    def log(self, message: str) -> None:
        """Write a line with the time to the trial's log; without a study, to standard output."""
        now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")
        print(f"{now} {message}", file=self._log, flush=True)

    def close(self) -> None:
        """Send what is still buffered; the worker's process calls it when the task has ended."""
        self._watcher.close()
        self._metrics.flush()


def run_task(name: str, params: Mapping[str, Any], *, seed: int, trial: Trial | None = None) -> Any:
    """Run a task in this process, without a study, and return its result.

    Args:
        name: the task's name.
        params: its parameters; what is missing takes the task's default.
        seed: the seed of the run.
        trial: a trial of your own to run it with; its parameters are used as they are.

    Raises:
        alphagrad.tuner.UnknownTaskError: no such task.
        pydantic.ValidationError: the task does not know or allow a parameter.
    """
    task = get_task(name)
    trial = trial or Trial(params=task.complete(params), seed=seed)
    try:
        return task(trial)
    finally:
        trial.close()

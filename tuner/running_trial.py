"""A running trial as its worker sees it: a process, a line to it, and the rows it writes."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from optuna import Study

from alphagrad.tuner import (
    exploits,
    histograms,
    knobs,
    lease_ends,
    leases,
    metrics,
    results,
    traces,
)
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import NonRetryableError
from alphagrad.tuner.executor import Line, RunningProcess
from alphagrad.tuner.knob_delivery import KnobDelivery
from alphagrad.tuner.messages import (
    Finished,
    FromTrial,
    HistogramAnswer,
    HistogramQuestion,
    KnobAnswer,
    KnobCommand,
    Layers,
    Lost,
    Metrics,
    OutOfSpace,
    Report,
    Saved,
    Sync,
    Synced,
    ToTrial,
    Trace,
    TrialRequest,
    Verdict,
)
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.progress import Progress
from alphagrad.tuner.pruners import Saturation, pruned_by
from alphagrad.tuner.resources import Allotment
from alphagrad.tuner.saturation_pruner import SaturationPruner
from alphagrad.tuner.spec import StudySpec

logger = logging.getLogger(__name__)

DEATH_SECONDS = 5.0
FULL_DISK_SECONDS = 10.0
"""After so long a trial whose disk was full is tried again; that is no failure of its own."""
MESSAGES_PER_TURN = 100
"""So many messages of one trial are handled before the other trials have their turn."""


class RunningTrial:
    """One attempt of a trial, from its process's start to its recorded end.

    Args:
        database: where its rows are.
        optuna_storage: Optuna's tables in the same database.
        claimed: the lease; its fence is shown with every write.
        spec: the study's specification.
        study: Optuna's study, with its pruner.
        request: what its process was told.
        process: that process; others of a stack may share it.
        line: the worker's end of the line to the trial.
    """

    def __init__(
        self,
        database: Database,
        optuna_storage: OptunaStorage,
        *,
        claimed: leases.Claim,
        spec: StudySpec,
        study: Study,
        request: TrialRequest,
        process: RunningProcess,
        line: Line,
    ) -> None:
        self.id = claimed.trial.id
        self.fence = claimed.fence
        self.study_id = claimed.study.id
        self.title = f"{request.study}/{request.number}"
        self.ids = {
            "study": request.study,
            "trial": request.number,
            "attempt": request.attempt,
        }
        self._database = database
        self._optuna = optuna_storage
        self.allotment = Allotment(request.cpu, request.gpus)
        self._spec, self._study = spec, study
        self._optuna_trial_id = claimed.trial.optuna_trial_id or 0
        self._last_report: float | None = None
        self._prune_reason: str | None = None
        pruner = spec.pruner
        self._saturation = SaturationPruner(pruner) if isinstance(pruner, Saturation) else None
        # What an earlier attempt sampled is in SQL, and is read with this one's first samples.
        self._has_earlier_samples = claimed.trial.attempt > 1
        self._last_step: int | None = None
        self.progress = Progress()
        self._checkpoints = Path(request.checkpoint_dir)
        self._knobs = KnobDelivery()
        self._last_question = 0
        self._unhandled: FromTrial | None = None
        self._started_at = time.monotonic()
        self.process, self.line = process, line

    @property
    def signs(self) -> list[int]:
        """What to wait on: the line, and the process's end."""
        return [self.line.fileno(), self.process.sentinel]

    @property
    def has_unhandled(self) -> bool:
        """Whether a message was read and, after a database error, is still to be written."""
        return self._unhandled is not None

    @property
    def has_message(self) -> bool:
        """Whether the trial has said something, or its line has ended."""
        return self.line.poll()

    def handle_messages(self) -> bool:
        """Write down what the trial says.

        A message counts as read only when it is written: after a database error the same one is
        handled again.

        Returns:
            Whether the attempt is over.

        Raises:
            StaleFenceError: the lease was lost; kill the trial.
            sqlalchemy.exc.DBAPIError: the database is away; call again later.
        """
        for _ in range(MESSAGES_PER_TURN):
            if self._unhandled is None:
                try:
                    if not self.line.poll():
                        if self._is_overdue():
                            self._unhandled = self._overdue()
                            continue
                        # A child that the trial forked may hold the line open after its death.
                        if self.process.exitcode is None or self.line.poll():
                            return False
                        raise EOFError
                    self._unhandled = self.line.recv()
                except (EOFError, OSError):
                    self._unhandled = self._death()
            over = self._handle(self._unhandled)
            self._unhandled = None
            if over:
                return True
        if self._is_overdue():  # it says more than can be written down: its line is never empty
            self._unhandled = self._overdue()
        return False

    def deliver(self, asked: Iterable[KnobCommand]) -> None:
        """Send those of the open knob commands that are due."""
        for command in self._knobs.due(asked):
            self._send(command)

    def ask(self, question: HistogramQuestion) -> None:
        """Send a question; one that was sent already is not sent again."""
        if question.id > self._last_question:
            self._last_question = question.id
            self._send(question)

    def kill(self) -> bool:
        """Kill the process and all it started; a stack goes on without this trial.

        Returns:
            Whether it was killed, and is to be joined.
        """
        self.line.close()
        return self.process.release()

    def fail(self, error: str) -> None:
        """Record that the attempt failed."""
        self._finish(Finished(state="FAIL", error=error))

    def _handle(self, message: FromTrial) -> bool:
        match message:
            case Report():
                return self._judge(message)
            case Layers():
                traces.record_layers(
                    self._database, trial_id=self.id, fence=self.fence, names=message.names
                )
                if self._saturation is not None:
                    self._saturation.window.names = message.names
            case Trace():
                self._trace(message)
                self.progress.sampled(message)
            case Metrics():
                metrics.append_metrics(
                    self._database, trial_id=self.id, fence=self.fence, batch=message
                )
                self.progress.recorded(message)
            case KnobAnswer():
                knobs.record_answer(self._database, message, trial_id=self.id, fence=self.fence)
            case HistogramAnswer():
                histograms.record_answer(self._database, message, trial_id=self.id)
            case Sync():
                # A checkpoint of an attempt that has lost its lease could be ahead of the reports.
                leases.check(self._database, trial_id=self.id, fence=self.fence)
                self._send(Synced())
            case Saved():
                return self._judge_member()
            case OutOfSpace():
                logger.warning("%s is put off: %s", self.title, message.error)
                lease_ends.give_back(
                    self._database,
                    trial_id=self.id,
                    fence=self.fence,
                    error=message.error,
                    delay=FULL_DISK_SECONDS,
                )
                return True
            case Lost():
                logger.warning("%s is to be taken over: %s", self.title, message.error)
                lease_ends.lose(
                    self._database, trial_id=self.id, fence=self.fence, error=message.error
                )
                return True
            case Finished():
                self._finish(message)
                return True
        return False

    def _judge(self, report: Report) -> bool:
        """Record a report and send the pruner's verdict; says whether the attempt is over."""
        prune = self._optuna.report(
            self._study,
            self._optuna_trial_id,
            step=report.step,
            value=report.value,
            lease=(self.id, self.fence),
            restarts=self._last_step is None and self.fence > 1,
        )
        self._last_report, self._last_step = report.value, report.step
        self.progress.reported(report)
        reason = pruned_by(self._spec.pruner, step=report.step) if prune else None
        if self._saturation is not None and not prune:
            try:
                reason = self._saturation.reason()
            except NonRetryableError as error:
                self._finish(Finished(state="FAIL", error=str(error), retryable=False))
                return True
        self._prune_reason = reason
        self._send(Verdict(prune=reason is not None, reason=reason))
        return False

    def _trace(self, trace: Trace) -> None:
        """Record samples of α and saturation, and show them to a pruner that looks at them."""
        earlier: tuple[list[int], list[NDArray[np.float32]]] = [], []
        if self._saturation is not None and self._has_earlier_samples:
            limit = self._saturation.window.size
            earlier = traces.latest_saturation(
                self._database, self.id, before=trace.steps[0], limit=limit
            )
        traces.append_trace(self._database, trial_id=self.id, fence=self.fence, trace=trace)
        if self._saturation is not None:
            self._saturation.window.extend(*earlier)
            self._saturation.window.extend(trace.steps, trace.saturation)
        self._has_earlier_samples = False

    def _finish(self, finished: Finished) -> None:
        pruned = finished.state == "PRUNED"
        error = self._prune_reason if pruned else finished.error
        over = results.finish(
            self._database,
            trial_id=self.id,
            fence=self.fence,
            state=finished.state,
            value=self._optuna.pruned_value(self._optuna_trial_id) if pruned else finished.value,
            constraints=finished.constraints,
            error=error,
            retries=self._spec.retries if finished.retryable else 0,
            retry_delay=self._spec.retry_delay,
        )
        if over and self._spec.population is None:  # nobody goes on from them any more
            shutil.rmtree(self._checkpoints, ignore_errors=True)
        logger.info(
            "%s %s after %.1f s%s",
            self.title,
            f"{finished.state} {error or finished.value or ''}".strip(),
            time.monotonic() - self._started_at,
            "" if over else ", to be tried again",
        )

    def _judge_member(self) -> bool:
        """Let a population decide about its member; says whether the attempt is over."""
        step, score = self._last_step, self._last_report
        if self._spec.population is None or step is None or score is None:
            return False
        point = exploits.Point(
            trial_id=self.id, fence=self.fence, step=step, score=score, folder=self._checkpoints
        )
        try:
            end = exploits.judge(self._database, self._spec, point)
        except OSError as error:
            logger.warning("%s goes on without being judged: %s", self.title, error)
            return False
        if end is not None:
            logger.info("%s %s at step %d", self.title, end, step)
        return end is not None

    def _is_overdue(self) -> bool:
        limit, start = self._spec.trial_timeout, self.process.started_at
        return limit is not None and start is not None and time.monotonic() > start + limit

    def _overdue(self) -> Finished:
        error = f"ran longer than trial_timeout={self._spec.trial_timeout}"
        return Finished(state="FAIL", error=error)

    def _death(self) -> Finished | Lost:
        self.process.join(DEATH_SECONDS)
        if self.process.is_orphan:
            return Lost("the forkserver, which would know how the trial ends, was killed")
        if self.process.exitcode is None:
            return Finished(state="FAIL", error="the trial's process closed its line and went on")
        code = self.process.exitcode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return Finished(state="FAIL", error=f"the trial's process {how} without a result")

    def _send(self, message: ToTrial) -> None:
        try:
            self.line.send(message)
        except OSError:
            # The process is gone; the end of its line is read next and tells why.
            logger.debug("%s: no one to hear %s", self.title, message)

"""A trial's line to its server over HTTP."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from itertools import islice
from typing import Any

from alphagrad.api import remote_batch
from alphagrad.api.client_errors import ApiError
from alphagrad.api.remote_http import LostTrialError, RemoteServer
from alphagrad.tuner.knob_delivery import KnobDelivery
from alphagrad.tuner.messages import Command, Finished, FromTrial, KnobCommand, Report
from alphagrad.tuner.text import clean_text

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.25
"""What a trial says goes out in batches so far apart, or when it waits for the answer."""


class HttpChannel:
    """Sends what a trial says, and its heartbeats, from a thread.

    While the server is away nothing is lost: a batch is sent again until it is answered, and the
    rest waits behind it. When the trial is lost, whatever it says raises.

    Args:
        server: the server.
        number: the trial's number.
        fence: the fence of its attempt.
        client: the name by which it was asked for.
        lease_seconds: the length of its lease; a heartbeat is sent every third of it.
    """

    def __init__(
        self,
        server: RemoteServer,
        *,
        number: int,
        fence: int,
        client: str,
        lease_seconds: float,
    ) -> None:
        self.commands: deque[Command] = deque()
        self.prune_reason: str | None = None
        """Why the pruner wants the trial stopped, by what the server said last."""
        self._server = server
        self._trial = f"trials/{number}"
        self._attempt = {"fence": fence, "client": client}
        self._lease = lease_seconds
        self._queue: deque[FromTrial] = deque()
        self._said = self._answered = 0
        self._reports = self._judged = 0
        self._urgent = False
        self._last: dict[str, Any] | None = None
        self._told: dict[str, Any] | None = None
        self._closing = threading.Event()
        self._error: Exception | None = None
        self._knobs = KnobDelivery()
        now = time.monotonic()
        self._flush_at, self._beat_at = now, now + lease_seconds / 3
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="alphagrad-remote", daemon=True)
        self._thread.start()

    @property
    def is_lost(self) -> bool:
        """Whether the trial is somebody else's now, or nobody's."""
        return isinstance(self._error, LostTrialError)

    def send(self, message: FromTrial) -> None:
        """Send without waiting for an answer.

        Raises:
            LostTrialError: the trial is lost.
            ApiError: the server refused what was sent before.
        """
        with self._changed:
            self._check()
            for piece in remote_batch.split(message):
                self._queue.append(piece)
                self._said += 1
            self._reports += isinstance(message, Report)
            self._changed.notify_all()

    def wait_for_verdict(self) -> bool:
        """Wait for the pruner's verdict on the latest report; a lost trial is to stop too."""
        with self._changed:
            wanted, self._urgent = self._reports, True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._error is not None or self._judged >= wanted)
            if not self.is_lost:
                self._check()
            return self.is_lost or self.prune_reason is not None

    def sync(self) -> bool:
        """Wait until all that was sent is written; ``False`` if the trial was lost before."""
        with self._changed:
            wanted, self._urgent = self._said, True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._error is not None or self._answered >= wanted)
            if not self.is_lost:
                self._check()
            return self._answered >= wanted

    def finish(self, end: Finished) -> dict[str, Any]:
        """Send the last message, and wait until it is written; returns the trial.

        Raises:
            LostTrialError: the trial is lost.
            ApiError: the server refused something.
        """
        last: dict[str, Any] = self._attempt | {"state": end.state}
        if end.state == "COMPLETE":
            last["values" if isinstance(end.value, list) else "value"] = end.value
        if end.constraints:
            last["constraints"] = end.constraints
        if end.state == "FAIL":
            last |= {"error": clean_text(end.error or ""), "retryable": end.retryable}
        try:
            with self._changed:
                self._last = last
                self._changed.notify_all()
                self._changed.wait_for(
                    lambda: self._told is not None or self._error or self._closing.is_set()
                )
                if self._told is None and self._closing.is_set():
                    raise LostTrialError("the trial was given up before")
                self._check()
                assert self._told is not None
                return self._told
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Send nothing more: the lease will run out."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while self._wait():
            with self._changed:
                batch = list(islice(self._queue, remote_batch.count(self._queue)))
                last = self._last  # now: what is said later than the batch goes before it
            try:
                if last is not None and not batch:
                    self._tell(last)
                    return
                self._speak(batch)
            except Exception as error:  # noqa: BLE001  (the training's thread raises it)
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return

    def _wait(self) -> bool:
        """Wait until something is to be sent; says whether there still is somebody to send it."""
        with self._changed:
            while not self._closing.is_set():
                due = min(self._beat_at, self._flush_at) if self._queue else self._beat_at
                left = due - time.monotonic()
                if left <= 0 or self._last is not None or (self._urgent and self._queue):
                    return True
                self._changed.wait(left)
            return False

    def _speak(self, batch: list[FromTrial]) -> None:
        sent_at = time.monotonic()
        if batch:
            answer = self._post("report", self._attempt | remote_batch.body(batch))
        else:
            answer = self._post("heartbeat", self._attempt)
        with self._changed:
            for message in batch:
                self._queue.popleft()
                self._judged += isinstance(message, Report)
            self._answered += len(batch)
            self._urgent = self._urgent and bool(self._queue)
            self.prune_reason = answer["prune_reason"] if answer["should_prune"] else None
            self.commands += self._knobs.due(
                KnobCommand(knob["id"], knob["layers"], knob["alpha"], knob["pin"])
                for knob in answer["knobs"]
            )
            self._lease = answer["lease_seconds"]
            self._flush_at = sent_at + FLUSH_SECONDS
            self._beat_at = sent_at + self._lease / 3
            self._changed.notify_all()

    def _tell(self, last: dict[str, Any]) -> None:
        told = self._post("tell", last)
        with self._changed:
            self._told = told
            self._changed.notify_all()

    def _post(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        path, within = f"{self._trial}:{what}", self._lease / 3
        return self._server.post(path, body, until=self._closing, within=within)

    def _check(self) -> None:
        if self._error is None:
            return
        if isinstance(self._error, LostTrialError):
            raise LostTrialError(str(self._error))
        if isinstance(self._error, ApiError):
            raise type(self._error)(
                str(self._error),
                status=self._error.status,
                kind=self._error.kind,
                errors=self._error.errors,
            )
        raise RuntimeError("a remote trial could not be sent") from self._error

"""The trial's end of the line to its worker."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NoReturn, Protocol

from alphagrad.tuner.messages import (
    Command,
    FromTrial,
    Report,
    Sync,
    Synced,
    ToTrial,
    Verdict,
)
from alphagrad.tuner.process_tree import descendants

EXIT_ORPHANED = 75  # EX_TEMPFAIL: the worker is gone, so nobody could record a result


class Channel(Protocol):
    """What a trial needs from the line to its worker."""

    commands: deque[Command]
    """Knob commands and questions that came in and wait for the next optimizer step."""

    def send(self, message: FromTrial) -> None:
        """Send without waiting for an answer."""

    def wait_for_verdict(self) -> bool:
        """Wait for the pruner's verdict on the latest report."""

    def sync(self) -> bool:
        """Wait until all that was sent is written; ``False`` if the worker has left before."""


class NullChannel:
    """A line to nobody: for a task that runs without a study."""

    def __init__(self) -> None:
        self.commands: deque[Command] = deque()

    def send(self, message: FromTrial) -> None:
        """Drop the message."""

    def wait_for_verdict(self) -> bool:
        """Nobody prunes."""
        return False

    def sync(self) -> bool:
        """There is nothing to write."""
        return True


class PipeChannel:
    """A line over one end of a ``multiprocessing.Pipe``.

    A thread reads, so commands arrive while the task computes. When the worker is gone the
    process ends at once: its lease will expire and another worker takes the trial over. In a stack
    of trials it ends with its last line; before that, a trial whose line is gone is pruned.

    Args:
        connection: the trial's end.
        company: the lines of a stack; each adds itself (default: no others).
    """

    def __init__(
        self,
        connection: Connection[FromTrial, ToTrial],
        *,
        company: list[PipeChannel] | None = None,
    ) -> None:
        self.commands: deque[Command] = deque()
        self._connection = connection
        self._send_lock = threading.Lock()
        self._reports = self._verdicts = self._syncs = self._synced = 0
        self._prune = False
        self.prune_reason: str | None = None
        """Why the pruner wanted the trial stopped at its latest report."""
        self._arrived = threading.Condition()
        self._finished = self._gone = False
        self._company = [] if company is None else company
        self._company.append(self)
        threading.Thread(target=self._read, name="alphagrad-channel", daemon=True).start()

    def send(self, message: FromTrial) -> None:
        """Send without waiting for an answer."""
        try:
            with self._send_lock:
                self._reports += isinstance(message, Report)
                self._connection.send(message)
        except BrokenPipeError:
            self._hang_up()

    def wait_for_verdict(self) -> bool:
        """Wait for the pruner's verdict on the latest report."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._gone or self._verdicts == self._reports)
            return self._gone or self._prune

    def sync(self) -> bool:
        """Wait until all that was sent is written; ``False`` if the worker has left before."""
        self._syncs += 1
        self.send(Sync())
        with self._arrived:
            self._arrived.wait_for(lambda: self._gone or self._synced == self._syncs)
            return self._synced == self._syncs

    def finish(self, message: FromTrial) -> None:
        """Send the last message; from now on a closed line is no reason to stop at once."""
        self._finished = True
        self.send(message)

    def _read(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                self._hang_up()
                return
            if isinstance(message, Verdict):
                with self._arrived:
                    self._verdicts += 1
                    self._prune, self.prune_reason = message.prune, message.reason
                    self._arrived.notify_all()
            elif isinstance(message, Synced):
                with self._arrived:
                    self._synced += 1
                    self._arrived.notify_all()
            else:
                self.commands.append(message)

    def _hang_up(self) -> None:
        with self._arrived:
            self._gone = True
            # With the lock held: a task that waits here must not go on as if all were written.
            if all(line._gone or line._finished for line in self._company) and not self._finished:
                _end_orphaned()
            self._arrived.notify_all()


def _end_orphaned() -> NoReturn:
    """End this process and what it started, if it leads a group of its own."""
    if os.getpgrp() == os.getpid():
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # also what has left the group
        os.killpg(0, signal.SIGKILL)
    os._exit(EXIT_ORPHANED)

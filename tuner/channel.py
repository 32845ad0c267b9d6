"""The trial's end of the line to its worker."""

from __future__ import annotations

import os
import threading
from collections import deque
from multiprocessing.connection import Connection
from typing import Protocol

from alphagrad.tuner.messages import FromTrial, KnobCommand, ToTrial, Verdict

EXIT_ORPHANED = 75  # EX_TEMPFAIL: the worker is gone, so nobody could record a result


class Channel(Protocol):
    """What a trial needs from the line to its worker."""

    commands: deque[KnobCommand]
    """Knob commands that came in and wait for the next optimizer step."""

    def send(self, message: FromTrial) -> None:
        """Send without waiting for an answer."""

    def wait_for_verdict(self, step: int) -> bool:
        """Wait for the pruner's verdict on the report at ``step``."""


class NullChannel:
    """A line to nobody: for a task that runs without a study."""

    def __init__(self) -> None:
        self.commands: deque[KnobCommand] = deque()

    def send(self, message: FromTrial) -> None:
        """Drop the message."""

    def wait_for_verdict(self, step: int) -> bool:
        """Nobody prunes."""
        return False


class PipeChannel:
    """A line over one end of a ``multiprocessing.Pipe``.

    A thread reads, so commands arrive while the task computes. When the worker is gone the
    process ends at once: its lease will expire and another worker takes the trial over.
    """

    def __init__(self, connection: Connection[FromTrial, ToTrial]) -> None:
        self.commands: deque[KnobCommand] = deque()
        self._connection = connection
        self._send_lock = threading.Lock()
        self._verdicts: dict[int, bool] = {}
        self._arrived = threading.Condition()
        self._finished = False
        threading.Thread(target=self._read, name="alphagrad-channel", daemon=True).start()

    def send(self, message: FromTrial) -> None:
        """Send without waiting for an answer."""
        try:
            with self._send_lock:
                self._connection.send(message)
        except BrokenPipeError:
            os._exit(EXIT_ORPHANED)

    def wait_for_verdict(self, step: int) -> bool:
        """Wait for the pruner's verdict on the report at ``step``."""
        with self._arrived:
            self._arrived.wait_for(lambda: step in self._verdicts)
            prune = self._verdicts[step]
            self._verdicts.clear()
            self._verdicts[step] = prune
        return prune

    def finish(self, message: FromTrial) -> None:
        """Send the last message; from now on a closed line is no reason to stop at once."""
        self._finished = True
        self.send(message)

    def _read(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                if self._finished:
                    return
                os._exit(EXIT_ORPHANED)
            if isinstance(message, Verdict):
                with self._arrived:
                    self._verdicts[message.step] = message.prune
                    self._arrived.notify_all()
            else:
                self.commands.append(message)

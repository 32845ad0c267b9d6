"""A trial's process somewhere on a Ray cluster, and the line to it, as its driver sees them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe

from ray.exceptions import RayError

from alphagrad.tuner.messages import FromTrial, Lost, ToTrial
from alphagrad.tuner.ray_mailbox import Event, Exited, Shape, Started


class RayLine:
    """The driver's end: what comes in lies in a pipe, so that it can be waited for.

    Args:
        post: sends the trial a message.
    """

    def __init__(self, post: Callable[[ToTrial], None]) -> None:
        self._out, self._in = Pipe(duplex=False)
        self._lock = threading.Lock()
        self._post = post

    def fileno(self) -> int:
        """What becomes readable when there is something to receive, or the line has ended."""
        return self._out.fileno()

    def poll(self) -> bool:
        """Whether there is something to receive, the line's end included."""
        return self._out.poll()

    def recv(self) -> FromTrial:
        """The next message; raises :class:`EOFError` at the end."""
        message: FromTrial = self._out.recv()
        return message

    def send(self, message: ToTrial) -> None:
        """Send the trial a message; raises :class:`OSError` if the mailbox is gone."""
        try:
            self._post(message)
        except RayError as error:
            raise BrokenPipeError(str(error)) from error

    def close(self) -> None:
        """End the line."""
        self._out.close()  # first: a message on its way in may wait for space
        self.end()

    def arrive(self, message: FromTrial) -> None:
        """Take in a message, from the thread that collects them."""
        with self._lock, suppress(OSError):  # closed meanwhile
            self._in.send(message)

    def end(self) -> None:
        """Nothing more comes in."""
        with self._lock:
            self._in.close()


class RayProcess:
    """A process that was asked for: it waits for a seat, runs, and ends.

    Args:
        shape: the CPUs and GPUs that it takes.
        post: sends its trial a message.
        release: ends it on the cluster, wherever it is.

    Attributes:
        lines: the line to its one trial.
        exitcode: its exit code, a signal's number negated; ``None`` before its end, and when it
            was lost.
        is_orphan: never here: what becomes of a seat is told by Ray.
        started_at: when it started, on the clock of ``time.monotonic``; ``None`` before.
    """

    is_orphan = False

    def __init__(
        self, shape: Shape, *, post: Callable[[ToTrial], None], release: Callable[[], None]
    ) -> None:
        self.shape = shape
        self.exitcode: int | None = None
        self.started_at: float | None = None
        self._line = RayLine(post)
        self.lines = [self._line]
        self._release = release
        self._ended = threading.Event()

    @property
    def sentinel(self) -> int:
        """What becomes readable when the process ends: its line ends with it."""
        return self._line.fileno()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most so many seconds."""
        self._ended.wait(timeout)

    def release(self) -> bool:
        """End it and all it started; its seat sees to that, and nothing is to be waited for."""
        self._release()
        return False

    def hear(self, event: Event) -> None:
        """Take in what its seat says, or what became of the seat."""
        match event:
            case Started():
                self.started_at = time.monotonic()
            case Exited(code):
                self.exitcode = code
                self._ended.set()
                self._line.end()
            case Lost():
                self._line.arrive(event)
                self._line.end()
            case _:
                self._line.arrive(event)

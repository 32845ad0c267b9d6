"""What a worker asks of the place where its trials run: this machine, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from alphagrad.tuner.messages import FromTrial, ToTrial, TrialRequest

Engine = Literal["optuna", "ray"]
"""Where workers run trials."""


class Line(Protocol):
    """The worker's end of the line to one trial, as a ``multiprocessing`` connection has it."""

    def fileno(self) -> int:
        """What becomes readable when there is something to receive, or the line has ended."""

    def poll(self) -> bool:
        """Whether there is something to receive, the line's end included."""

    def recv(self) -> FromTrial:
        """The next message.

        Raises:
            EOFError: the line has ended.
        """

    def send(self, message: ToTrial, /) -> None:
        """Send without waiting for an answer.

        Raises:
            OSError: nobody is there any more.
        """

    def close(self) -> None:
        """End the line."""


class RunningProcess(Protocol):
    """A process that runs one trial, or a stack of them."""

    @property
    def lines(self) -> Sequence[Line]:
        """The lines to its trials, in the order of the requests."""

    @property
    def sentinel(self) -> int:
        """What becomes readable when the process ends."""

    @property
    def exitcode(self) -> int | None:
        """The exit code, a signal's number negated, or ``None`` while it runs."""

    @property
    def is_orphan(self) -> bool:
        """Whether it goes on though its exit code was told: who would know it was killed."""

    @property
    def started_at(self) -> float | None:
        """When it started, by ``time.monotonic``; ``None`` while it waits for a place."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most so many seconds."""

    def release(self) -> bool:
        """Say that one of its trials needs it no more; the last one ends it and all it started.

        Returns:
            Whether its end has begun, and is to be waited for by :meth:`join`.
        """


class Executor(Protocol):
    """Starts processes for the trials of one engine's studies."""

    @property
    def engine(self) -> Engine:
        """Whose trials it runs."""

    @property
    def capacity(self) -> tuple[int, Sequence[str]]:
        """CPUs and the names of GPUs that trials can have, as things stand, busy ones included."""

    def start(self, requests: Sequence[TrialRequest]) -> RunningProcess:
        """Start a process for a trial, or for a stack of them."""

    def prepare(self) -> None:
        """Get ready for the next trial, where that saves time."""

    def close(self) -> None:
        """Leave nothing running."""

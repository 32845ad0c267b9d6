"""The actor between a Ray driver and its trials: both call it, neither can be called."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from alphagrad.tuner.messages import FromTrial, Lost, ToTrial, TrialRequest

NAMESPACE = "alphagrad"
MOST_EVENTS = 10_000
"""So many events wait for the driver; then trials wait until it has collected them."""


@dataclass(frozen=True, slots=True)
class Started:
    """Seat to driver: the trial's process is being started."""

    node: str


@dataclass(frozen=True, slots=True)
class Exited:
    """Seat to driver: the trial's process has ended; a signal's number is negated."""

    code: int | None


Event = FromTrial | Started | Exited
Shape = tuple[int, int]
"""CPUs and GPUs of a seat, or of the trial that needs one."""


def shape_of(request: TrialRequest) -> Shape:
    """What a trial takes."""
    return request.cpu, len(request.gpus)


class Mailbox:
    """Requests and lines of one driver's trials; a line has the key of its attempt.

    A seat is a process on the cluster that runs one trial after another.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._queue: deque[tuple[str, TrialRequest]] = deque()
        self._lines: dict[str, list[ToTrial]] = {}
        self._seats: dict[str, str] = {}  # the trial that each has; empty between two trials
        self._events: list[tuple[str, Event]] = []
        self._shut = False

    async def submit(self, key: str, request: TrialRequest) -> None:
        """Driver: let the next seat run a trial."""
        async with self._changed:
            self._lines[key] = []
            self._queue.append((key, request))
            self._changed.notify_all()

    async def post(self, key: str, message: ToTrial) -> None:
        """Driver: send a trial a message."""
        async with self._changed:
            if key in self._lines:
                self._lines[key].append(message)
                self._changed.notify_all()

    async def close(self, key: str) -> None:
        """Driver: end a line; the seat ends the trial's process, if there is one."""
        async with self._changed:
            self._lines.pop(key, None)
            self._queue = deque(one for one in self._queue if one[0] != key)
            self._changed.notify_all()

    async def abandon(self, seat: str, shape: Shape, error: str) -> None:
        """Driver: a seat is gone; its trial is lost.

        A seat that could not even take its first trial takes the oldest request of its shape with
        it, so that a cluster where no seat can start does not try for ever.
        """
        async with self._changed:
            key = self._seats.pop(seat, None)
            if key is None and (found := self._next(shape)) is not None:
                key = self._pop(found)[0]
            if key:
                self._events.append((key, Lost(error)))
                self._changed.notify_all()

    async def collect(self, timeout: float) -> list[tuple[str, Event]]:
        """Driver: what trials have said, in its order, after at most ``timeout`` seconds."""
        async with self._changed:
            await self._wait(lambda: bool(self._events), timeout)
            events, self._events = self._events, []
            self._changed.notify_all()
            return events

    async def shut(self) -> None:
        """Driver: end all lines, and send the seats home."""
        async with self._changed:
            self._shut = True
            self._queue.clear()
            self._lines.clear()
            self._changed.notify_all()

    async def take(
        self, seat: str, shape: Shape, node: str, timeout: float
    ) -> tuple[str, TrialRequest] | None:
        """Seat: the next trial of its shape, or ``None`` if there is none for so many seconds."""
        async with self._changed:
            self._seats[seat] = ""
            await self._wait(lambda: self._next(shape) is not None or self._shut, timeout)
            if seat not in self._seats:
                return None  # it died meanwhile: whoever asked for it does not listen any more
            if (found := self._next(shape)) is None:
                return None
            key, request = self._pop(found)
            self._seats[seat] = key
            self._events.append((key, Started(node)))
            self._changed.notify_all()
            return key, request

    async def receive(self, key: str, timeout: float) -> list[ToTrial] | None:
        """Seat: what the driver has sent a trial; ``None`` when the line has ended."""
        async with self._changed:
            await self._wait(lambda: bool(self._lines.get(key, [True])), timeout)
            if key not in self._lines:
                return None
            messages, self._lines[key] = self._lines[key], []
            return messages

    async def deliver(self, key: str, events: list[Event]) -> None:
        """Seat: what a trial says; nobody hears it when the line has ended."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: len(self._events) < MOST_EVENTS or key not in self._lines
            )
            if key in self._lines:
                self._events += [(key, event) for event in events]
                self._changed.notify_all()

    def _next(self, shape: Shape) -> int | None:
        fitting = (place for place, one in enumerate(self._queue) if shape_of(one[1]) == shape)
        return next(fitting, None)

    def _pop(self, place: int) -> tuple[str, TrialRequest]:
        found = self._queue[place]
        del self._queue[place]
        return found

    async def _wait(self, ready: Callable[[], bool], timeout: float) -> None:
        try:
            await asyncio.wait_for(self._changed.wait_for(ready), timeout)
        except TimeoutError:
            return

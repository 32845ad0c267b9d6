"""How the two clients share everything but their input and output.

A method is written once, as a generator: it yields what is to be done outside (send a request,
sleep, read on in a stream) and gets the answer back. What :class:`~alphagrad.client.Client` hands
out takes the steps at once; what :class:`~alphagrad.client.AsyncClient` hands out awaits them.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
)
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast, overload

import httpx

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the answer is the response, whole."""

    request: httpx.Request


@dataclass(frozen=True, slots=True)
class Open:
    """Send a request; the answer is the response, whole only if it is an error."""

    request: httpx.Request


@dataclass(frozen=True, slots=True)
class Read:
    """Read on in what was opened last; the answer is some bytes, or ``None`` at the end."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """Hand one thing to whoever iterates."""

    value: T


Step = Send | Open | Read | Sleep
Steps = Generator[Step, Any, R]
Items = Generator[Step | Item[T], Any, None]


class Walk(Generic[R]):
    """A walk through steps.

    Attributes:
        step: the one to take now; ``None`` after the last.
        result: what the steps returned, when there are no more.
    """

    result: R

    def __init__(self, steps: Generator[Any, Any, R]) -> None:
        self.step: Any = None
        self._steps = steps
        self._go(steps.send, None)

    def answer(self, value: Any) -> None:
        """The step was taken; go to the next one."""
        self._go(self._steps.send, value)

    def fail(self, error: httpx.TransportError) -> None:
        """The step could not be taken; the steps say what now."""
        self._go(self._steps.throw, error)

    def _go(self, move: Callable[[Any], Any], value: Any) -> None:
        try:
            self.step = move(value)
        except StopIteration as end:
            self.step, self.result = None, end.value


class SyncRunner(Protocol):
    """Takes steps at once."""

    def run(self, steps: Steps[R]) -> R:
        """Take all steps; gives their result."""

    def iterate(self, items: Items[T]) -> Iterator[T]:
        """Take steps as the items are asked for."""


class AsyncRunner(Protocol):
    """Awaits steps."""

    async def run(self, steps: Steps[R]) -> R:
        """Take all steps; gives their result."""

    def iterate(self, items: Items[T]) -> AsyncIterator[T]:
        """Take steps as the items are asked for."""


class Sync:
    """What belongs to a client that takes steps at once."""

    _runner: SyncRunner


class Async:
    """What belongs to a client that awaits them."""

    _runner: AsyncRunner


class method(Generic[P, R]):  # noqa: N801  (written as a decorator)
    """A method of both clients, written as steps.

    On a :class:`Sync` it gives the steps' result, on an :class:`Async` that has to be awaited.
    """

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[R]]) -> None:
        self.steps = steps
        update_wrapper(cast("Any", self), steps)

    @overload
    def __get__(self, owner: None, kind: type) -> method[P, R]: ...
    @overload
    def __get__(self, owner: Sync, kind: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, owner: Async, kind: type) -> Callable[P, Awaitable[R]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        """The method of one object."""
        if owner is None:
            return self

        def run(*args: P.args, **options: P.kwargs) -> Any:
            return owner._runner.run(self.steps(owner, *args, **options))

        return update_wrapper(run, self.steps)


class iteration(Generic[P, T]):  # noqa: N801
    """A method of both clients that gives one thing after another, written as steps and items."""

    def __init__(self, items: Callable[Concatenate[Any, P], Items[T]]) -> None:
        self.items = items
        update_wrapper(cast("Any", self), items)

    @overload
    def __get__(self, owner: None, kind: type) -> iteration[P, T]: ...
    @overload
    def __get__(self, owner: Sync, kind: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, owner: Async, kind: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        """The method of one object."""
        if owner is None:
            return self

        def iterate(*args: P.args, **options: P.kwargs) -> Any:
            return owner._runner.iterate(self.items(owner, *args, **options))

        return update_wrapper(iterate, self.items)

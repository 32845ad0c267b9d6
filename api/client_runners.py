"""The two drivers of :mod:`alphagrad.api.client_steps`: one takes steps, one awaits them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from typing import Any, TypeVar

import httpx

from alphagrad.api.client_steps import Item, Items, Open, Read, Send, Sleep, Steps, Walk

R = TypeVar("R")
T = TypeVar("T")


class BlockingRunner:
    """Takes steps at once.

    Args:
        http: sends the requests.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def run(self, steps: Steps[R]) -> R:
        """Take all steps; gives their result."""
        walk = Walk(steps)
        while walk.step is not None:
            try:
                answer = self._take(walk.step)
            except httpx.TransportError as error:
                walk.fail(error)
            else:
                walk.answer(answer)
        return walk.result

    def iterate(self, items: Items[T]) -> Iterator[T]:
        """Take steps as the items are asked for; what was opened is closed at the end."""
        with closing(items), ExitStack() as opened:
            chunks: Iterator[bytes] = iter(())
            walk = Walk(items)
            while walk.step is not None:
                try:
                    match walk.step:
                        case Item(value):
                            yield value
                            answer: Any = None
                        case Open(request):
                            opened.close()  # what was open before broke, or is done with
                            answer = self._http.send(request, stream=True)
                            opened.callback(answer.close)
                            if not answer.is_success:
                                answer.read()
                            chunks = answer.iter_bytes()
                        case Read():
                            answer = next(chunks, None)
                        case step:
                            answer = self._take(step)
                except httpx.TransportError as error:
                    walk.fail(error)
                else:
                    walk.answer(answer)

    def _take(self, step: Send | Sleep) -> Any:
        match step:
            case Send(request):
                return self._http.send(request)
            case Sleep(seconds):
                return time.sleep(seconds)


class AwaitingRunner:
    """Awaits steps.

    Args:
        http: sends the requests.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def run(self, steps: Steps[R]) -> R:
        """Take all steps; gives their result."""
        walk = Walk(steps)
        while walk.step is not None:
            try:
                answer = await self._take(walk.step)
            except httpx.TransportError as error:
                walk.fail(error)
            else:
                walk.answer(answer)
        return walk.result

    async def iterate(self, items: Items[T]) -> AsyncIterator[T]:
        """Take steps as the items are asked for; what was opened is closed at the end."""
        with closing(items):
            async with AsyncExitStack() as opened:
                chunks: AsyncIterator[bytes] | None = None
                walk = Walk(items)
                while walk.step is not None:
                    try:
                        match walk.step:
                            case Item(value):
                                yield value
                                answer: Any = None
                            case Open(request):
                                await opened.aclose()
                                answer = await self._http.send(request, stream=True)
                                opened.push_async_callback(answer.aclose)
                                if not answer.is_success:
                                    await answer.aread()
                                chunks = answer.aiter_bytes()
                            case Read():
                                assert chunks is not None  # opened before
                                answer = await anext(chunks, None)
                            case step:
                                answer = await self._take(step)
                    except httpx.TransportError as error:
                        walk.fail(error)
                    else:
                        walk.answer(answer)

    async def _take(self, step: Send | Sleep) -> Any:
        match step:
            case Send(request):
                return await self._http.send(request)
            case Sleep(seconds):
                return await asyncio.sleep(seconds)

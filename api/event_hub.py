"""The streams of events that are open: one reader of the database for all of them."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool

from alphagrad.api.event_messages import EventMessage
from alphagrad.tuner import events
from alphagrad.tuner.database import Database

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
POLL_SECONDS = 0.2
"""How often the database is asked for events while a stream is open."""
AWAY_SECONDS = 1.0
"""How long to wait before a database is asked again that did not answer."""
RECENT = 1000
"""Events kept in memory; a stream that is further behind reads the database."""
READERS = 2
"""Threads, and so connections, that all streams together have to read the database."""
CHUNK = 100
"""Events sent at once: what one stream holds while its client is slow."""
STREAM_SECONDS = 3600.0
"""A stream ends after so long, so that a key is checked again; the client comes back."""
RETRY_MILLISECONDS = 1000


class EventHub:
    """Reads new events once, and hands them to all streams.

    It reads nothing while no stream is open. A stream holds no connection to the database, and of
    events no more than what is being sent.

    Args:
        database: where the events are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(READERS, "alphagrad-events")
        self._recent: list[EventMessage] = []
        self._start = self._end = -1
        """All events behind ``_start``, up to ``_end``, are in ``_recent``."""
        self._news = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._streams = 0
        self._closed = False

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._streams

    def close(self) -> None:
        """Let all streams end."""
        self._closed = True
        self._wake()
        if self._poller is not None:
            self._poller.cancel()

    async def stop(self) -> None:
        """Let all streams end, and wait for what reads the database: it is closed next."""
        self.close()
        await run_in_threadpool(self._threads.shutdown)

    async def position(self, after: int | None) -> int:
        """Where a stream starts: behind an event, or behind all there are.

        An id that the database has not come to is of another one, of before a restore perhaps: then
        too it is from now on.
        """
        newest = await self._in_thread(lambda: events.newest(self._database))
        return newest if after is None else min(after, newest)

    async def stream(self, position: int, *, study: str | None = None) -> AsyncIterator[bytes]:
        """The events behind a position, of one study or of all, as they come.

        The first message has no data: it lets the client know the position.
        """
        end_at = time.monotonic() + STREAM_SECONDS
        with self._one_more():
            yield f"retry: {RETRY_MILLISECONDS}\nid: {position}\n\n".encode()
            while not self._closed and (left := end_at - time.monotonic()) > 0:
                news = self._news  # taken first, so that what comes while we look is not missed
                messages, position, is_all = await self._behind(position, study)
                for first in range(0, len(messages), CHUNK):
                    chunk = messages[first : first + CHUNK]
                    yield b"".join(message.encoded for message in chunk)
                if is_all:
                    await _wait(news, left)

    async def _behind(
        self, position: int, study: str | None
    ) -> tuple[list[EventMessage], int, bool]:
        """What comes next behind a position, where that ends, and whether it is all there is."""
        if self._end < 0:
            return [], position, True  # nothing was read yet
        if position >= self._start:
            first = bisect_right(self._recent, position, key=lambda message: message.id)
            found = [m for m in self._recent[first:] if study is None or m.study == study]
            return found, max(position, self._end), True
        try:
            page = await self._in_thread(
                lambda: events.read_page(self._database, after=position, study=study)
            )
        except DBAPIError:
            await asyncio.sleep(AWAY_SECONDS)  # the poller has logged it
            return [], position, False
        return [EventMessage.of(event) for event in page.events], page.last, False

    @contextmanager
    def _one_more(self) -> Iterator[None]:
        self._streams += 1
        if self._poller is None and not self._closed:
            self._start = self._end = -1
            self._recent = []
            self._poller = asyncio.create_task(self._poll(), name="alphagrad-events")
        try:
            yield
        finally:
            self._streams -= 1

    async def _poll(self) -> None:
        is_away = False
        while self._streams:
            pause = POLL_SECONDS
            try:
                if await self._read():
                    pause = 0.0
                is_away = False
            except Exception as error:  # noqa: BLE001  (a poller that died would silence all streams)
                pause = AWAY_SECONDS
                if not is_away:
                    logger.warning("events cannot be read, trying again: %s", error)
                is_away = True
            await asyncio.sleep(pause)
        self._poller = None

    async def _read(self) -> bool:
        """Read what is new; says whether there may be more."""
        if self._end < 0:
            self._start = self._end = await self._in_thread(lambda: events.newest(self._database))
            self._wake()
            return False
        page = await self._in_thread(lambda: events.read_page(self._database, after=self._end))
        self._recent += [EventMessage.of(event) for event in page.events]
        self._end = max(self._end, page.last)
        if (too_many := len(self._recent) - RECENT) > 0:
            self._start = self._recent[too_many - 1].id
            del self._recent[:too_many]
        if page.events:
            self._wake()
        return len(page.events) == events.PAGE

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _in_thread(self, read: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return

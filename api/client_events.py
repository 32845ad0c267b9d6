"""Server-sent events: read, and read on after the connection broke."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx

from alphagrad.api.client_answers import EventData
from alphagrad.api.client_errors import ApiError, away, may_pass, refusal
from alphagrad.api.client_patience import Patience, retry_after
from alphagrad.api.client_server import Server
from alphagrad.api.client_steps import Item, Items, Open, Read, Sleep

SILENCE_SECONDS = 45.0
"""The server sends something every 10 s; after so long without, the connection is dead."""


class EventParser:
    r"""Bytes of a ``text/event-stream``, as they come, into events.

    Attributes:
        last_id: the last ``id`` that came, of an event or alone; ``None`` before.

    Example:
        >>> parser = EventParser()
        >>> parser.feed(b'id: 7\ndata: {"id"')
        []
        >>> parser.feed(b": 7}\n\n"), parser.last_id
        ([{'id': 7}], '7')
    """

    def __init__(self) -> None:
        self.last_id: str | None = None
        self._rest = b""
        self._id: str | None = None
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[EventData]:
        """Take some bytes in; gives the events that are whole now."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> EventData | None:
        name, _, value = line.decode("utf-8", "replace").rstrip("\r").partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._id = value
        elif name == "data":
            self._data.append(value)
        elif not name and not value:  # an empty line ends an event; a comment has a value
            self.last_id = self._id or self.last_id
            data, self._data = "\n".join(self._data), []
            if data:
                event: EventData = json.loads(data)
                return event
        return None


def follow(
    server: Server, path: str, *, after: int | None, on_open: Callable[[], None] | None = None
) -> Items[EventData]:
    """Events without end; a connection that breaks is made again, from the last event on.

    Args:
        server: where they come from.
        path: of the stream.
        after: the id of the last event that is known; ``None`` for those from now on.
        on_open: called when the stream is open: what happens from then on comes.

    Raises:
        ApiError: the server refused.
        ServerAwayError: nobody answered for as long as the client is patient.
    """
    last = None if after is None else str(after)
    patience = Patience(server.patience)
    silence = httpx.Timeout(10.0, read=SILENCE_SECONDS)
    while True:
        headers = {"Accept": "text/event-stream"} | (
            {} if last is None else {"Last-Event-ID": last}
        )
        failure: ApiError | None = None
        asked = None
        try:
            response = yield Open(server.request("GET", path, headers=headers, timeout=silence))
            if not response.is_success:
                failure, asked = refusal(server.url, response), retry_after(response)
                if not may_pass(failure):
                    raise failure
            else:
                parser = EventParser()
                while (chunk := (yield Read())) is not None:
                    patience.renew()
                    events = parser.feed(chunk)
                    last = parser.last_id or last
                    if on_open is not None:
                        on_open()
                        on_open = None
                    for event in events:
                        yield Item(event)
        except httpx.TransportError as error:
            failure = away(server.url, error)
        pause = patience.pause(asked=asked)
        if pause is None:
            raise failure or ApiError(f"{server.url} ends every stream of events", status=None)
        yield Sleep(pause)

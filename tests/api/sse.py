"""A client of event streams on a plain socket, for tests that hold many of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx


def messages(answer: httpx.Response) -> Iterator[dict[str, str]]:
    """The messages of a stream, as WHATWG's algorithm reads them; comments too, as ``comment``."""
    message: dict[str, str] = {}
    for line in answer.iter_lines():
        if not line:
            if message:
                yield message
            message = {}
            continue
        field, _, value = line.partition(":")
        message[field or "comment"] = value.removeprefix(" ")


def events(answer: httpx.Response, count: int) -> list[dict[str, Any]]:
    """The next so many events; their ids and kinds are checked to be those of their data."""
    found: list[dict[str, Any]] = []
    for message in messages(answer):
        if "data" in message:
            found.append(json.loads(message["data"]))
            assert (message["id"], message["event"]) == (str(found[-1]["id"]), found[-1]["kind"])
            if len(found) == count:
                return found
    raise AssertionError(f"the stream ended after {found}")

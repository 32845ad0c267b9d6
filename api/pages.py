"""Lists in pages, their tokens, and times."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

from alphagrad.tuner.errors import FieldError, SpecError

Item = TypeVar("Item")
POSITION = re.compile(r"[0-9]{1,10}")


class Page(BaseModel, Generic[Item]):
    """One page of a list; ``next_page_token`` is null on the last one."""

    items: list[Item]
    next_page_token: str | None


def timestamp(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as a time in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def encode_token(position: int, *, order: Literal["after", "before"] = "after") -> str:
    """An opaque page token: where the next page begins, and which way it goes."""
    return base64.urlsafe_b64encode(f"{order}:{position}".encode()).decode().rstrip("=")


def decode_token(
    token: str | None, *, default: int, order: Literal["after", "before"] = "after"
) -> int:
    """The position in a page token.

    Raises:
        SpecError: not a token that a list of this order gave out.
    """
    if token is None:
        return default
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (ValueError, binascii.Error):
        text = ""
    prefix, _, position = text.partition(":")
    if prefix != order or not POSITION.fullmatch(position) or int(position) >= 2**31:
        message = "must be the next_page_token of an earlier answer of the same list"
        raise SpecError([FieldError("page_token", token, message)])
    return int(position)

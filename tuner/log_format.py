"""What the service logs: lines of text, or of JSON with the ids of what they are about."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_about: ContextVar[dict[str, Any]] = ContextVar("alphagrad_log")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "about"}


@contextmanager
def about(**ids: Any) -> Iterator[None]:
    """Say what the lines logged in this block are about: ``study``, ``trial``, ``request_id``.

    Example:
        >>> with about(study="bar", trial=3):
        ...     JsonFormatter().format(logging.makeLogRecord({"msg": "started"})).split('", "')[2:]
        ['logger": null, "message": "started', 'study": "bar', 'trial": 3}']
    """
    token = _about.set(_about.get({}) | ids)
    try:
        yield
    finally:
        _about.reset(token)


class JsonFormatter(logging.Formatter):
    """A line of JSON: time, level, logger, message, what it is about, and what ``extra`` holds."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _about.get({})
        extra = {k: v for k, v in vars(record).items() if k not in _STANDARD and k[0] != "_"}
        line |= extra  # Ray adds a name with an underscore to every record
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure_logging(level: int = logging.INFO) -> None:
    """Log to standard error, in the form that ``ALPHAGRAD_LOG_FORMAT`` names.

    Args:
        level: what is logged.
    """
    handler = logging.StreamHandler()
    wanted = os.environ.get("ALPHAGRAD_LOG_FORMAT", "text")
    handler.setFormatter(JsonFormatter() if wanted == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=level, handlers=[handler])
    # It logs whole URLs, and those of webhooks may have a secret in them.
    logging.getLogger("httpx").setLevel(logging.WARNING)

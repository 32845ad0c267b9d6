"""What a trial records, held in its process and sent to its worker in batches."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import SupportsFloat

from alphagrad.tuner.channel import Channel
from alphagrad.tuner.messages import Metrics
from alphagrad.tuner.text import check_text

MAX_NAME = 100
"""Characters of a metric's name, at most."""
MAX_NAMES = 1000
"""Different names in one attempt, at most: they stand in the trial's row."""
MAX_BATCH = 10_000
"""Values in a batch, at most: one transaction, 0.1 s on SQLite and 0.4 s on PostgreSQL."""
FLUSH_SECONDS = 0.25


class MetricBuffer:
    """Holds what a trial records, and sends it in batches.

    A batch goes out with the first value that is recorded 0.25 s after the last batch, so a task
    that records seldom is written at once.

    Args:
        channel: the line to the worker.

    Example:
        >>> from alphagrad.tuner.channel import NullChannel
        >>> MetricBuffer(NullChannel()).add({"losses/td": "low"}, step=1)
        Traceback (most recent call last):
        TypeError: record: 'losses/td' must be a number, got 'low'
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._names: dict[str, int] = {}
        self._which: list[int] = []
        self._steps: list[int] = []
        self._values: list[float] = []
        self._sent = 0
        self._flushed_at = monotonic()

    def add(self, values: Mapping[str, SupportsFloat], *, step: int) -> None:
        """Hold the values of one step; a mapping with a bad name or value leaves nothing.

        Raises:
            TypeError: a name is not text, or a value not a number.
            ValueError: a name that cannot be stored, or one too many.
        """
        numbers = [_number(name, value) for name, value in values.items()]
        if len(self._values) + len(numbers) > MAX_BATCH:
            self.flush()
        names = self._names
        self._which += [names[name] if name in names else self._new(name) for name in values]
        self._steps += [step] * len(numbers)
        self._values += numbers
        if monotonic() - self._flushed_at > FLUSH_SECONDS or len(self._values) >= MAX_BATCH:
            self.flush()

    def flush(self) -> None:
        """Send the values held so far."""
        self._flushed_at = monotonic()
        if not self._values:
            return
        held = list(dict.fromkeys(self._which))
        place = {which: index for index, which in enumerate(held)}
        names = list(self._names)
        batch = Metrics(
            first=self._sent,
            names=[names[which] for which in held],
            which=[place[which] for which in self._which],
            steps=self._steps,
            values=self._values,
        )
        self._sent += len(self._values)
        self._which, self._steps, self._values = [], [], []
        self._channel.send(batch)

    def _new(self, name: str) -> int:
        if not isinstance(name, str):
            raise TypeError(f"record: a name must be text, got {name!r}")
        if not 1 <= len(check_text(name)) <= MAX_NAME:
            raise ValueError(f"record: a name must have 1 to {MAX_NAME} characters, got {name!r}")
        if len(self._names) == MAX_NAMES:
            raise ValueError(f"record: {name!r} is one name too many: {MAX_NAMES} are allowed")
        return self._names.setdefault(name, len(self._names))


def _number(name: str, value: SupportsFloat) -> float:
    if type(value) is float:
        return value
    if isinstance(value, str | bytes | bool):
        raise TypeError(f"record: {name!r} must be a number, got {value!r}")
    # float() of a tensor that needs a gradient warns; item() does not.
    item = getattr(value, "item", None)
    try:
        return float(value if item is None else item())
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"record: {name!r} must be a number, got {value!r}") from error

"""What a remote trial has to say, put together into bodies of ``:report``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from alphagrad.api.remote_limits import MAX_REPORTS, MAX_SAMPLES
from alphagrad.tuner.messages import FromTrial, KnobAnswer, Layers, Metrics, Report, Trace

MOST_CELLS = 10_000
"""Samples times layers of one body: about 400 kB."""


def split(message: FromTrial) -> Iterator[FromTrial]:
    """Cut a trace into pieces that a body can hold; all else stays whole."""
    if not isinstance(message, Trace):
        yield message
        return
    rows = max(1, min(MAX_SAMPLES, MOST_CELLS // max(1, message.alpha.shape[1])))
    for start in range(0, len(message.steps), rows):
        piece = slice(start, start + rows)
        yield Trace(
            first=message.first + start,
            steps=message.steps[piece],
            alpha=message.alpha[piece],
            saturation=message.saturation[piece],
        )


def count(queue: Sequence[FromTrial]) -> int:
    """How many messages from the front of a queue one body can hold, in their order.

    The server reads layers, trace, metrics, reports and answers in this order, and one of each of
    the first three.
    """
    seen: set[type[FromTrial]] = set()
    for place, message in enumerate(islice(queue, MAX_REPORTS)):
        kind = type(message)
        if (kind in (Trace, Metrics) and kind in seen) or (kind is Layers and Trace in seen):
            return place
        seen.add(kind)
    return min(len(queue), MAX_REPORTS)


def body(messages: Sequence[FromTrial]) -> dict[str, Any]:
    """The body that says these messages."""
    said: dict[str, Any] = {"reports": [], "knob_answers": []}
    for message in messages:
        match message:
            case Report():
                said["reports"].append({"step": message.step, "value": number(message.value)})
            case Layers():
                said["layers"] = message.names
            case Trace():
                said["trace"] = {
                    "first": message.first,
                    "steps": message.steps,
                    "alpha": _rows(message.alpha.tolist()),
                    "saturation": _rows(message.saturation.tolist()),
                }
            case Metrics():
                said["metrics"] = {
                    "first": message.first,
                    "names": message.names,
                    "which": message.which,
                    "steps": message.steps,
                    "values": [number(value) for value in message.values],
                }
            case KnobAnswer():
                said["knob_answers"].append(
                    {
                        "id": message.id,
                        "applied": message.applied,
                        "step": message.step,
                        "reason": message.reason,
                    }
                )
            case _:
                raise TypeError(f"a remote trial does not say {message!r}")
    return said


def number(value: float) -> float | str | None:
    """A number as the server takes it: NaN is null, an infinity a word.

    Example:
        >>> [number(value) for value in (0.5, float("nan"), float("-inf"))]
        [0.5, None, '-Infinity']
    """
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return None
    return "Infinity" if value > 0 else "-Infinity"


def _rows(rows: list[list[float]]) -> list[list[float | str | None]]:
    return [[number(value) for value in row] for row in rows]

"""What a client says of its trial while that runs.

JSON has no NaN and no infinities. In what is sent here ``null`` is NaN, and ``"Infinity"`` and
``"-Infinity"`` are themselves.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from alphagrad.api.remote_limits import MAX_CELLS, MAX_LAYERS, MAX_REPORTS, MAX_SAMPLES
from alphagrad.tuner.messages import KnobAnswer, Metrics, Report, Trace
from alphagrad.tuner.metric_buffer import MAX_BATCH, MAX_NAME, MAX_NAMES
from alphagrad.tuner.remote_reports import Said
from alphagrad.tuner.steps import STEPS
from alphagrad.tuner.text import Text, clean_text


def _number(value: Any) -> Any:
    if value is None:
        return math.nan
    if value in ("Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError('must be a number JSON has; null is NaN, else "Infinity" or "-Infinity"')
    return value


Number = Annotated[
    float,
    BeforeValidator(_number),
    WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"enum": ["Infinity", "-Infinity"]}, {"type": "null"}]}
    ),
]
Step = Annotated[int, Field(ge=0, lt=STEPS)]
TraceStep = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Fence = Annotated[int, Field(ge=1, lt=2**31)]
Name = Annotated[Text, Field(min_length=1, max_length=MAX_NAME)]
LayerName = Annotated[Text, Field(min_length=1, max_length=500)]


class Strict(BaseModel):
    """What takes no other fields, and no value for another."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ReportIn(Strict):
    """The objective's value so far."""

    step: Step
    value: Number


class TraceIn(Strict):
    """Samples of α and saturation: a row per step, a column per layer."""

    first: Count = Field(description="how many samples this attempt sent before")
    steps: Annotated[list[TraceStep], Field(min_length=1, max_length=MAX_SAMPLES)]
    alpha: list[list[Number]]
    saturation: list[list[Number]]

    @model_validator(mode="after")
    def _is_rectangular(self) -> Self:
        width = len(self.alpha[0]) if self.alpha else 0
        if not 1 <= width <= MAX_LAYERS or len(self.steps) * width > MAX_CELLS:
            raise ValueError(
                f"1 to {MAX_LAYERS} layers, and samples times layers up to {MAX_CELLS}, are "
                f"allowed; got {len(self.steps)} samples of {width} layers"
            )
        for name, rows in (("alpha", self.alpha), ("saturation", self.saturation)):
            if len(rows) != len(self.steps) or {len(row) for row in rows} != {width}:
                raise ValueError(f"{name} needs a row of {width} numbers for each step")
        return self

    def message(self) -> Trace:
        """As the tuner has it."""
        with np.errstate(over="ignore"):  # what a float32 cannot hold is infinite
            alpha = np.array(self.alpha, dtype=np.float32)
            saturation = np.array(self.saturation, dtype=np.float32)
        return Trace(first=self.first, steps=self.steps, alpha=alpha, saturation=saturation)


class MetricsIn(Strict):
    """Recorded values, in their order."""

    first: Count = Field(description="how many values this attempt sent before")
    names: Annotated[list[Name], Field(max_length=MAX_NAMES)]
    which: Annotated[list[Count], Field(max_length=MAX_BATCH)] = Field(
        description="for each value the place of its name in names"
    )
    steps: Annotated[list[Step], Field(max_length=MAX_BATCH)]
    values: Annotated[list[Number], Field(min_length=1, max_length=MAX_BATCH)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        count = len(self.values)
        if len(self.which) != count or len(self.steps) != count:
            raise ValueError("which, steps and values must be of one length")
        if len(set(self.names)) < len(self.names):
            raise ValueError("the names must differ")
        if max(self.which) >= len(self.names):
            raise ValueError(f"which has {max(self.which)}, of {len(self.names)} names")
        return self

    def message(self) -> Metrics:
        """As the tuner has it."""
        return Metrics(
            first=self.first,
            names=self.names,
            which=self.which,
            steps=self.steps,
            values=self.values,
        )


class KnobAnswerIn(Strict):
    """What became of a command."""

    id: Annotated[int, Field(ge=1, lt=2**63)]
    applied: bool
    step: TraceStep = Field(description="the first step made with the new alpha")
    reason: Annotated[str, AfterValidator(clean_text)] | None = Field(
        default=None, description="why it was not applied"
    )


class OfAttempt(Strict):
    """What is said of an attempt."""

    fence: Fence
    client: Name | None = Field(
        default=None,
        description="the name by which the trial was asked for: with it nothing is taken for "
        "another client's, of a study of the same name that came after a deleted one say",
    )


class ReportsIn(OfAttempt):
    """What a trial has to say; all but the fence may be left out. It may be sent again."""

    reports: Annotated[list[ReportIn], Field(max_length=MAX_REPORTS)] = Field(
        default_factory=list, description="in their order; of a step the last one stays"
    )
    layers: Annotated[list[LayerName], Field(min_length=1, max_length=MAX_LAYERS)] | None = Field(
        default=None, description="the names of the columns of the trace, before its first sample"
    )
    trace: TraceIn | None = None
    metrics: MetricsIn | None = None
    knob_answers: Annotated[list[KnobAnswerIn], Field(max_length=MAX_REPORTS)] = Field(
        default_factory=list
    )

    @model_validator(mode="after")
    def _layers_differ(self) -> Self:
        if self.layers is not None and len(set(self.layers)) < len(self.layers):
            raise ValueError("the names in layers must differ")
        return self

    def said(self) -> Said:
        """As the tuner has it."""
        return Said(
            layers=self.layers,
            trace=None if self.trace is None else self.trace.message(),
            metrics=None if self.metrics is None else self.metrics.message(),
            reports=[Report(step=one.step, value=one.value) for one in self.reports],
            knob_answers=[
                KnobAnswer(id=one.id, applied=one.applied, step=one.step, reason=one.reason)
                for one in self.knob_answers
            ],
        )

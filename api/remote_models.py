"""What clients of engine ``remote`` say and are told.

JSON has no NaN and no infinities. In what is sent here ``null`` is NaN, and ``"Infinity"`` and
``"-Infinity"`` are themselves.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from alphagrad.api.pages import timestamp
from alphagrad.tuner.messages import Finished, KnobAnswer, KnobCommand, Metrics, Report, Trace
from alphagrad.tuner.metrics import MAX_BATCH, MAX_NAME, MAX_NAMES
from alphagrad.tuner.outcomes import outcome
from alphagrad.tuner.remote_reports import Said
from alphagrad.tuner.remote_trials import Asked, Standing
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.text import Text, clean_text
from alphagrad.tuner.trial import STEPS

MAX_REPORTS = 1000
MAX_SAMPLES = 1000
MAX_LAYERS = 10_000
MAX_CELLS = 50_000
"""Samples times layers of one trace, at most."""

_INFINITIES = {"Infinity": math.inf, "-Infinity": -math.inf, None: math.nan}


def _float(value: float | str | None) -> float:
    return _INFINITIES[value] if value is None or isinstance(value, str) else value


Number = Annotated[
    Annotated[float, Field(allow_inf_nan=False)] | Literal["Infinity", "-Infinity"] | None,
    AfterValidator(_float),
]
Step = Annotated[int, Field(ge=0, lt=STEPS)]
TraceStep = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Fence = Annotated[int, Field(ge=1, lt=2**31)]
Name = Annotated[Text, Field(min_length=1, max_length=MAX_NAME)]
LayerName = Annotated[Text, Field(min_length=1, max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AskIn(_Strict):
    """Who asks for a trial."""

    client: Name = Field(
        description="a name that no other client of the study has; asking again with it gives the "
        "same trial until that has ended"
    )


class RemoteTrialOut(BaseModel):
    """A trial to be run by the client that asked for it."""

    number: int
    fence: int = Field(description="to be shown with all that is said of this attempt")
    attempt: int = Field(description="1 at the first try")
    seed: int
    params: dict[str, Any]
    constraints: list[str] = Field(description="the names of those that are to be told")
    n_objectives: int
    lease_seconds: float = Field(
        description="after so long without a word the trial is given to another client"
    )
    started_at: datetime | None = Field(description="when its first attempt began")
    samples: int = Field(description="samples of its trace that this attempt has sent")
    values: int = Field(description="values of metrics that this attempt has sent")


class AskOut(BaseModel):
    """The trial, or null if there is none now."""

    trial: RemoteTrialOut | None
    study_state: str
    retry_after: float = Field(description="in so many seconds it is worth asking again")

    @classmethod
    def of(cls, asked: Asked, *, lease_seconds: float) -> Self:
        """From what was asked for."""
        found = None
        if asked.claim is not None:
            row, spec = asked.claim.trial, StudySpec.model_validate(asked.claim.study.spec)
            assert row.number is not None
            found = RemoteTrialOut(
                number=row.number,
                fence=row.fence,
                attempt=row.attempt,
                seed=row.seed or 0,
                params=row.params or {},
                constraints=spec.constraints,
                n_objectives=len(spec.objectives),
                lease_seconds=lease_seconds,
                started_at=timestamp(row.started_at),
                samples=asked.stored.samples,
                values=asked.stored.values,
            )
        return cls(trial=found, study_state=asked.study_state, retry_after=asked.retry_after)


class HeartbeatIn(_Strict):
    """A sign of life."""

    fence: Fence


class CommandOut(BaseModel):
    """A turn of the knob that the trial has not answered yet."""

    id: int
    layers: str = Field(description="a glob on the names of the layers")
    alpha: float | None = Field(description="the new steepness; null leaves it")
    pin: bool | None = Field(description="true keeps schedulers off, false releases, null leaves")


class StandingOut(BaseModel):
    """How the trial stands."""

    should_prune: bool
    prune_reason: str | None
    knobs: list[CommandOut]
    lease_seconds: float
    study_state: str

    @classmethod
    def of(cls, standing: Standing, *, lease_seconds: float) -> Self:
        """From how it stands."""
        return cls(
            should_prune=standing.prune_reason is not None,
            prune_reason=standing.prune_reason,
            knobs=[_command(command) for command in standing.knobs],
            lease_seconds=lease_seconds,
            study_state=standing.study_state,
        )


def _command(command: KnobCommand) -> CommandOut:
    return CommandOut(id=command.id, layers=command.layers, alpha=command.alpha, pin=command.pin)


class ReportIn(_Strict):
    """The objective's value so far."""

    step: Step
    value: Number


class TraceIn(_Strict):
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


class MetricsIn(_Strict):
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
            values=[_float(value) for value in self.values],
        )


class KnobAnswerIn(_Strict):
    """What became of a command."""

    id: Annotated[int, Field(ge=1, lt=2**63)]
    applied: bool
    step: TraceStep = Field(description="the first step made with the new alpha")
    reason: Annotated[Text, Field(max_length=2000)] | None = Field(
        default=None, description="why it was not applied"
    )


class ReportsIn(_Strict):
    """What a trial has to say; all but the fence may be left out. It may be sent again."""

    fence: Fence
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
            reports=[Report(step=one.step, value=_float(one.value)) for one in self.reports],
            knob_answers=[
                KnobAnswer(id=one.id, applied=one.applied, step=one.step, reason=one.reason)
                for one in self.knob_answers
            ],
        )


class TellIn(_Strict):
    """How an attempt ended."""

    fence: Fence
    state: Literal["COMPLETE", "PRUNED", "FAIL"]
    value: Number = Field(
        default=None, description="with COMPLETE, of one objective; a trial that tells NaN fails"
    )
    values: Annotated[list[Number], Field(max_length=1000)] | None = Field(
        default=None, description="with COMPLETE, of several objectives"
    )
    constraints: dict[Name, Annotated[float, Field(allow_inf_nan=False)]] = Field(
        default_factory=dict, description="all that the study names; at most 0 is feasible"
    )
    error: str | None = Field(default=None, description="with FAIL: what went wrong")
    retryable: bool = Field(
        default=True, description="with FAIL: whether another attempt could do better"
    )

    @model_validator(mode="after")
    def _has_its_value(self) -> Self:
        given = {"value", "values"} & self.model_fields_set
        if self.state == "COMPLETE" and len(given) != 1:
            raise ValueError("COMPLETE needs value, or values of several objectives")
        told = self.values is not None or not math.isnan(_float(self.value))
        if self.state != "COMPLETE" and told:
            raise ValueError(
                f"{self.state} takes no value: a pruned trial's is that of its latest report"
            )
        return self

    def finished(self, *, n_objectives: int) -> Finished:
        """As the tuner has it: what is no finite number fails the trial."""
        if self.state != "COMPLETE":
            error = self.error if self.error is None else clean_text(self.error)
            if self.state == "FAIL":
                return Finished(
                    state="FAIL",
                    error=error or "the client gave no reason",
                    retryable=self.retryable,
                )
            return Finished(state="PRUNED")
        told = _float(self.value)
        if self.values is not None:
            return outcome([_float(value) for value in self.values], n_objectives=n_objectives)
        return outcome(told, n_objectives=n_objectives)

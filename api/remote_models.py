"""What clients of engine ``remote`` ask and tell, and what they are answered."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from alphagrad.api.pages import timestamp
from alphagrad.api.remote_report_models import Name, Number, OfAttempt, Strict
from alphagrad.tuner.messages import Finished, KnobCommand
from alphagrad.tuner.outcomes import outcome
from alphagrad.tuner.remote_asks import Asked
from alphagrad.tuner.remote_trials import Standing
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.text import clean_text


class AskIn(Strict):
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


class HeartbeatIn(OfAttempt):
    """A sign of life."""


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


class TellIn(OfAttempt):
    """How an attempt ended."""

    state: Literal["COMPLETE", "PRUNED", "FAIL"]
    value: Number = Field(
        default=math.nan,
        description="with COMPLETE, of one objective; a trial that tells NaN fails",
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
        told = self.values is not None or not math.isnan(self.value)
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
        told = self.value
        if self.values is not None:
            return outcome(self.values, n_objectives=n_objectives)
        return outcome(told, n_objectives=n_objectives)

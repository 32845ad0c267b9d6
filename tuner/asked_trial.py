"""What one ask gave: a trial, or one whose parameters the sampler could not draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedTrial:
    """A trial as Optuna creates it: its id and number there, and its seed."""

    optuna_trial_id: int
    number: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTrial(CreatedTrial):
    """A trial with all its parameters."""

    params: dict[str, Any]


class SamplingError(Exception):
    """The sampler cannot draw the parameters of the trial `created`."""

    def __init__(self, created: CreatedTrial, error: Exception) -> None:
        self.created = created
        super().__init__(f"no parameters could be drawn: {type(error).__name__}: {error}")

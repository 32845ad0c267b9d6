"""The study's specification: one schema for a TOML file, the command line and REST."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from alphagrad.tuner.population import Population, check_mutations
from alphagrad.tuner.pruners import NoPruner, PrunerSpec
from alphagrad.tuner.resources import Resources
from alphagrad.tuner.samplers import TPE, SamplerSpec, grid_of
from alphagrad.tuner.space import Parameter, Scalar, check_point, dimensions
from alphagrad.tuner.text import Text

MOST_SHUFFLED = 1_000_000
Direction = Literal["minimize", "maximize"]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class StudySpec(BaseModel):
    """What to tune, how, and how much of it.

    Example:
        >>> spec = StudySpec.model_validate({
        ...     "name": "bar",
        ...     "task": "dqn",
        ...     "n_trials": 20,
        ...     "params": {
        ...         "total_timesteps": 30000,
        ...         "alpha": {"type": "float", "low": 30, "high": 300, "log": True},
        ...     },
        ... })
        >>> spec.sampler.type, spec.parallelism
        ('tpe', 1)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    """Unique in the database: letters, digits, ``.``, ``_`` and ``-``."""
    engine: Literal["optuna", "ray", "remote"] = "optuna"
    """``optuna``: processes beside the worker; ``ray``: Ray Tune places the trials; ``remote``:
    whoever asks over HTTP runs them."""
    task: Annotated[Text | None, Field(validate_default=True)] = None
    """The name of a registered task; with engine ``remote`` any name, or none."""
    params: dict[Text, Parameter] = Field(default_factory=dict)
    """A plain value or a list is a constant, an object is a dimension to search."""
    directions: Annotated[list[Direction], Field(min_length=2)] | None = None
    """One for each of several objectives; the task returns as many numbers."""
    direction: Direction | None = None
    """Of the one objective, ``maximize`` where nothing is said; null with ``directions``."""
    constraints: list[Annotated[Text, Field(min_length=1, max_length=100)]] = Field(
        default_factory=list
    )
    """Names of what each trial says with ``set_constraint``; one above 0 makes it infeasible."""
    sampler: SamplerSpec = Field(default_factory=TPE)
    pruner: PrunerSpec = Field(default_factory=NoPruner)
    n_trials: Annotated[int, Field(ge=1, le=1_000_000)]
    """Exactly so many trials are finished, whatever their end."""
    parallelism: Annotated[int, Field(ge=1, le=10_000)] = 1
    """At most so many trials run at a time, over all workers."""
    stack: Annotated[int, Field(ge=1, le=1000)] = 1
    """At most so many trials train side by side in one process, of tasks that can; the process
    takes one slot of its worker."""
    resources: Resources = Field(default_factory=Resources)
    """CPUs and GPUs that each trial takes of its worker; a stack takes as much as one trial."""
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Seconds after the first trial's start in which trials may start; running ones end."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        default_factory=lambda: secrets.randbelow(2**32)
    )
    """Drawn and recorded where none is given."""
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Workers take trials of the study with the highest priority first, and among equals of the one
    with the fewest running."""
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    """How often a trial that failed is tried again; a lost worker does not count."""
    retry_delay: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Seconds before the first retry of a trial, doubled for each further one, up to an hour."""
    trial_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Seconds that one attempt of a trial may take; then it has failed."""
    max_failed_trials: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """More failed trials than this end the study, as FAILED; running ones end."""
    population: Population | None = None
    """Makes the trials the members of a population: those that do badly take over the checkpoint
    and parameters of one that does well, and change them. Not with a pruner or a stack."""
    enqueue: list[dict[Text, Scalar]] = Field(default_factory=list)
    """Parameters that the first trials try; the sampler draws those left out."""
    warm_start: list[Annotated[str, Field(pattern=NAME_PATTERN)]] = Field(default_factory=list)
    """Studies in the same database whose finished trials the sampler and the pruner know as well,
    as they are when this one is submitted; they do not count."""

    @field_validator("task")
    @classmethod
    def _task_is_named(cls, task: str | None, info: ValidationInfo) -> str | None:
        if task is None and info.data.get("engine") != "remote":
            raise ValueError("required, unless engine is 'remote'")
        return task

    @field_validator("params")
    @classmethod
    def _space_is_sound(cls, params: dict[str, Parameter]) -> dict[str, Parameter]:
        dimensions(params)
        return params

    @model_validator(mode="before")
    @classmethod
    def _one_is_maximized(cls, data: Any) -> Any:
        if isinstance(data, dict) and not {"direction", "directions"} & data.keys():
            return data | {"direction": "maximize"}
        return data

    @property
    def objectives(self) -> list[Direction]:
        """The direction of each objective."""
        if self.directions is not None:
            return self.directions
        assert self.direction is not None
        return [self.direction]

    @field_validator("constraints", "warm_start")
    @classmethod
    def _names_differ(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError(f"the names must differ, got {names}")
        return names

    @model_validator(mode="after")
    def _objectives_are_clear(self) -> Self:
        if (self.direction is None) == (self.directions is None):
            raise ValueError(
                "give direction for one objective, or directions for several, and not both"
            )
        if self.directions is not None and self.pruner.type != "none":
            raise ValueError(
                f"pruner {self.pruner.type!r} needs one objective: with directions every trial "
                "runs to its end"
            )
        if self.directions is not None and self.sampler.type == "cmaes":
            raise ValueError("sampler 'cmaes' needs one objective; nsga2, tpe and gp take several")
        return self

    @model_validator(mode="after")
    def _stack_is_filled(self) -> Self:
        if self.stack > self.parallelism:
            raise ValueError(
                f"stack={self.stack} needs a parallelism of at least {self.stack}, "
                f"got {self.parallelism}"
            )
        return self

    @model_validator(mode="after")
    def _population_fits(self) -> Self:
        if self.population is None:
            return self
        check_mutations(self.population, self.params)
        if self.engine == "ray":
            raise ValueError("engine 'ray' runs no population; use engine 'optuna'")
        if self.n_trials < 2:
            raise ValueError(f"a population needs at least 2 members, got n_trials={self.n_trials}")
        if self.directions is not None or self.constraints:
            raise ValueError("a population ranks its members by one objective, without constraints")
        if not isinstance(self.pruner, NoPruner):
            raise ValueError(
                f"pruner={self.pruner.type!r} does not go with a population, whose members take "
                "over from each other instead of being pruned"
            )
        if self.stack > 1:
            raise ValueError(
                f"stack={self.stack} does not go with a population, whose members end their "
                "attempts one by one"
            )
        return self

    @model_validator(mode="after")
    def _engine_can_stack(self) -> Self:
        if self.stack > 1 and self.engine == "ray":
            raise ValueError(
                f"stack={self.stack}, but engine 'ray' runs one trial a process; "
                "leave stack out or use engine 'optuna'"
            )
        return self

    @model_validator(mode="after")
    def _remote_trials_stand_alone(self) -> Self:
        if self.engine != "remote":
            return self
        if self.population is not None:
            raise ValueError(
                "engine 'remote' runs no population: its members' checkpoints stay with those who "
                "run them; use engine 'optuna'"
            )
        if self.stack > 1:
            raise ValueError(
                f"stack={self.stack}, but with engine 'remote' each trial is asked for by itself; "
                "leave stack out or use engine 'optuna'"
            )
        if self.resources != Resources():
            raise ValueError(
                f"resources={self.resources.model_dump()}, but with engine 'remote' whoever asks "
                "decides what a trial takes; leave resources out"
            )
        return self

    @model_validator(mode="after")
    def _queue_fits(self) -> Self:
        if len(self.enqueue) > self.n_trials:
            raise ValueError(f"enqueue has {len(self.enqueue)} points for {self.n_trials} trials")
        for place, point in enumerate(self.enqueue):
            check_point(self.params, point, name=f"enqueue.{place}")
        return self

    @model_validator(mode="after")
    def _grid_is_large_enough(self) -> Self:
        grid = grid_of(self.sampler, self.params)
        if grid is None:
            return self
        kind = self.sampler.type
        if self.n_trials > grid.size:
            raise ValueError(f"n_trials={self.n_trials}, but the {kind} has {grid.size} points")
        if kind == "brute_force" and grid.size > MOST_SHUFFLED:
            raise ValueError(
                f"brute_force over {grid.size} points: at most {MOST_SHUFFLED}; use random"
            )
        for field in ("enqueue", "warm_start"):
            if getattr(self, field):
                raise ValueError(f"{field} does not go with {kind}, whose points are all given")
        return self

"""A plan: the arms of one task's experiments, and the studies that each arm takes.

An arm is a way to train that is reported on the plan's seeds. Where it leaves something open, it is
chosen first, on other seeds: one of a few learning rates by a study for each, or any parameters by
a search, and a study for each of its best. The files are `studies/paper/*.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alphagrad.tuner.spec_reading import load_toml

REPORT_SEED = 1
"""Seed of the studies that are reported: an arm's n-th run has the seed of every other's n-th.
Where each run is a study of its own, that of the first."""
CHOICE_SEED = 1_000
"""Seed of the studies by which something is chosen."""

STUDIES = "paper-*"
"""A glob that matches the name of each study of a plan."""

Role = Literal["report", "select", "search"]
Count = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """A table of a plan file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Search(Part):
    """A search for an arm's parameters: a study's sampler and pruner, and what it searches."""

    n_trials: Count
    params: dict[str, Any]
    sampler: dict[str, Any] = {"type": "tpe"}
    pruner: dict[str, Any] = {"type": "none"}
    finalists: Count = Field(
        default=1,
        description="so many of its best are trained on the selection's seeds, since a single run "
        "may have been lucky; with 1 the best is taken as it is",
    )


class Arm(Part):
    """One way to train."""

    label: str = Field(description="what tables and figures call it")
    group: Literal["paper", "question"] = Field(
        description="paper: a run of the paper's; question: does α need tuning?"
    )
    params: dict[str, Any] = {}
    seeds: Count | None = Field(default=None, description="runs, where not as many as the plan's")
    learning_rates: tuple[float, ...] | None = Field(default=None, min_length=2)
    search: Search | None = None

    @model_validator(mode="after")
    def _one_learning_rate(self) -> Self:
        ways = ["learning_rate" in self.params, self.learning_rates is not None]
        searched = self.search is not None and "learning_rate" in self.search.params
        if sum([*ways, searched]) != 1 or (self.learning_rates and self.search):
            raise ValueError(
                f"{self.label}: learning_rate must be in params, in search.params, or one of "
                "learning_rates, which goes with no search"
            )
        return self


class Plan(Part):
    """The arms of a task."""

    task: str
    title: str
    seeds: Count = Field(description="runs of each arm that are reported")
    selection_seeds: Count = Field(description="runs by which each learning rate is judged")
    parallelism: Count = 2
    stack: Count = 1
    separate: bool = Field(
        default=False,
        description="each reported run is a study of its own, and so is written down as soon as "
        "it has ended; for runs that take an hour",
    )
    params: dict[str, Any] = Field(description="of all runs")
    arms: dict[str, Arm]

    def jobs(self) -> Iterator[Job]:
        """All studies, in the order of the file; what is chosen comes before what follows it."""
        for name, arm in self.arms.items():
            study = f"paper-{self.task}-{name}"
            chosen = [
                Job(
                    name=f"{study}-at-{rate:g}",
                    arm=name,
                    role="select",
                    n_trials=self.selection_seeds,
                    params=arm.params | {"learning_rate": rate},
                )
                for rate in arm.learning_rates or ()
            ]
            if arm.search is not None:
                chosen = list(self._search(name, arm, arm.search))
            yield from chosen
            open_ = () if arm.search is None else tuple(arm.search.params)
            report = Job(
                name=study,
                arm=name,
                role="report",
                n_trials=arm.seeds or self.seeds,
                params=arm.params,
                after=tuple(job.name for job in chosen if job.role == chosen[-1].role),
                chooses=open_ or (("learning_rate",) if chosen else ()),
                search=chosen[0].name if arm.search is not None else "",
            )
            yield from report.runs() if self.separate else [report]

    def _search(self, name: str, arm: Arm, search: Search) -> Iterator[Job]:
        """The search, and its finals where there are several finalists."""
        study = f"paper-{self.task}-{name}"
        first = Job(
            name=f"{study}-search",
            arm=name,
            role="search",
            n_trials=search.n_trials,
            params=arm.params | search.params,
            sampler=search.sampler,
            pruner=search.pruner,
        )
        yield first
        for rank in range(search.finalists if search.finalists > 1 else 0):
            yield Job(
                name=f"{study}-final-{rank + 1}",
                arm=name,
                role="select",
                n_trials=self.selection_seeds,
                params=arm.params,
                after=(first.name,),
                chooses=tuple(search.params),
                rank=rank,
            )

    def spec(self, job: Job, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """A study as it is submitted.

        Args:
            job: which.
            chosen: the parameters that were chosen for it.
        """
        return {
            "name": job.name,
            "task": self.task,
            "direction": "maximize",
            "n_trials": job.n_trials,
            "parallelism": min(self.parallelism, job.n_trials),
            "stack": self.stack,
            "seed": REPORT_SEED + job.part if job.role == "report" else CHOICE_SEED,
            "sampler": job.sampler,
            "pruner": job.pruner,
            "retries": 2,
            "params": {**self.params, **job.params, **chosen},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A study of an arm.

    Attributes:
        name: the study's.
        arm: the arm's name in the plan.
        role: report: on the seeds that count; select: one of several ways; search: a search.
        n_trials: how many runs.
        params: beside the plan's.
        sampler: draws what is searched.
        pruner: stops what does badly.
        after: the studies by which the rest of its parameters is chosen.
        chooses: the names of those parameters.
        rank: of a search's runs it takes the parameters of the best, 0, or of the next.
        search: the search whose best, or whose finalists' best, it reports.
        part: of an arm's reported runs it is this one, from 0, where each is a study.
    """

    name: str
    arm: str
    role: Role
    n_trials: int
    params: Mapping[str, Any]
    sampler: Mapping[str, Any] = field(default_factory=lambda: {"type": "random"})
    pruner: Mapping[str, Any] = field(default_factory=lambda: {"type": "none"})
    after: tuple[str, ...] = ()
    chooses: tuple[str, ...] = ()
    rank: int = 0
    search: str = ""
    part: int = 0

    def runs(self) -> Iterator[Job]:
        """A study for each of its runs."""
        for part in range(self.n_trials):
            yield replace(self, name=f"{self.name}-run-{part + 1}", n_trials=1, part=part)


def plan_files() -> dict[str, Path]:
    """The plans that come along, by task."""
    folder = Path(str(files("alphagrad.studies") / "paper"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_plan(path: Path) -> Plan:
    """Reads a plan.

    Raises:
        pydantic.ValidationError: something in it is unknown, missing or does not fit.
    """
    return Plan.model_validate(load_toml(path))

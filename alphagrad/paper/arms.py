"""The reported runs of a plan's arms, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from alphagrad.paper.choice import is_done, stands
from alphagrad.paper.plan import Arm, Job, Plan
from alphagrad.paper.results import EACH, Result, Results, joined, joined_curves

Array = NDArray[np.float64]

SMALL = 32
"""Layers of fewer entries follow the others under the scheduler."""


class ArmResult:
    """What an arm's reported runs gave.

    Args:
        jobs: the study that is reported, or those that have a run each.
        arm: the arm.
        results: where they are.

    Attributes:
        name: the arm's.
        arm: what the plan says of it.
        studies: what came out of each study.
        result: the runs of all.
    """

    def __init__(self, jobs: Sequence[Job], arm: Arm, results: Results) -> None:
        self.name = jobs[0].arm
        self.arm = arm
        self.studies = [results[job.name] for job in jobs]
        self.result: Result = joined(self.studies)
        self._curves: pa.Table = joined_curves(
            self.studies, [results.curves(job.name) for job in jobs]
        )

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.arm.label

    @property
    def params(self) -> dict[str, Any]:
        """All parameters of its runs."""
        params: dict[str, Any] = self.result.spec["params"]
        return params

    @property
    def chosen(self) -> str:
        """The learning rate, and α where a search chose it."""
        searched = self.arm.search is not None and "alpha" in self.params
        alpha = f"α = {self.params['alpha']:.3g}, " if searched else ""
        return f"{alpha}η = {self.params['learning_rate']:.2g}"

    @property
    def values(self) -> Array:
        """The score of each run that completed."""
        return self.result.values

    @cached_property
    def returns(self) -> tuple[Array, Array]:
        """Steps, and the return of each run's evaluation at each: (steps), (runs, steps)."""
        return self.series(EACH)

    @cached_property
    def layers(self) -> list[str]:
        """The layers whose saturation was measured, in the order of their names."""
        names = pc.unique(self._curves["series"]).to_pylist()
        return sorted(n.removeprefix("saturation/") for n in names if n.startswith("saturation/"))

    def series(self, name: str) -> tuple[Array, Array]:
        """A series of all complete runs at the steps that all of them have.

        Returns:
            Steps (n) and values (runs, n); n is 0 where there is no such series.
        """
        rows = self._curves.filter(pc.equal(self._curves["series"], name))
        number, step = rows["number"].to_numpy(), rows["step"].to_numpy()
        value = rows["value"].to_numpy().astype(float)
        by_run = {
            run.number: dict(zip(step[mine], value[mine], strict=True))
            for run in self.result.complete
            if (mine := number == run.number).any()
        }
        shared = sorted(set.intersection(*map(set, by_run.values()))) if by_run else []
        table = [[points[at] for at in shared] for points in by_run.values()]
        return np.array(shared, float), np.array(table, float).reshape(len(by_run), len(shared))


def arm_results(plan: Plan, results: Results) -> Iterator[ArmResult]:
    """The arms that have been reported, in the plan's order, but for those without a value."""
    for jobs in _reported(plan, results):
        if any(results[job.name].complete for job in jobs):
            yield ArmResult(jobs, plan.arms[jobs[0].arm], results)


def failed_arms(plan: Plan, results: Results) -> list[str]:
    """The labels of the arms whose runs have all failed."""
    return [
        plan.arms[jobs[0].arm].label
        for jobs in _reported(plan, results)
        if not any(results[job.name].complete for job in jobs)
    ]


def _reported(plan: Plan, results: Results) -> list[list[Job]]:
    """Of each arm the study that is reported, or those that have a run each, if all of them are."""
    arms: dict[str, list[Job]] = {}
    for job in plan.jobs():
        if job.role == "report":
            arms.setdefault(job.arm, []).append(job)
    return [jobs for jobs in arms.values() if all(stands(job, results) for job in jobs)]


def named(arms: Mapping[str, ArmResult], names: Iterable[str]) -> list[ArmResult]:
    """Those of the arms that have been reported."""
    return [arms[name] for name in names if name in arms]


def adam_of(arms: Mapping[str, ArmResult]) -> ArmResult | None:
    """Adam at its best learning rate: of two arms of the same parameters the one with more runs."""
    known = named(arms, ("adam-chosen", "adam"))
    same = [arm for arm in known if arm.params == known[0].params]
    return max(same, key=lambda arm: len(arm.values), default=None)


def layer_sizes(arms: Mapping[str, ArmResult]) -> dict[str, int]:
    """The entries of each layer but the small, from an arm whose α is k·√d; none without such."""
    for arm in arms.values():
        if "k" in arm.params:
            alphas = {layer: arm.series(f"alpha/{layer}")[1] for layer in arm.layers}
            sizes = {
                layer: round(float((values.mean() / arm.params["k"]) ** 2))
                for layer, values in alphas.items()
            }
            return {layer: size for layer, size in sizes.items() if size >= SMALL}
    return {}


def missing(plan: Plan, results: Results) -> list[Job]:
    """The studies that have not been run to their end."""
    return [job for job in plan.jobs() if not is_done(job, results)]

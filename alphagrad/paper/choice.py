"""What the studies that come first choose for the one that is reported."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from alphagrad.paper.plan import Job
from alphagrad.paper.results import Result, Results


def is_chosen(job: Job, results: Results) -> bool:
    """Whether the studies before it have ended, so that its parameters are known."""
    return all(name in results for name in job.after)


def choice(job: Job, results: Results) -> Mapping[str, Any]:
    """The parameters that the studies before it choose: those of the best study, or run."""
    found = [results[name] for name in job.after]
    if not found:
        return {}
    if len(found) == 1:
        return found[0].ranked[job.rank].params
    params = best(found).spec["params"]
    return {name: params[name] for name in job.chooses}


def best(found: Sequence[Result]) -> Result:
    """The one of the highest mean among those with the fewest failures; of equals the first."""
    return max(found, key=lambda result: (-result.failed, mean(result)))


def stands(job: Job, results: Results) -> bool:
    """Whether it has a result with the parameters that are chosen now.

    A learning rate that is added to a plan may turn out to be a better one: then the arm has to be
    run again. Until that is known its result stands.
    """
    if job.name not in results:
        return False
    if not is_chosen(job, results):
        return True
    params = results[job.name].spec["params"]
    return all(params.get(name) == value for name, value in choice(job, results).items())


def is_done(job: Job, results: Results) -> bool:
    """Whether its result stands, and has all the runs that the plan asks for now."""
    return stands(job, results) and len(results[job.name].runs) >= job.n_trials


def mean(result: Result) -> float:
    """Of the runs that completed; -∞ where none did, so that it is never the best."""
    return statistics.fmean(result.values) if len(result.values) else -float("inf")

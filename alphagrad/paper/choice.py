"""What the studies that come first choose for the one that is reported."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
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
    params = best(job, results).spec["params"]
    return {name: params[name] for name in job.chooses}


def best(job: Job, results: Results) -> Result:
    """Of the studies before it, so far, the one of the highest mean; of equals the first.

    One with fewer failed runs is better, whatever the means.
    """
    judged = means(job, results)
    return results[max(judged, key=lambda name: (-results[name].failed, judged[name]))]


def means(job: Job, results: Results) -> dict[str, float]:
    """The mean by which each of the studies before it is judged, so far; -∞ if no run counts.

    A finalist's run that its search has had, of the same seed and parameters, does not count again:
    the finalist may be one because that run was lucky.
    """
    search = results[job.search].runs if job.search in results else []
    had = [(run.seed, run.params) for run in search]
    found = {}
    for name in job.after:
        if name in results:
            params = {one: results[name].spec["params"][one] for one in job.chooses}
            complete = results[name].complete
            values = [run.value or 0.0 for run in complete if (run.seed, params) not in had]
            found[name] = statistics.fmean(values) if values else -float("inf")
    return found


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

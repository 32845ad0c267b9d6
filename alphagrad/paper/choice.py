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
    if not job.after:
        return {}
    if len(job.after) == 1:
        return results[job.after[0]].ranked[job.rank].params
    params = best(judged(job, results)).spec["params"]
    return {name: params[name] for name in job.chooses}


def best(found: Sequence[tuple[Result, float]]) -> Result:
    """The one of the highest mean among those with the fewest failures; of equals the first."""
    return max(found, key=lambda one: (-one[0].failed, one[1]))[0]


def judged(job: Job, results: Results) -> list[tuple[Result, float]]:
    """The studies before it, so far, each with the mean that it is judged by; -∞ if no run counts.

    A finalist's run that its search has had, of the same seed and parameters, does not count again:
    the finalist may be one because that run was lucky.
    """
    search = results[job.search].runs if job.search in results else []
    had = [(run.seed, run.params) for run in search]
    found = []
    for result in (results[name] for name in job.after if name in results):
        params = {name: result.spec["params"][name] for name in job.chooses}
        values = [run.value or 0.0 for run in result.complete if (run.seed, params) not in had]
        found.append((result, statistics.fmean(values) if values else -float("inf")))
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

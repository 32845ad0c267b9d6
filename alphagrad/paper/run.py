"""Runs plans on a service: submits what is due, and writes down what has ended.

Nothing here is remembered: what is done stands in the results, what is under way in the service's
database. A run that is stopped, or a machine that goes away, goes on with the next call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from alphagrad.api.client import Client
from alphagrad.api.client_answers import StudyData
from alphagrad.api.client_progress import finished_trials
from alphagrad.api.client_study import Study
from alphagrad.paper.choice import choice, is_chosen, is_done
from alphagrad.paper.plan import STUDIES, Job, Plan
from alphagrad.paper.results import Results, curves_of, result_of

OPEN_STUDIES = 3
"""At most so many have not ended, nor been paused: one's last runs leave slots to the next."""
LOOK_SECONDS = 10.0


class PlanError(ValueError):
    """What is asked for does not fit what is there; the message says how."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far it is: studies and runs that are done, and in all; and the studies that run."""

    studies_done: int
    studies: int
    runs_done: int
    runs: int
    running: list[StudyData]


def run(
    client: Client,
    plans: Sequence[Plan],
    results: Results,
    *,
    on_progress: Callable[[Standing], None] = lambda standing: None,
    look_seconds: float = LOOK_SECONDS,
) -> None:
    """Runs all studies of the plans that have no result yet; a paused one is waited for.

    Args:
        client: of the service.
        plans: in the order in which their studies start.
        results: where they are written, and looked for.
        on_progress: called after each look.
        look_seconds: from one look to the next.

    Raises:
        ApiError: the service refuses a study.
        PlanError: it has another study of that name; raised when the others are done.
        ServerAwayError: it does not answer any more.
    """
    while True:
        known = {study.name: study for study in client.studies(name=STUDIES)}
        refused: dict[str, str] = {}
        running = [study for study in _under_way(known, plans, results, refused) if not study.ended]
        free = OPEN_STUDIES - sum(study.data["state"] != "PAUSED" for study in running)
        taken = {study.name for study in running} | refused.keys()
        new = (one for one in due(plans, results) if one[1].name not in taken)
        for plan, job in islice(new, max(free, 0)):
            running.append(client.submit(plan.spec(job, choice(job, results))))
        on_progress(_standing(plans, results, running))
        if not running:
            break
        time.sleep(look_seconds)
    if refused:
        raise PlanError("; ".join(refused.values()))


def due(plans: Sequence[Plan], results: Results) -> Iterator[tuple[Plan, Job]]:
    """The studies without a result whose parameters are known, in the order of the plans."""
    for plan in plans:
        for job in plan.jobs():
            if not is_done(job, results) and is_chosen(job, results):
                yield plan, job


def _under_way(
    known: Mapping[str, Study], plans: Sequence[Plan], results: Results, refused: dict[str, str]
) -> Iterator[Study]:
    """The plans' studies that the service has; one that has ended is written down first.

    Those that are not the plan's are left out, and what is wrong with them goes into `refused`.
    """
    for plan, job in due(plans, results):  # what is written here makes more due
        if (study := known.get(job.name)) is None:
            continue
        if wrong := _wrong_with(study, plan.spec(job, choice(job, results))):
            refused[study.name] = (
                f"study {study.name!r} has {wrong}: delete it, or use another --home"
            )
            continue
        if study.ended:
            curves = curves_of(study) if job.role == "report" else None
            results.write(result_of(study), curves)
        yield study


def _wrong_with(study: Study, spec: Mapping[str, Any]) -> str | None:
    """What makes a study another one than the plan's, of an earlier version of it say."""
    stored = study.data["spec"]["params"]
    for name, value in spec["params"].items():
        if stored.get(name) != value and not isinstance(value, dict):
            return f"{name}={stored.get(name)!r} where the plan has {value!r}"
    if study.data["state"] == "CANCELLED":
        return "been cancelled"
    if study.ended and (tried := finished_trials(study.data)) < spec["n_trials"]:
        return f"ended with {tried} of the {spec['n_trials']} trials that the plan has"
    return None


def _standing(plans: Sequence[Plan], results: Results, running: list[Study]) -> Standing:
    jobs = [job for plan in plans for job in plan.jobs()]
    done = [job for job in jobs if is_done(job, results)]
    runs = sum(job.n_trials for job in done)
    runs += sum(finished_trials(study.data) for study in running)
    return Standing(
        studies_done=len(done),
        studies=len(jobs),
        runs_done=runs,
        runs=sum(job.n_trials for job in jobs),
        running=[study.data for study in running],
    )

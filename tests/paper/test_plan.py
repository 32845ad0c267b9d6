"""The plans that come along, and the studies that they turn into."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from alphagrad.paper.plan import CHOICE_SEED, REPORT_SEED, Job, Plan, load_plan, plan_files
from alphagrad.tuner import parse_spec
from alphagrad.tuner.registry import get_task
from alphagrad.tuner.seeds import derive_seed
from alphagrad.tuner.space import Dimension

PLANS = {name: load_plan(path) for name, path in plan_files().items()}
JOBS = [(plan, job) for plan in PLANS.values() for job in plan.jobs()]

ARM: dict[str, Any] = {"label": "an arm", "group": "paper", "params": {"learning_rate": 1e-3}}
PLAN: dict[str, Any] = {
    "task": "digits",
    "title": "Digits",
    "seeds": 3,
    "selection_seeds": 2,
    "params": {"epochs": 1},
    "arms": {"one": ARM},
}


def test_there_is_a_plan_for_each_of_the_papers_tasks() -> None:
    assert set(PLANS) == {"dqn", "ppo", "td3"}


@pytest.mark.parametrize(("plan", "job"), JOBS, ids=[job.name for _, job in JOBS])
def test_each_study_is_one_that_the_service_takes(plan: Plan, job: Job) -> None:
    chosen = {"learning_rate": 1e-4} if job.after else {}
    if job.arm == "tuned" and job.role == "report":
        chosen["alpha"] = 30.0
    spec = parse_spec(plan.spec(job, chosen))
    constants = {k: v for k, v in spec.params.items() if not isinstance(v, Dimension)}
    searched = {name: 1.0 for name in spec.params if name not in constants}
    complete = get_task(plan.task).complete(constants | searched)
    assert complete["eps"] == 1e-5
    assert complete["momentum"] == 0.9
    assert spec.seed == (REPORT_SEED + job.part if job.role == "report" else CHOICE_SEED)


def test_names_of_studies_are_unique() -> None:
    names = [job.name for _, job in JOBS]
    assert len(names) == len(set(names))


def test_runs_that_choose_share_no_seed_with_runs_that_are_reported() -> None:
    reported = {derive_seed(REPORT_SEED, "trial", number) for number in range(20)}
    reported |= {derive_seed(REPORT_SEED + part, "trial", 0) for part in range(20)}
    choosing = {derive_seed(CHOICE_SEED, "trial", number) for number in range(20)}
    assert not reported & choosing


def test_arms_that_matter_have_the_seeds_the_question_needs() -> None:
    seeds = {job.arm: job.n_trials for job in PLANS["ppo"].jobs() if job.role == "report"}
    assert min(seeds.values()) >= 10
    assert all(seeds[name] >= 20 for name in ("adam", "alpha98", "saturation"))
    assert min(j.n_trials for j in PLANS["dqn"].jobs() if j.role == "report") >= 10


def test_what_is_chosen_comes_first() -> None:
    arm = ARM | {"params": {}, "learning_rates": [1e-4, 1e-3]}
    jobs = list(Plan.model_validate(PLAN | {"arms": {"one": arm}}).jobs())
    assert [(job.role, job.n_trials) for job in jobs] == [
        ("select", 2),
        ("select", 2),
        ("report", 3),
    ]
    assert jobs[2].after == ("paper-digits-one-at-0.0001", "paper-digits-one-at-0.001")


def test_runs_that_are_studies_of_their_own_have_the_same_seeds_in_each_arm() -> None:
    plan = Plan.model_validate(PLAN | {"separate": True, "arms": {"one": ARM, "two": ARM}})
    found = [(job.name, job.n_trials, plan.spec(job, {})["seed"]) for job in plan.jobs()]
    assert found == [
        (f"paper-digits-{arm}-run-{n}", 1, REPORT_SEED + n - 1)
        for arm in ("one", "two")
        for n in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    "arm",
    [
        ARM | {"params": {}},
        ARM | {"learning_rates": [1e-4, 1e-3]},
        ARM | {"learning_rates": [1e-4]},
        ARM | {"seed": 3},
    ],
)
def test_an_arm_that_leaves_its_learning_rate_open_twice_or_never_is_refused(
    arm: dict[str, Any],
) -> None:
    with pytest.raises(ValidationError):
        Plan.model_validate(PLAN | {"arms": {"one": arm}})

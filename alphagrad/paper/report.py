"""Writes `docs/paper.md` and its figures from the results alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from alphagrad.paper import figures
from alphagrad.paper.answer import answer_section
from alphagrad.paper.arms import (
    ArmResult,
    adam_of,
    arm_results,
    failed_arms,
    layer_sizes,
    missing,
    named,
)
from alphagrad.paper.choice import best, is_chosen, judged
from alphagrad.paper.claims import counts_table, judge, verdicts_table
from alphagrad.paper.claims_of_ours import OF_PROTOTYPE, OF_SCHEDULER
from alphagrad.paper.claims_of_paper import OF_PAPER
from alphagrad.paper.cost import cost_section
from alphagrad.paper.markdown import picture, table
from alphagrad.paper.measures import KL, fall, late_metric, over_training
from alphagrad.paper.plan import Plan
from alphagrad.paper.results import Results
from alphagrad.paper.statistics import (
    collapsed,
    estimate,
    improvement,
    iqm,
)
from alphagrad.paper.theory import THEORY
from alphagrad.paper.theory_section import theory_section
from alphagrad.paper.verdicts import shown

INTRODUCTION = Path(__file__).parent / "introduction.md"
CURVES_OF_QUESTION = ("saturation", "soft", "soft-lower", "k03", "k1", "tuned")
MAPS = ("alpha98", "alpha93", "alpha250", "k03", "k1", "saturation", "rising", "falling")
STEEPNESS = ("saturation", "soft", "tuned")
DEFAULTS = ("soft", "soft-lower")
CHOSEN = """\
How each arm's η was chosen, and of the search α too, on seeds that are not reported; of equals the
one that stands first, and none with a failed run if there is another."""
PROTOTYPE = """\
Before these runs there were a few of a prototype, on HalfCheetah. What they suggested, judged by
the runs of this page."""


def write_report(plans: Mapping[str, Plan], results: Results, page: Path) -> None:
    """Writes the page, and its figures into the folder `figures/paper` beside it.

    Args:
        plans: by task.
        results: what was run.
        page: the Markdown file.
    """
    pictures = page.parent / "figures" / "paper"
    tasks = {task: {a.name: a for a in arm_results(plan, results)} for task, plan in plans.items()}
    of_paper, of_scheduler, of_prototype = (
        judge(claims, tasks) for claims in (OF_PAPER, OF_SCHEDULER, OF_PROTOTYPE)
    )
    counted = {
        "of the paper": of_paper,
        "of `SaturationScheduler`": of_scheduler,
        "of our prototype": of_prototype,
    }
    parts = [INTRODUCTION.read_text(encoding="utf-8").rstrip()]
    parts += ["The claims of this page, by their verdicts:", counts_table(counted)]
    parts += ["## What the paper says, and what we found", verdicts_table(of_paper)]
    parts += ["## Does α need tuning?", answer_section(plans, tasks), verdicts_table(of_scheduler)]
    parts += ["## What our prototype suggested", PROTOTYPE, verdicts_table(of_prototype)]
    for task, plan in plans.items():
        parts += [f"## {plan.title}", *_task(task, plan, tasks[task], results, pictures)]
    parts += ["## The theorems", theory_section(results.folder / THEORY, pictures)]
    parts += ["## What it cost", cost_section(plans, page.parent / "figures" / "rl.json")]
    parts += ["## Where it ran", _provenance(tasks)]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _task(
    task: str,
    plan: Plan,
    arms: Mapping[str, ArmResult],
    results: Results,
    pictures: Path,
) -> list[str]:
    parts = []
    left = missing(plan, results)
    if left:
        labels = dict.fromkeys(plan.arms[job.arm].label for job in left)
        studies = "1 study" if len(left) == 1 else f"{len(left)} studies"
        parts.append(f"Not run to the end yet, {studies} of: {'; '.join(labels)}.")
    if failed := failed_arms(plan, results):
        parts.append(f"All runs failed of: {'; '.join(failed)}.")
    if not arms:
        return parts
    of_paper = [arm for arm in arms.values() if arm.arm.group == "paper"]
    adam = adam_of(arms)
    asked = [*([] if adam is None else [adam]), *named(arms, CURVES_OF_QUESTION)]
    panels = {"The paper's settings": of_paper, "Does α need tuning?": asked}
    figures.learning_curves(
        {title: drawn for title, drawn in panels.items() if drawn}, pictures / f"{task}_curves.svg"
    )
    figures.scores(list(arms.values()), pictures / f"{task}_scores.svg")
    parts.append(picture("Learning curves with bootstrap bands", f"{task}_curves.svg"))
    parts.append(picture("Each run's value, and each arm's interval", f"{task}_scores.svg"))
    parts.append(_scores(arms))
    parts += [CHOSEN, _choices(plan, results)]
    mapped = [arm for arm in named(arms, MAPS) if arm.layers]
    if mapped:
        figures.saturation_maps(mapped, pictures / f"{task}_saturation.svg")
        said = "Saturation of each layer over time, with τ = 2.5"
        parts.append(picture(said, f"{task}_saturation.svg"))
    if steps := _steps(arms):
        figures.against(
            steps,
            late_metric(KL, 1.0),
            "mean KL divergence of all updates",
            pictures / f"{task}_kl.svg",
        )
        parts.append(picture("Each run's value, and how far its policy moved", f"{task}_kl.svg"))
    moved = named(arms, STEEPNESS)
    sizes = layer_sizes(arms)
    if moved and sizes:
        figures.steepness_lines(moved, sizes, pictures / f"{task}_steepness.svg")
        parts.append(picture("Steepness of each layer over time", f"{task}_steepness.svg"))
    return parts


def _steps(arms: Mapping[str, ArmResult]) -> dict[str, list[ArmResult]]:
    """The arms in groups, where the KL divergence of their updates was measured."""
    groups: dict[str, list[ArmResult]] = {
        name: [] for name in ("the others", "the paper's α", "SaturationScheduler, τ = 0.5", "Adam")
    }
    for arm in arms.values():
        if arm.params.get("optimizer") == "adam":
            groups["Adam"].append(arm)
        elif arm.name in DEFAULTS:
            groups["SaturationScheduler, τ = 0.5"].append(arm)
        else:
            groups["the paper's α" if arm.arm.group == "paper" else "the others"].append(arm)
    measured = all(arm.series(KL)[0].size for arm in arms.values())
    return groups if measured and all(groups.values()) else {}


def _choices(plan: Plan, results: Results) -> str:
    """The means by which each arm's parameters were chosen, so far."""
    rows = []
    for job in plan.jobs():
        tried = judged(job, results)
        if not tried or job.part:
            continue
        ways = []
        chosen = best(tried)
        for one, mean in tried if len(job.after) > 1 else ():
            failed = f" ({one.failed} failed)" if one.failed else ""
            found = "no value" if mean == -np.inf else f"{mean:.0f}"
            way = f"{_given(one.spec['params'], job.chooses)}: {found}{failed}"
            ways.append(f"**{way}**" if one is chosen and is_chosen(job, results) else way)
        if job.after == (job.search,):
            ends = Counter(run.state for run in chosen.runs)
            first = chosen.ranked[0]
            ways.append(
                f"of {len(chosen.runs)} trials, {ends['PRUNED']} pruned and {ends['FAIL']} failed, "
                f"the best: **{_given(first.params, job.chooses)}: {first.value:.0f}**"
            )
        if ways:
            rows.append([plan.arms[job.arm].label, "; ".join(ways)])
    few = "its one run" if plan.selection_seeds == 1 else "mean of its runs"
    return table(["arm", f"what was tried: {few}"], rows)


def _given(params: Mapping[str, float], names: Iterable[str]) -> str:
    return ", ".join(f"{params[name]:.2g}" for name in names)


def _scores(arms: Mapping[str, ArmResult]) -> str:
    adam = adam_of(arms)
    rows = []
    for arm in arms.values():
        falls = fall(arm)
        ends = [collapsed(curve) for curve in arm.returns[1]]
        better = (
            ""
            if adam is None or arm.params == adam.params
            else shown(estimate(improvement, arm.values, adam.values))
        )
        rows.append(
            [
                arm.label,
                arm.chosen,
                f"{len(arm.values)}"
                + (f" + {arm.result.failed} failed" if arm.result.failed else ""),
                shown(estimate(iqm, arm.values), 0),
                better,
                shown(estimate(iqm, over_training(arm)), 0),
                f"{np.mean(falls):.0f}, {max(falls):.0f}",
                f"{np.mean(ends):.0%}",
            ]
        )
    reference = "" if adam is None else f" (reference: {adam.label})"
    titles = [
        "arm",
        "chosen",
        "runs",
        "IQM [95 %]",
        f"P(higher than Adam){reference}",
        "IQM over the training",
        "drawdown: mean, worst",
        "collapsed",
    ]
    return table(titles, rows)


def _provenance(tasks: Mapping[str, Mapping[str, ArmResult]]) -> str:
    """How many different runs each machine made: two arms may share some."""
    made: dict[tuple[str, ...], set[tuple[str, str, int]]] = {}
    for task, arms in tasks.items():
        for arm in arms.values():
            params = json.dumps(arm.params, sort_keys=True)
            for result in arm.studies:
                versions = ", ".join(f"{name} {one}" for name, one in result.versions.items())
                blas = ", ".join(result.machine["blas"])
                key = (f"{result.machine['cpu']}, {result.machine['cores']} cores", blas, versions)
                made.setdefault(key, set()).update((task, params, run.seed) for run in result.runs)
    lines = [[*key, str(len(runs))] for key, runs in made.items()]
    return table(["processor", "BLAS kernels", "versions", "runs reported"], lines)

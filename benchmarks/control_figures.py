"""The figures of control runs: settling, share of steps in the band, jitter."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

from control_rules import BAND
from control_runs import Job, ModelJob, Trace
from torch import Tensor

STAY = 20  # steps that S must stay in the band to have settled


def in_band(s: Tensor) -> Tensor:
    """Whether S is in the band; a step without S is not."""
    return (s >= BAND.low) & (s <= BAND.high)


def settling(inside: Tensor) -> int | None:
    """First step, from 1, from which S stays in the band for ``STAY`` steps; None if there is none.

    Args:
        inside: (steps,), whether S was in the band.
    """
    if len(inside) < STAY:
        return None
    whole = inside.unfold(0, STAY, 1).all(1).nonzero()
    return int(whole[0]) + 1 if len(whole) else None


def figures(trace: Trace) -> dict[str, Any]:
    """Figures of runs that are alike but for the seed.

    ``back`` is the first step in the band, ``settling`` that from which S stays there, jitter the
    standard deviation of log α after it. A run that never settles has its figures "after settling"
    from its second half.

    Returns:
        Per figure the median and the worst; None is never.
    """
    back, settled, share, after, jitter = [], [], [], [], []
    for alpha, inside in zip(trace.alpha.T, in_band(trace.s).T, strict=True):
        at = settling(inside)
        rest = slice(len(inside) // 2 if at is None else at - 1, None)
        back.append(float(inside.int().argmax() + 1) if inside.any() else math.inf)
        settled.append(math.inf if at is None else float(at))
        share.append(float(inside.float().mean()))
        after.append(float(inside[rest].float().mean()))
        jitter.append(float(alpha[rest].log().std(correction=0)))
    return {
        "back": summary(back, max),
        "settling": summary(settled, max),
        "share": summary(share, min),
        "share_after_settling": summary(after, min),
        "jitter": summary(jitter, max),
        "in_band_at_step_1": float(in_band(trace.s[0]).float().mean()),
        "runs": len(settled),
    }


def summary(values: list[float], worst: Callable[[list[float]], float]) -> dict[str, float | None]:
    """Median and worst of a few values, None where that is infinite."""
    found = {"median": statistics.median(values), "worst": worst(values)}
    return {key: value if math.isfinite(value) else None for key, value in found.items()}


def rows(experiment: str, job: Job | ModelJob, traces: dict[str, Trace]) -> list[dict[str, Any]]:
    """The figures of a job: a row per rule, column name and part of the plan.

    ``k_at_end`` is α/√d at the part's last step.
    """
    made, begin = [], 0
    for part, (gradient, steps) in enumerate(job.plan):
        during = slice(begin, begin + steps)
        for rule, trace in traces.items():
            for start, d in job.sizes.items():
                chosen = trace.of(start, during)
                k = (chosen.alpha[-1] / math.sqrt(d)).median()
                known = {"experiment": experiment, "rule": rule, "part": part, "start": start}
                known |= {"gradient": gradient, "d": d, "steps": steps}
                made.append(known | figures(chosen) | {"k_at_end": float(k)})
        begin += steps
    return made

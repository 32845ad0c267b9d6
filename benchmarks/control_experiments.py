"""The experiments of benchmarks/saturation_control.py: which rules run on what, and the claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from control_rules import HELD, MODEL_RULES, POOLING, RULES, SWEEP, VARIANTS
from control_runs import Job, ModelJob
from gradients import GRADIENTS

D = 4096
OURS = {"ours": RULES["ours"]}
BEST = {"held": HELD}
STATIONARY = ("gaussian", "laplace", "student3", "sparse10")  # what the scheduler promises to hold
SWITCHES = ("gaussian", "sparse10", "student3", "laplace", "sparse3", "gaussian", "student1.5")
SIZES = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)
COUNTS = (16, 32, 64, 128, 256, 512, 1024)
PAIRS = (  # gradients of the weight and of the bias
    ("gaussian", "gaussian"),
    ("sparse10", "gaussian"),
    ("gaussian", "sparse10"),
    ("sparse10", "sparse10"),
    ("student3", "student3"),
)
Row = dict[str, Any]


def experiments(quick: bool) -> dict[str, list[Job | ModelJob]]:
    """Every job, by the experiment it belongs to.

    Args:
        quick: fewer seeds, steps and sizes.
    """
    seeds, few, long = (1, 1, 150) if quick else (8, 3, 1000)
    answer, each = (210, 40) if quick else (300, 100)
    found: dict[str, list[Job | ModelJob]] = {"stationary": [], "response": []}
    for gradient in GRADIENTS:
        plan = [(gradient, long)]
        found["stationary"] += [
            Job(RULES, plan, D, ["own"], seeds),
            Job(OURS, plan, D, ["kept"], seeds),
            Job(BEST, plan, D, ["match"], seeds),
        ]
        found["response"].append(Job(RULES, [(gradient, answer)], D, ["high", "low"], seeds))
    found["switch"] = [Job(RULES, [(name, each) for name in SWITCHES], D, ["own"], seeds)]
    found["pin"] = [Job(RULES, [("tiny97", 150), ("gaussian", 150)], D, ["own"], seeds)]
    starts = ["own", "high", "low"]
    for d in SIZES[: 3 if quick else None]:
        steps, runs = (300, few) if d < 10**5 else (210, 1)
        chosen = ("gaussian",) if quick or d > 10**5 else ("gaussian", "student3", "sparse10")
        found.setdefault("sizes", []).extend(
            Job(RULES, [(gradient, steps)], d, starts, runs) for gradient in chosen
        )
    found["counts"] = [
        Job(rules, [(gradient, long // 2)], d, [start], 2 * seeds)
        for d in COUNTS[:: 3 if quick else 1]
        for gradient in ("gaussian", "student3", "sparse10")
        for rules, start in ((OURS, "own"), (BEST, "match"))
    ]
    found["model"] = [
        ModelJob(MODEL_RULES, (weight, "gaussian"), long // 4, {"weight": D, "bias": 64}, seeds)
        for weight in ("gaussian", "sparse10")
    ]
    found["pooling"] = [
        ModelJob(POOLING, pair, long // 2, {"weight": D, "bias": d}, seeds)
        for d in ((64,) if quick else (16, 32, 64, 128))
        for pair in PAIRS
    ]
    some = slice(7, None, 9) if quick else slice(None)  # both with the defaults among them
    variants = dict(list(VARIANTS.items())[some])
    found["sweep"] = [
        Job(variants, [(gradient, 100 if quick else 150)], 1024, ["high", "low"], few)
        for gradient in (*STATIONARY, "student1.5")
    ]
    return found


def find(rows: Sequence[Row], **known: object) -> list[Row]:
    """The rows with these entries."""
    return [row for row in rows if all(row[key] == value for key, value in known.items())]


def claims(rows: Sequence[Row]) -> list[Row]:
    """What SaturationScheduler promises, what was measured, and whether that keeps it."""
    made = []

    def claim(what: str, row: Row, measured: float | None, holds: bool) -> None:
        known = {"claim": what, "gradient": row["gradient"], "measured": measured, "holds": holds}
        made.append(known | {"settling": row["settling"]})

    for gradient in STATIONARY:
        known = {"rule": "ours", "gradient": gradient}
        (row,) = find(rows, experiment="stationary", start="own", **known)
        share = row["share"]["worst"]
        held = row["in_band_at_step_1"] == 1 and share >= 0.99
        claim("from √d: share of steps in band ≥ 0.99, with the first", row, share, held)
        for start in ("high", "low"):
            (row,) = find(rows, experiment="response", start=start, **known)
            steps = row["back"]["worst"]
            claim(f"30× too {start}: back by step 25", row, steps, quick_enough(steps))
    pinned, after = find(rows, experiment="pin", rule="ours")
    k = pinned["k_at_end"]
    at_clamp = math.isclose(k, 100, rel_tol=1e-4) and pinned["share"]["median"] == 0
    claim("pinned at k_max = 100, S below the band", pinned, k, at_clamp)
    steps = after["back"]["worst"]
    claim("back by step 25 once dense", after, steps, quick_enough(steps))
    return made


def quick_enough(steps: float | None) -> bool:
    """Whether a number of steps is at most 25."""
    return steps is not None and steps <= 25


def sensitivity(rows: Sequence[Row]) -> list[Row]:
    """The sweep, a row per variant: medians over seeds, of which the worst over the gradients.

    ``heavy`` has the figures on Student-t(1.5), which no α that is held can keep in the band.
    """
    made = []
    for name, options in SWEEP.items():
        mine = find(rows, experiment="sweep", rule=name)
        if not mine:
            continue
        kept = [row for row in mine if row["gradient"] in STATIONARY]
        row: Row = dict(options)
        for start in ("high", "low"):
            steps = [r["settling"]["median"] for r in find(kept, start=start)]
            row[f"settling_{start}"] = None if None in steps else max(steps)
        row |= spread(kept)
        made.append(row | {"heavy": spread(find(mine, gradient="student1.5"))})
    return made


def spread(rows: Sequence[Row]) -> dict[str, float]:
    """Worst median of the share of steps in the band after settling, and of jitter."""
    return {
        "share_after_settling": min(row["share_after_settling"]["median"] for row in rows),
        "jitter": max(row["jitter"]["median"] for row in rows),
    }

"""How a claim is decided: by a 95 % interval, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Any, Literal

import numpy as np

from alphagrad.paper.arms import ArmResult, Array
from alphagrad.paper.measures import Measure
from alphagrad.paper.statistics import (
    LEVEL,
    Estimate,
    chance,
    estimate,
    improvement,
    iqm,
    ratio_of_iqms,
)

Verdict = Literal["confirmed", "refuted", "not decided", "not run"]
VAST = 10
Decide = Callable[..., tuple[Verdict, str]]
"""Takes the arms that a claim needs; gives the verdict, and the numbers behind it."""


def verdict(found: Estimate, *, above: float) -> Verdict:
    """Confirmed if the interval is above a number, refuted if below.

    Example:
        >>> verdict(Estimate(0.9, 0.7, 1.0), above=0.5)
        'confirmed'
        >>> verdict(Estimate(0.6, 0.4, 0.8), above=0.5)
        'not decided'
    """
    if found.low > above:
        return "confirmed"
    return "refuted" if found.high < above else "not decided"


def compared(found: Estimate, ours: Array, theirs: Array, *, above: float) -> Verdict:
    """The verdict on an arm beside another, which a permutation test has to bear out.

    Of few runs the bootstrap's interval is too narrow.

    Args:
        found: what is above a number, or below.
        ours: values that are higher than theirs where it is above.
        theirs: likewise.
        above: the number.

    Returns:
        The verdict; a single run decides nothing.
    """
    one = verdict(found, above=above)
    if one == "not decided" or not can_decide(ours, theirs):
        return "not decided"
    return one if chance(ours, theirs) <= 1 - LEVEL else "not decided"


def can_decide(ours: Array, theirs: Array) -> bool:
    """Whether the permutation test could reach its level if all pairs of runs agreed.

    Example:
        >>> can_decide(np.ones(3), np.ones(5)), can_decide(np.ones(3), np.ones(4))
        (True, False)
    """
    return 2 / comb(len(ours) + len(theirs), len(ours)) <= 1 - LEVEL


def together(verdicts: list[Verdict]) -> Verdict:
    """Of a claim about several arms: refuted if for one, confirmed if for all.

    Example:
        >>> together(["confirmed", "not decided"])
        'not decided'
    """
    if "refuted" in verdicts:
        return "refuted"
    return "confirmed" if set(verdicts) == {"confirmed"} else "not decided"


def shown(found: Estimate, digits: int = 2) -> str:
    """A number with its interval."""
    if not np.isfinite(found.low):
        return f"{found.value:.{digits}f} (one run)"
    if digits and found.high > VAST:  # of a share: some of the other's runs are next to 0
        return f"{found.value:.{digits}f} [{found.low:.{digits}f}, > {VAST}]"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def higher(measure: Measure, of: str) -> Decide:
    """The first arms' runs are higher than the last arm's, in what is called so."""
    return _compare(measure, of, sign=1)


def lower(measure: Measure, of: str) -> Decide:
    """The first arms' runs are lower than the last arm's, in what is called so."""
    return _compare(measure, of, sign=-1)


def above(measure: Measure, bound: float) -> Decide:
    """Each arm's interquartile mean is above a number."""

    def decide(*arms: ArmResult) -> tuple[Verdict, str]:
        found = {arm.label: estimate(iqm, measure(arm)) for arm in arms}
        verdicts = [verdict(one, above=bound) for one in found.values()]
        said = "; ".join(f"{label}: {shown(one, 0)}" for label, one in found.items())
        return together(verdicts), said

    return decide


def between(measure: Measure, low: float, high: float) -> Decide:
    """The arm's interquartile mean is in a range."""
    return _in_range(measure, low, high, iqm, digits=0)


def proportion(measure: Measure, low: float, high: float) -> Decide:
    """The arm's share of runs, of which 1 is measured and not 0, is in a range."""
    return _in_range(measure, low, high, np.mean, digits=2)


def share(measure: Measure, bound: float, *, at_least: bool) -> Decide:
    """The first arms reach, or stay under, a share of the last one's interquartile mean."""

    def decide(*arms: ArmResult) -> tuple[Verdict, str]:
        *ours, reference = arms
        theirs = measure(reference)
        verdicts: list[Verdict] = []
        said = []
        for arm in ours:
            values = measure(arm)
            found = estimate(ratio_of_iqms, values, theirs)
            one = compared(found, values, bound * theirs, above=bound)
            if not at_least:
                swap: dict[Verdict, Verdict] = {"confirmed": "refuted", "refuted": "confirmed"}
                one = swap.get(one, one)
            verdicts.append(one)
            few = _few(values, theirs)
            said.append(f"{arm.label}: {shown(found)} of {reference.label}'s{few}")
        return together(verdicts), "; ".join(said)

    return decide


def among(measure: Measure, bound: float, then: Decide) -> Decide:
    """What is decided of the first arms that reach a share of the last one's interquartile mean."""

    def decide(*arms: ArmResult) -> tuple[Verdict, str]:
        *ours, reference = arms
        shares = {arm.label: ratio_of_iqms(measure(arm), measure(reference)) for arm in ours}
        near = [arm for arm in ours if shares[arm.label] >= bound]
        said: list[str] = []
        decided: Verdict = "not decided"
        if near:
            decided, numbers = then(*near, reference)
            said.append(numbers)
        far = {label: found for label, found in shares.items() if found < bound}
        said += [f"{label} does not come near: {found:.2f}" for label, found in far.items()]
        return decided, "; ".join(said)

    return decide


def _few(ours: Array, theirs: Array) -> str:
    return "" if can_decide(ours, theirs) else ", too few runs to decide"


def _compare(measure: Measure, of: str, *, sign: int) -> Decide:
    def decide(*arms: ArmResult) -> tuple[Verdict, str]:
        *ours, reference = arms
        theirs = sign * measure(reference)
        verdicts: list[Verdict] = []
        said = []
        for arm in ours:
            values = sign * measure(arm)
            found = estimate(improvement, values, theirs)
            verdicts.append(compared(found, values, theirs, above=0.5))
            what = f"{of} {'higher' if sign > 0 else 'lower'}"
            few = _few(values, theirs)
            said.append(f"P({what} with {arm.label} than {reference.label}) = {shown(found)}{few}")
        return together(verdicts), "; ".join(said)

    return decide


def _in_range(
    measure: Measure, low: float, high: float, statistic: Callable[..., Any], *, digits: int
) -> Decide:
    def decide(arm: ArmResult) -> tuple[Verdict, str]:
        found = estimate(statistic, measure(arm))
        inside = found.low > low and found.high < high
        outside = found.high < low or found.low > high
        said = f"{arm.label}: {shown(found, digits)}"
        return ("confirmed" if inside else "refuted" if outside else "not decided"), said

    return decide

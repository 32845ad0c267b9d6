"""What the paper says, sentence by sentence, and what our runs say to it.

A claim is confirmed or refuted when a 95 % interval says so, and not decided otherwise. The claims
are those of the paper's abstract, of sections 2.1 and 6, and of the captions to its figures, in our
words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alphagrad.paper.arms import ArmResult
from alphagrad.paper.statistics import (
    Estimate,
    drawdown,
    estimate,
    improvement,
    iqm,
    ratio_of_iqms,
)

Verdict = Literal["confirmed", "refuted", "not decided"]
Arms = Mapping[str, ArmResult]
Array = NDArray[np.float64]

SOLVED = 195.0
"""CartPole's return at which gymnasium's first version of it counted as solved."""


class Judged(NamedTuple):
    """A claim, where the paper makes it, the verdict, and the numbers behind it."""

    where: str
    claim: str
    verdict: Verdict
    numbers: str


def judge(tasks: Mapping[str, Arms]) -> Iterator[Judged]:
    """Judges every claim whose runs are there; the others are not decided.

    Args:
        tasks: the reported arms of each task, by their names in the plan.
    """
    for task, where, claim, needed, decide in CLAIMS:
        arms = tasks.get(task, {})
        missing = [name for name in needed if name not in arms]
        if missing:
            said = "not run yet: " + ", ".join(missing)
            yield Judged(where, claim, "not decided", said)
        else:
            verdict, numbers = decide(*(arms[name] for name in needed))
            yield Judged(where, claim, verdict, numbers)


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
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


Decide = Callable[..., tuple[Verdict, str]]
Measure = Callable[[ArmResult], Array]


def value(arm: ArmResult) -> Array:
    """The score of each run."""
    return arm.values


def peak(arm: ArmResult) -> Array:
    """The highest evaluation of each run."""
    return np.asarray(arm.returns[1].max(1))


def over_training(arm: ArmResult) -> Array:
    """The mean of all evaluations of each run: who learns faster has more, whatever the end."""
    return np.asarray(arm.returns[1].mean(1))


def fall(arm: ArmResult) -> Array:
    """The deepest drawdown of each run."""
    return np.array([drawdown(curve) for curve in arm.returns[1]])


def early(arm: ArmResult) -> Array:
    """Mean return of each run's first fifth."""
    returns = arm.returns[1]
    return np.asarray(returns[:, : max(returns.shape[1] // 5, 1)].mean(1))


def late_metric(name: str, share: float = 0.25) -> Measure:
    """The mean of a metric over the last part of each run."""

    def measure(arm: ArmResult) -> Array:
        table = arm.series(name)[1]
        return np.asarray(table[:, -max(int(table.shape[1] * share), 1) :].mean(1))

    return measure


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

    def decide(arm: ArmResult) -> tuple[Verdict, str]:
        found = estimate(iqm, measure(arm))
        inside = found.low > low and found.high < high
        outside = found.high < low or found.low > high
        said = f"{arm.label}: {shown(found, 0)}"
        return ("confirmed" if inside else "refuted" if outside else "not decided"), said

    return decide


def share(measure: Measure, bound: float, *, at_least: bool) -> Decide:
    """The first arms reach, or stay under, a share of the last one's interquartile mean."""

    def decide(*arms: ArmResult) -> tuple[Verdict, str]:
        *ours, reference = arms
        verdicts, said = [], []
        for arm in ours:
            found = estimate(ratio_of_iqms, measure(arm), measure(reference))
            one = verdict(found, above=bound)
            if not at_least:
                swap: dict[Verdict, Verdict] = {"confirmed": "refuted", "refuted": "confirmed"}
                one = swap.get(one, one)
            verdicts.append(one)
            said.append(f"{arm.label}: {shown(found)} of {reference.label}'s")
        return together(verdicts), "; ".join(said)

    return decide


def _compare(measure: Measure, of: str, *, sign: int) -> Decide:
    def decide(*arms: ArmResult) -> tuple[Verdict, str]:
        *ours, reference = arms
        theirs = sign * measure(reference)
        verdicts, said = [], []
        for arm in ours:
            found = estimate(improvement, sign * measure(arm), theirs)
            verdicts.append(verdict(found, above=0.5))
            word = "higher" if sign > 0 else "lower"
            said.append(f"P({of} {word} with {arm.label} than {reference.label}) = {shown(found)}")
        return together(verdicts), "; ".join(said)

    return decide


_DQN, _TD3, _PPO = "6, DQN", "6, TD3", "6, PPO"
_OF_DQN = ("alpha93", "alpha186", "alpha279")
_OF_PPO = ("alpha98", "alpha196", "alpha294")
_TUNED_TD3 = ("alpha100", "alpha150", "alpha200", "alpha250")

Claim = tuple[str, str, str, tuple[str, ...], Decide]
CLAIMS: tuple[Claim, ...] = (
    ("dqn", _DQN, "AlphaGrad learns CartPole, with each α", _OF_DQN, above(peak, SOLVED)),
    ("dqn", _DQN, "It is less stable than Adam", (*_OF_DQN, "adam"), higher(fall, "drawdown")),
    (
        "dqn",
        _DQN,
        "α = 279 oscillates more than 93",
        ("alpha279", "alpha93"),
        higher(fall, "drawdown"),
    ),
    (
        "dqn",
        _DQN,
        "α = 93 is faster at first than 186",
        ("alpha93", "alpha186"),
        higher(early, "early return"),
    ),
    (
        "dqn",
        _DQN,
        "α = 93 is faster at first than 279",
        ("alpha93", "alpha279"),
        higher(early, "early return"),
    ),
    ("dqn", _DQN, "Adam ends higher than each α", (*_OF_DQN, "adam"), lower(value, "value")),
    (
        *("td3", _TD3, "α = 457 fails: it stays under half of Adam"),
        *(("alpha457", "adam"), share(value, 0.5, at_least=False)),
    ),
    (
        *("td3", _TD3, "α from 100 to 250 comes near Adam's peak: 0.9 of it at least"),
        *((*_TUNED_TD3, "adam"), share(peak, 0.9, at_least=True)),
    ),
    (
        *("td3", _TD3, "α from 100 to 250 is smoother than Adam"),
        *((*_TUNED_TD3, "adam"), lower(fall, "drawdown")),
    ),
    ("ppo", _PPO, "Each α is far above Adam", (*_OF_PPO, "adam"), higher(value, "value")),
    ("ppo", _PPO, "α = 98 goes above 3,000", ("alpha98",), above(value, 3_000)),
    ("ppo", _PPO, "Adam stays near 1,500 (± 300)", ("adam",), between(value, 1_200, 1_800)),
    (
        *("ppo", _PPO, "AlphaGrad explains more of the variance, late in the training"),
        *(
            (*_OF_PPO, "adam"),
            higher(late_metric("losses/explained_variance"), "explained variance"),
        ),
    ),
    (
        *("ppo", _PPO, "Its entropy falls faster: it is lower late in the training"),
        *((*_OF_PPO, "adam"), lower(late_metric("losses/entropy"), "entropy")),
    ),
    (
        *("ppo", _PPO, "Its policy moves further: the mean KL divergence of all updates is larger"),
        *((*_OF_PPO, "adam"), higher(late_metric("losses/approx_kl", 1.0), "KL")),
    ),
    (
        *("ppo", "2.1", "k between 1 and 3 is a good start: no worse than k = 0.3"),
        *(("k1", "k2", "k3", "k03"), share(value, 0.95, at_least=True)),
    ),
    (
        *(
            "ppo",
            "abstract",
            "What α is best has to be found by trials: search beats the scheduler",
        ),
        *(("tuned", "saturation"), higher(value, "value")),
    ),
    (
        *("dqn", "abstract", "The same on CartPole"),
        *(("tuned", "saturation"), higher(value, "value")),
    ),
)

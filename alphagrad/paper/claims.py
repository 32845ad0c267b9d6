"""What the paper says, and what our prototype suggested, sentence by sentence, with verdicts.

A claim is confirmed or refuted when a 95 % interval says so, and not decided otherwise. The paper's
claims are those of its abstract, of sections 2.1, 6 and 7.3, and of the captions to its figures, in
our words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from alphagrad.paper.arms import ArmResult
from alphagrad.paper.measures import early, escaped, fall, late_metric, over_training, peak, value
from alphagrad.paper.verdicts import (
    Decide,
    Verdict,
    above,
    between,
    higher,
    lower,
    proportion,
    share,
)

SOLVED = 195.0
"""CartPole's return at which gymnasium's first version of it counted as solved."""


class Claim(NamedTuple):
    """A claim: of which task, made where, in what words, about which arms, and its decision."""

    task: str
    where: str
    says: str
    arms: tuple[str, ...]
    decide: Decide


class Judged(NamedTuple):
    """A claim, where it is made, the verdict, and the numbers behind it."""

    where: str
    claim: str
    verdict: Verdict
    numbers: str


def judge(
    claims: tuple[Claim, ...], tasks: Mapping[str, Mapping[str, ArmResult]]
) -> Iterator[Judged]:
    """Judges every claim whose runs are there; the others are not decided.

    Args:
        claims: which.
        tasks: the reported arms of each task, by their names in the plan.
    """
    for claim in claims:
        arms = tasks.get(claim.task, {})
        missing = [name for name in claim.arms if name not in arms]
        if missing:
            said = "not run yet: " + ", ".join(missing)
            yield Judged(claim.where, claim.says, "not decided", said)
        else:
            verdict, numbers = claim.decide(*(arms[name] for name in claim.arms))
            yield Judged(claim.where, claim.says, verdict, numbers)


_DQN, _TD3, _PPO = "6, DQN", "6, TD3", "6, PPO"
_OF_DQN = ("alpha93", "alpha186", "alpha279")
_OF_PPO = ("alpha98", "alpha196", "alpha294")
_TUNED_TD3 = ("alpha100", "alpha150", "alpha200", "alpha250")

OF_PAPER = (
    Claim("dqn", _DQN, "AlphaGrad learns CartPole, with each α", _OF_DQN, above(peak, SOLVED)),
    Claim("dqn", _DQN, "It is less stable than Adam", (*_OF_DQN, "adam"), higher(fall, "drawdown")),
    Claim(
        "dqn",
        _DQN,
        "α = 279 oscillates more than 93",
        ("alpha279", "alpha93"),
        higher(fall, "drawdown"),
    ),
    Claim(
        "dqn",
        _DQN,
        "α = 93 is faster at first than 186",
        ("alpha93", "alpha186"),
        higher(early, "early return"),
    ),
    Claim(
        "dqn",
        _DQN,
        "α = 93 is faster at first than 279",
        ("alpha93", "alpha279"),
        higher(early, "early return"),
    ),
    Claim("dqn", _DQN, "Adam ends higher than each α", (*_OF_DQN, "adam"), lower(value, "value")),
    Claim(
        "td3",
        _TD3,
        "α = 457 fails: it stays under half of Adam",
        ("alpha457", "adam"),
        share(value, 0.5, at_least=False),
    ),
    Claim(
        "td3",
        _TD3,
        "α from 100 to 250 comes near Adam's peak: 0.9 of it at least",
        (*_TUNED_TD3, "adam"),
        share(peak, 0.9, at_least=True),
    ),
    Claim(
        "td3",
        _TD3,
        "α from 100 to 250 is smoother than Adam",
        (*_TUNED_TD3, "adam"),
        lower(fall, "drawdown"),
    ),
    Claim("ppo", _PPO, "Each α is far above Adam", (*_OF_PPO, "adam"), higher(value, "value")),
    Claim("ppo", _PPO, "α = 98 goes above 3,000", ("alpha98",), above(value, 3_000)),
    Claim("ppo", _PPO, "Adam stays near 1,500 (± 300)", ("adam",), between(value, 1_200, 1_800)),
    Claim(
        "ppo",
        _PPO,
        "AlphaGrad explains more of the variance, late in the training",
        (*_OF_PPO, "adam"),
        higher(late_metric("losses/explained_variance"), "explained variance"),
    ),
    Claim(
        "ppo",
        _PPO,
        "Its entropy falls faster: it is lower late in the training",
        (*_OF_PPO, "adam"),
        lower(late_metric("losses/entropy"), "entropy"),
    ),
    Claim(
        "ppo",
        _PPO,
        "Its policy moves further: the mean KL divergence of all updates is larger",
        (*_OF_PPO, "adam"),
        higher(late_metric("losses/approx_kl", 1.0), "KL"),
    ),
    Claim(
        "ppo",
        "2.1",
        "k between 1 and 3 is a good start: no worse than k = 0.3",
        ("k1", "k2", "k3", "k03"),
        share(value, 0.95, at_least=True),
    ),
    Claim(
        "dqn",
        "2.1",
        "The same on CartPole, over the training",
        ("k1", "k2", "k3", "k03"),
        share(over_training, 0.95, at_least=True),
    ),
    Claim(
        "ppo",
        "7.3",
        "Saturation should be low early and high late: that ends higher than the reverse",
        ("rising", "falling"),
        higher(value, "value"),
    ),
    Claim(
        "dqn",
        "7.3",
        "The same on CartPole, over the training",
        ("rising", "falling"),
        higher(over_training, "mean return"),
    ),
    Claim(
        "ppo",
        "abstract",
        "What α is best has to be found by trials: search beats the scheduler",
        ("tuned", "saturation"),
        higher(value, "value"),
    ),
    Claim(
        "dqn",
        "abstract",
        "The same on CartPole",
        ("tuned", "saturation"),
        higher(value, "value"),
    ),
)
"""What the paper says."""

OF_PROTOTYPE = (
    Claim(
        "ppo",
        "HalfCheetah",
        "One seed in four escapes to 2,800 under Adam (0.15 to 0.35 of them)",
        ("adam",),
        proportion(escaped, 0.15, 0.35),
    ),
    Claim("ppo", "HalfCheetah", "k = 0.3 beats Adam", ("k03", "adam"), higher(value, "value")),
    Claim("ppo", "HalfCheetah", "k = 0.3 beats k = 1", ("k03", "k1"), higher(value, "value")),
    Claim(
        "dqn",
        "CartPole",
        "k = 0.3 beats k = 1, over the training",
        ("k03", "k1"),
        higher(over_training, "mean return"),
    ),
    Claim(
        "ppo",
        "HalfCheetah",
        "The norm without tanh does as well as k = 0.3: 0.95 of it at least",
        ("norm-alone", "k03"),
        share(value, 0.95, at_least=True),
    ),
    Claim(
        "ppo",
        "HalfCheetah",
        "SaturationScheduler's defaults saturate too much: they end below k = 0.3",
        ("saturation", "k03"),
        lower(value, "value"),
    ),
    Claim(
        "dqn",
        "CartPole",
        "They are below k = 0.3, over the training",
        ("saturation", "k03"),
        lower(over_training, "mean return"),
    ),
)
"""What runs of a prototype, four to eight of each kind, suggested before these."""

"""What the paper says, sentence by sentence, in our words.

Its abstract, sections 2.1, 6 and 7.3, and the captions to its figures.
"""

from __future__ import annotations

from alphagrad.paper.claims import Claim
from alphagrad.paper.measures import (
    KL,
    early,
    fall,
    fall_share,
    late_metric,
    over_training,
    peak,
    value,
)
from alphagrad.paper.verdicts import above, among, between, higher, lower, share

NEAR = 0.9
SOLVED = 195.0
"""CartPole's return at which gymnasium's first version of it counted as solved."""

_DQN, _TD3, _PPO = "6, DQN", "6, TD3", "6, PPO"
_OF_DQN = ("alpha93", "alpha186", "alpha279")
_OF_PPO = ("alpha98", "alpha196", "alpha294")
_TUNED_TD3 = ("alpha100", "alpha250")
"""Those with more than one run."""

OF_PAPER = (
    Claim(
        "dqn",
        _DQN,
        f"AlphaGrad learns CartPole, with each α: a run's best evaluation is above {SOLVED:.0f}",
        _OF_DQN,
        above(peak, SOLVED),
    ),
    Claim("dqn", _DQN, "It is less stable than Adam", (*_OF_DQN, "adam"), higher(fall, "drawdown")),
    *(
        Claim("dqn", _DQN, says, (f"alpha{more}", f"alpha{less}"), higher(fall, "drawdown"))
        for says, more, less in (
            ("It oscillates more the higher α is: 186 more than 93", 186, 93),
            ("279 more than 186", 279, 186),
            ("279 more than 93", 279, 93),
        )
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
        "α = 457 fails at the best of its η: it stays under half of Adam",
        ("alpha457", "adam"),
        share(value, 0.5, at_least=False),
    ),
    Claim(
        "td3",
        _TD3,
        "α from 100 to 250, at the best of its η, comes near Adam's peak: 0.9 of it at least",
        (*_TUNED_TD3, "adam"),
        share(peak, NEAR, at_least=True),
    ),
    Claim(
        "td3",
        _TD3,
        "It is smoother than Adam there (what does not come near has nothing to fall from)",
        (*_TUNED_TD3, "adam"),
        among(peak, NEAR, lower(fall_share, "drawdown as a share of the peak")),
    ),
    Claim("ppo", _PPO, "Each α is far above Adam", (*_OF_PPO, "adam"), higher(value, "value")),
    Claim("ppo", _PPO, "α = 98 goes above 3,000", ("alpha98",), above(value, 3_000)),
    Claim("ppo", _PPO, "Adam stays near 1,500 (± 300)", ("adam",), between(value, 1_200, 1_800)),
    Claim(
        "ppo",
        _PPO,
        "α = 98 is far above Adam where a time limit is an end, as in CleanRL",
        ("alpha98-ended", "adam-ended"),
        higher(value, "value"),
    ),
    Claim(
        "ppo",
        _PPO,
        "There Adam stays near 1,500 (± 300)",
        ("adam-ended",),
        between(value, 1_200, 1_800),
    ),
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
        higher(late_metric(KL, 1.0), "KL"),
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
        "What α is best has to be found by trials: search beats the scheduler with the paper's τ",
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
    Claim(
        "td3",
        "abstract",
        "The same on Hopper",
        ("tuned", "saturation"),
        higher(value, "value"),
    ),
)
"""What the paper says."""

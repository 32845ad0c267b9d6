"""What we said ourselves: a prototype's findings, and what the schedulers are for."""

from __future__ import annotations

from alphagrad.paper.claims import Claim
from alphagrad.paper.measures import escaped, over_training, value
from alphagrad.paper.verdicts import higher, lower, proportion, share

TASKS = {"dqn": "CartPole", "ppo": "HalfCheetah", "td3": "Hopper"}
_BESIDE_ADAM = tuple(
    (task, where, "adam-chosen" if task == "dqn" else "adam") for task, where in TASKS.items()
)
"""Adam at its best learning rate: on HalfCheetah and Hopper that is an arm of the paper's."""

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
        "SaturationScheduler with τ = 2.5 saturates too much: it ends below k = 0.3",
        ("saturation", "k03"),
        lower(value, "value"),
    ),
    Claim(
        "dqn",
        "CartPole",
        "It is below k = 0.3, over the training",
        ("saturation", "k03"),
        lower(over_training, "mean return"),
    ),
)
"""What runs of a prototype, four to eight of each kind, suggested before these."""

OF_SCHEDULER = (
    *(
        Claim(
            task,
            where,
            "The defaults need no search for α: they reach 0.95 of it at least",
            ("soft", "tuned"),
            share(value, 0.95, at_least=True),
        )
        for task, where in TASKS.items()
    ),
    *(
        Claim(
            task,
            where,
            "Their τ = 0.5 is better than the paper's 2.5, over the training",
            ("soft", "saturation"),
            higher(over_training, "mean return"),
        )
        for task, where in TASKS.items()
    ),
    *(
        Claim(
            task, where, "The defaults end higher than Adam", ("soft", adam), higher(value, "value")
        )
        for task, where, adam in _BESIDE_ADAM
    ),
    Claim(
        "ppo",
        "HalfCheetah",
        "It is their step that is too long: with a third of η they end higher",
        ("soft-lower", "soft"),
        higher(value, "value"),
    ),
    Claim(
        "ppo",
        "HalfCheetah",
        "With a third of η they reach 0.95 of the search at least",
        ("soft-lower", "tuned"),
        share(value, 0.95, at_least=True),
    ),
    Claim(
        "ppo",
        "HalfCheetah",
        "With a third of η they end higher than Adam",
        ("soft-lower", "adam"),
        higher(value, "value"),
    ),
    *(
        Claim(
            task, where, "The search ends higher than Adam", ("tuned", adam), higher(value, "value")
        )
        for task, where, adam in _BESIDE_ADAM
    ),
)
"""What `SaturationScheduler` is for, and whether its τ is right."""

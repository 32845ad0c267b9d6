"""Whether α needs tuning: what needs no search for it, beside the search."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from alphagrad.paper.arms import ArmResult, adam_of, layer_sizes, named
from alphagrad.paper.markdown import table
from alphagrad.paper.measures import KL, late_metric, over_training, steepness
from alphagrad.paper.plan import Plan
from alphagrad.paper.statistics import estimate, improvement, ratio_of_iqms
from alphagrad.paper.verdicts import shown

WITHOUT_SEARCH, REFERENCE = ("soft", "soft-lower", "saturation", "k03", "k1"), "tuned"
ANSWER = """\
What needs no search for α, beside the search over α and η. The learning rate of each was the best
of a few, but where its name says it; `SaturationScheduler` without a τ has its defaults. The aim is
0.95 on each task. The last column is of the layers, each in the median over the training: tanh
bends little where k is below 0.3, and all but takes signs above 3. On HalfCheetah a share above 1
is the search's shortfall: some seeds escape and others do not, and a search of 20 runs follows them
as much as α. The searches of CartPole and HalfCheetah have the same ten random draws to begin with,
as their seed and ranges are the same, and both chose the third."""
BEFORE = """\
**Before and after.** At first the scheduler counted as the paper does, with τ = 2.5, which holds α
between √d and 2.5·√d in the networks of CartPole and HalfCheetah, by the last column. On CartPole
that lost against 0.3·√d, where next to nothing is above 2.5, and the search chose less still. So
what has to stay small there is not what tanh cuts off but what it bends. The default is τ = 0.5
now, above which tanh bends by 8 % or more; the other options are as they were. On HalfCheetah, its
test, neither τ is decidedly the better.

Hopper was to be its other test, and brought a second change. The first updates drive a policy to
the bounds of its tanh, where its gradient is far below ε, and the scheduler raised α against ε
until the gradient was 0. Saturation is not told of a gradient below ε any more, so α stays. After
7,000 steps at η = 1e-4 that leaves 0 of 12 policies dead, where without it 8 or 9 are
([measured](schedulers.md#below-ε)). It is no remedy for a step that is too long: of the three runs
by which the defaults' η is chosen, made anew after the change, those at 3e-5, 1e-4 and 3e-4 ended
at 170, 1,254 and 6 before and end at 174, 1,254 and 6 now; α = 457 at 3e-4, without a scheduler,
ends at 6 too."""

WHY = """\
**Where the defaults lose on HalfCheetah, and why.** They end below Adam there, and so does the
search that both are measured by. k is what it is on CartPole, so it is not α but the length of the
step, which η sets. How far a step moves the policy is the KL divergence of its updates, and a run's
value follows that, whatever made the step ([figure](#ppo-on-halfcheetah-v5)): from 0.13 on it
falls, and below that a run stays near 1,800 or escapes. Adam moved it by {adam} an update, in the
median, the defaults by {soft}, and the paper's α = 98 by {alpha98}. The defaults' η had been chosen
by the mean of five runs, one of which escaped. With a third of it, thought of after these results
and run on the same seeds, the divergence is {soft-lower}, and twenty seeds do not tell the value
from Adam's. So α needed no search there, but η did, and an η that is too high looks like a wrong
α."""


def answer_section(plans: Mapping[str, Plan], tasks: Mapping[str, Mapping[str, ArmResult]]) -> str:
    """What was measured of each way to α without a search, as shares of the search's."""
    rows = []
    for task, arms in tasks.items():
        title, reference = plans[task].title, arms.get(REFERENCE)
        if reference is None:
            rows.append([title, "the search is not run yet", *[""] * 5])
            continue
        sizes, adam = layer_sizes(arms), adam_of(arms)
        for arm in [*named(arms, WITHOUT_SEARCH), *([] if adam is None else [adam])]:
            share = estimate(ratio_of_iqms, arm.values, reference.values)
            better = estimate(improvement, arm.values, reference.values)
            over = estimate(ratio_of_iqms, over_training(arm), over_training(reference))
            numbers = map(shown, (share, better, over))
            rows.append([title, arm.label, arm.chosen, *numbers, _steepness(arm, sizes)])
        k = _steepness(reference, sizes)
        rows.append([title, reference.label, reference.chosen, "1", "", "1", k])
    titles = [
        *("task", "way to α", "chosen", "share of the search's IQM"),
        *("P(higher than the search's)", "share, over the training", "k = α/√d"),
    ]
    parts = [ANSWER, table(titles, rows), BEFORE, _why(tasks["ppo"])]
    return "\n\n".join(part for part in parts if part)


def _why(arms: Mapping[str, ArmResult]) -> str:
    """The divergence of the updates, where all the arms of which something is said are there."""
    names = ("soft", "soft-lower", "adam", "alpha98")
    moved = late_metric(KL, 1.0)
    found = {arm.name: f"{np.median(moved(arm)):.2g}" for arm in named(arms, names)}
    return WHY.format_map(found) if len(found) == len(names) else ""


def _steepness(arm: ArmResult, sizes: Mapping[str, int]) -> str:
    """From the least steep layer to the steepest, each in the median over the training."""
    if not arm.layers:
        return ""
    ks = [np.median(steepness(arm, *layer)[1]) for layer in sizes.items()]
    ends = dict.fromkeys(f"{k:.2g}" for k in (min(ks), max(ks))) if ks else ()
    return " to ".join(ends)

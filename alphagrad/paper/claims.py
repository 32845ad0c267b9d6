"""Claims about the arms of a task, each with its verdict.

A claim is confirmed or refuted when a 95 % interval says so, and not decided otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, get_args

from alphagrad.paper.arms import ArmResult
from alphagrad.paper.markdown import table
from alphagrad.paper.verdicts import Decide, Verdict


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


def judge(claims: Sequence[Claim], tasks: Mapping[str, Mapping[str, ArmResult]]) -> list[Judged]:
    """Judges every claim whose runs are there.

    Args:
        claims: which.
        tasks: the reported arms of each task, by their names in the plan.
    """
    judged = []
    for claim in claims:
        arms = tasks.get(claim.task, {})
        missing = [name for name in claim.arms if name not in arms]
        if missing:
            said: tuple[Verdict, str] = ("not run", "no complete run of " + ", ".join(missing))
        else:
            said = claim.decide(*(arms[name] for name in claim.arms))
        judged.append(Judged(claim.where, claim.says, *said))
    return judged


def verdicts_table(judged: Sequence[Judged]) -> str:
    """The claims, each in a row with its verdict."""
    rows = [[one.where, one.claim, f"**{one.verdict}**", one.numbers] for one in judged]
    return table(["where", "claim", "verdict", "numbers"], rows)


def counts_table(judged: Mapping[str, Sequence[Judged]]) -> str:
    """How many claims of each kind have which verdict."""
    verdicts: tuple[Verdict, ...] = get_args(Verdict)
    rows = []
    for kind, claims in judged.items():
        counts = Counter(one.verdict for one in claims)
        rows.append([kind, *(str(counts[verdict]) for verdict in verdicts)])
    return table(["claims", *verdicts], rows)

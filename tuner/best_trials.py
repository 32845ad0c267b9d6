"""The best trials of a study: one, or with several objectives those that no other one beats."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from alphagrad.tuner.models import StudyRow, TrialRow

MOST_BEST = 100
"""So many trials of a Pareto front are shown at most."""

# Built once, since building one takes longer than to execute it.
_OF_STUDY = TrialRow.study_id == bindparam("study")
_FRONT = (
    select(TrialRow).where(_OF_STUDY, TrialRow.on_front).order_by(TrialRow.number).limit(MOST_BEST)
)
_FEASIBLE = select(TrialRow).where(_OF_STUDY, TrialRow.state == "COMPLETE", TrialRow.feasible)
_BEST = {
    "maximize": _FEASIBLE.order_by(TrialRow.value.desc(), TrialRow.number).limit(bindparam("most")),
    "minimize": _FEASIBLE.order_by(TrialRow.value.asc(), TrialRow.number).limit(bindparam("most")),
}


def dominates(one: Sequence[float], other: Sequence[float], directions: Sequence[str]) -> bool:
    """Whether values are nowhere worse than others, and better somewhere.

    Example:
        >>> dominates([0.9, 5.0], [0.9, 7.0], ["maximize", "minimize"])
        True
        >>> dominates([0.9, 5.0], [0.8, 3.0], ["maximize", "minimize"])
        False
    """
    signs = [1.0 if direction == "minimize" else -1.0 for direction in directions]
    gaps = [sign * (a - b) for sign, a, b in zip(signs, one, other, strict=True)]
    return all(gap <= 0 for gap in gaps) and any(gap < 0 for gap in gaps)


def join_front(session: Session, trial: TrialRow) -> None:
    """Put a trial that completes on its study's Pareto front, or leave the front as it is.

    The front is kept up to date instead of sought at each look at the study, which would read all
    of its trials.

    Args:
        session: a transaction of the caller's.
        trial: complete and feasible, with its values.
    """
    # Locked, so that of two trials that end at once the second is compared with the first.
    study = session.get_one(StudyRow, trial.study_id, with_for_update=True)
    directions, values = study.spec["directions"], trial.objective_values
    assert values is not None
    front = session.scalars(
        select(TrialRow).where(TrialRow.study_id == study.id, TrialRow.on_front)
    ).all()
    if any(dominates(best.objective_values or (), values, directions) for best in front):
        return
    for best in front:
        if dominates(values, best.objective_values or (), directions):
            best.on_front = False
    trial.on_front = True


def best_trials(session: Session, study: StudyRow, *, most: int = 1) -> list[TrialRow]:
    """The complete and feasible trials that are best.

    Args:
        session: a transaction of the caller's.
        study: the study's row.
        most: of one objective at most so many, the best first.

    Returns:
        Those, of equal ones the one with the lowest number first; or with several objectives the
        Pareto front: at most ``MOST_BEST``, by number.
    """
    if study.spec.get("directions"):
        return list(session.scalars(_FRONT, {"study": study.id}))
    best = _BEST[study.spec["direction"]]
    return list(session.scalars(best, {"study": study.id, "most": most}))

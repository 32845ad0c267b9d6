"""What the values of a study say that trains one setting again and again, each with its seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from alphagrad.tuner.models import StudyRow, TrialRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The values of complete trials that differ by their seeds alone.

    Attributes:
        count: how many there are.
        mean: their mean.
        std: their standard deviation, of a sample; ``None`` of a single one.
        median: their median.
    """

    count: int
    mean: float
    std: float | None
    median: float


def spread_of(session: Session, study: StudyRow) -> Spread | None:
    """The spread of a study's values; ``None`` where it searches, and where none is complete."""
    searches = any(isinstance(value, dict) for value in study.spec["params"].values())
    if searches or study.spec.get("directions"):
        return None
    wanted = select(TrialRow.value).where(
        TrialRow.study_id == study.id, TrialRow.state == "COMPLETE", TrialRow.value.is_not(None)
    )
    values = np.array(session.scalars(wanted).all(), float)
    if not values.size:
        return None
    scale = float(np.abs(values).max()) or 1.0  # so that no square overflows
    shares = values / scale
    return Spread(
        count=values.size,
        mean=scale * float(shares.mean()),
        std=scale * float(shares.std(ddof=1)) if values.size > 1 else None,
        median=scale * float(np.median(shares)),
    )

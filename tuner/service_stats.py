"""What a monitor wants to know of a service: a few cheap queries."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from alphagrad.tuner import leases
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.models import CLAIMABLE_STUDY, StudyRow, TraceRow, TrialRow
from alphagrad.tuner.service_models import WorkerRow

MOST_TRIALS = 50
"""Of so many running trials α and saturation are given, those that started last."""
FINISHED_PAGE = 10_000
OVERLAP_SECONDS = 60.0
"""A transaction that commits this long after its time of writing is still seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a running trial trains: means over its layers at the last sampled step."""

    study: str
    number: int
    alpha: float
    saturation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStats:
    """A service at one moment.

    Attributes:
        studies: by state.
        trials: by state.
        queue_seconds: how long the oldest trial that a worker could claim has waited; 0 if none
            has. Those of engine ``remote`` wait for clients.
        workers: by engine, those that renewed their leases lately.
        slots: by engine, their CPUs and how many of them are in use; the same of GPUs.
        training: of running trials that watch an optimizer.
    """

    studies: dict[str, int]
    trials: dict[str, int]
    queue_seconds: float
    workers: dict[str, int]
    slots: dict[str, tuple[int, int]]
    gpus: dict[str, tuple[int, int]]
    training: list[Training]


def service_stats(database: Database) -> ServiceStats:
    """Look at the service."""
    with database.read() as session:
        by_study = select(StudyRow.state, func.count()).group_by(StudyRow.state)
        by_trial = select(TrialRow.state, func.count()).group_by(TrialRow.state)
        of_workers = (
            select(
                WorkerRow.engine,
                func.count(),
                func.sum(WorkerRow.slots),
                func.sum(WorkerRow.slots_used),
                func.sum(WorkerRow.gpus),
                func.sum(WorkerRow.gpus_used),
            )
            .where(WorkerRow.seen_until > db_now())
            .group_by(WorkerRow.engine)
        )
        workers = session.execute(of_workers).all()
        return ServiceStats(
            studies={state: count for state, count in session.execute(by_study)},  # noqa: C416
            trials={state: count for state, count in session.execute(by_trial)},  # noqa: C416
            queue_seconds=_queue_seconds(session),
            workers={row[0]: row[1] for row in workers},
            slots={row[0]: (int(row[2]), int(row[3])) for row in workers},
            gpus={row[0]: (int(row[4]), int(row[5])) for row in workers},
            training=_training(session),
        )


def _queue_seconds(session: Session) -> float:
    """How long a worker has been waited for: by a trial to be taken up again, or a free slot."""
    now = session.scalar(select(db_now())) or 0.0
    for_workers = StudyRow.state.in_(CLAIMABLE_STUDY) & StudyRow.id.not_in(leases.remote_studies())
    running = (
        select(func.count())
        .where(TrialRow.study_id == StudyRow.id, TrialRow.state == "RUNNING")
        .scalar_subquery()
    )
    # Of the trials started last, as many as run at a time: when one of them started or ended.
    latest = (
        select(func.max(func.coalesce(TrialRow.finished_at, TrialRow.started_at)))
        .where(
            TrialRow.study_id == StudyRow.id,
            TrialRow.slot >= StudyRow.next_slot - StudyRow.parallelism,
        )
        .scalar_subquery()
    )
    free = select(func.min(func.coalesce(latest, StudyRow.created_at))).where(
        for_workers,
        StudyRow.next_slot < StudyRow.n_trials,
        running < StudyRow.parallelism,
    )
    waiting = (
        select(func.min(case((TrialRow.not_before.is_(None), now), else_=TrialRow.not_before)))
        .join(StudyRow, StudyRow.id == TrialRow.study_id)
        .where(
            TrialRow.state == "WAITING",
            for_workers,
            or_(TrialRow.not_before.is_(None), TrialRow.not_before <= now),
        )
    )
    since = [moment for query in (free, waiting) if (moment := session.scalar(query)) is not None]
    return max((now - moment for moment in since), default=0.0)


def _training(session: Session) -> list[Training]:
    running = session.execute(
        select(TrialRow.id, TrialRow.number, StudyRow.name)
        .join(StudyRow, StudyRow.id == TrialRow.study_id)
        .where(TrialRow.state == "RUNNING", TrialRow.number.is_not(None))
        .order_by(TrialRow.id.desc())
        .limit(MOST_TRIALS)
    ).all()
    found = []
    for row in running:
        last = session.execute(
            select(TraceRow.alpha, TraceRow.saturation)
            .where(TraceRow.trial_id == row.id)
            .order_by(TraceRow.step.desc())
            .limit(1)
        ).first()
        if last is not None:
            found.append(
                Training(
                    study=row.name,
                    number=row.number or 0,
                    alpha=_mean(np.frombuffer(last.alpha, np.float32)),
                    saturation=_mean(np.frombuffer(last.saturation, np.float32)),
                )
            )
    return found


def _mean(values: NDArray[np.float32]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean(dtype=np.float64)) if len(known) else float("nan")


@dataclass(slots=True)
class FinishedTrials:
    """Gives each trial that ends from now on, once.

    Args:
        database: the database.
    """

    database: Database
    _since: float | None = None
    _seen: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Trials that ended before are left out."""
        with self.database.read() as session:
            now = session.scalar(select(db_now())) or 0.0
            self._since = now
            recent = select(TrialRow.id, TrialRow.finished_at).where(
                TrialRow.finished_at > now - OVERLAP_SECONDS
            )
            self._seen = {row.id: row.finished_at or now for row in session.execute(recent)}

    def new(self) -> list[tuple[str, float]]:
        """State and seconds of those that ended since the last call."""
        found: list[tuple[str, float]] = []
        since = self._since or 0.0
        while True:
            with self.database.read() as session:
                rows = session.execute(
                    select(TrialRow.id, TrialRow.state, TrialRow.started_at, TrialRow.finished_at)
                    .where(TrialRow.finished_at > since - OVERLAP_SECONDS)
                    .order_by(TrialRow.finished_at)
                    .limit(FINISHED_PAGE)
                ).all()
            for row in rows:
                assert row.finished_at is not None
                if row.id not in self._seen:
                    self._seen[row.id] = row.finished_at
                    found.append((row.state, row.finished_at - (row.started_at or row.finished_at)))
            if not rows:
                break
            last = rows[-1].finished_at or since
            if len(rows) < FINISHED_PAGE:
                self._since = max(since, last)
                break
            since = last + OVERLAP_SECONDS  # the page was full: go on behind it
        oldest = (self._since or 0.0) - OVERLAP_SECONDS
        self._seen = {key: at for key, at in self._seen.items() if at > oldest}
        return found

"""Which trial comes next: studies by priority and fair share, and in a study the oldest trial."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session

from alphagrad.tuner import quotas
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.models import CLAIMABLE_STUDY, MemberRow, StudyRow, TrialRow
from alphagrad.tuner.resources import Room


def candidates(
    database: Database,
    *,
    tasks: Collection[str],
    study: str | None,
    engine: str,
    room: Room | None = None,
    quota: int | None = None,
    without: Collection[int] = (),
) -> list[int]:
    """Row ids of the studies that seem to have a trial to claim, in the order to try them.

    Nothing is locked here, so that looking for work is free while there is none. ``quota`` is how
    many trials of one API key run at a time, where the key has no quota of its own; ``without`` is
    row ids of studies to leave alone.
    """
    query = _CANDIDATES if study is None else _CANDIDATES.where(StudyRow.name == study)
    with database.read() as session:
        rows = [
            row
            for row in session.execute(query)
            if row.spec["task"] in tasks
            and row.spec.get("engine", "optuna") == engine
            and row.id not in without
        ]
        owners = {row.owner for row in rows if row.owner is not None}
        waiting = quotas.at_limit(session, owners, default=quota)
    found = [(row.id, row.spec) for row in rows if row.owner not in waiting]
    return [study_id for study_id, _ in found] if room is None else room.admit(found)


def is_ready() -> ColumnElement[bool]:
    """Whether a trial waits, and its pause before a retry is over."""
    paused = func.coalesce(TrialRow.not_before, 0.0) > db_now()
    return and_(TrialRow.state == "WAITING", ~paused)


def _candidates() -> Select[tuple[int, dict[str, Any], str | None]]:
    running = (
        select(TrialRow.study_id, func.count().label("count"))
        .where(TrialRow.state == "RUNNING")
        .group_by(TrialRow.study_id)
        .subquery()
    )
    count = func.coalesce(running.c.count, 0)
    return (
        select(StudyRow.id, StudyRow.spec, StudyRow.owner)
        .outerjoin(running, running.c.study_id == StudyRow.id)
        .where(
            StudyRow.state.in_(CLAIMABLE_STUDY),
            count < StudyRow.parallelism,
            (StudyRow.next_slot < StudyRow.n_trials)
            | select(TrialRow.id).where(TrialRow.study_id == StudyRow.id, is_ready()).exists(),
        )
        .order_by(StudyRow.priority.desc(), count, StudyRow.id)
    )


_CANDIDATES = _candidates()
"""Built once: that takes longer than to execute it."""


def next_trial(session: Session, study: StudyRow, *, quota: int | None = None) -> TrialRow | None:
    """A study's next trial to claim: one that waits, or else one of a new slot.

    In a population the member that has trained least comes first, among equals the one with the
    fewest attempts. Else one that exploits a member behind it, over and over, could keep that one
    from ever having its turn.

    Args:
        session: the transaction of the claim.
        study: the study's row, locked.
        quota: how many trials of its owner run at a time, where the owner's key does not say.

    Returns:
        The trial, or ``None`` if none is to start now.
    """
    of_study = TrialRow.study_id == study.id
    running = session.scalar(
        select(func.count()).where(of_study, TrialRow.state == "RUNNING").select_from(TrialRow)
    )
    if (running or 0) >= study.parallelism:
        return None
    owners = [] if study.owner is None else [study.owner]
    if quotas.at_limit(session, owners, default=quota, lock=True):
        return None
    is_new_left = study.next_slot < study.n_trials
    waiting = select(TrialRow).where(of_study, is_ready())
    if study.spec.get("population"):
        trained = func.coalesce(MemberRow.step, 0)
        waiting = waiting.outerjoin(MemberRow, MemberRow.trial_id == TrialRow.id)
        waiting = waiting.order_by(trained, TrialRow.attempt)
    if not (is_new_left and study.spec.get("population")):
        found = session.scalar(waiting.order_by(TrialRow.id).limit(1))
        if found is not None:
            return found
    if not is_new_left:
        return None
    trial = TrialRow(study_id=study.id, slot=study.next_slot, state="WAITING", fence=0, attempt=0)
    study.next_slot += 1
    if study.queue:
        trial.fixed_params, *study.queue = study.queue
    session.add(trial)
    return trial

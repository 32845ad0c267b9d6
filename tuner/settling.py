"""Ending the studies that have nothing left to run."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Numeric, and_, cast, func, or_, select
from sqlalchemy.orm import Session

from alphagrad.tuner import lease_ends
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.models import OPEN_STUDY, StudyRow, TrialRow
from alphagrad.tuner.study_store import StudyStatus, say_changed, status_of


def settle(database: Database, *, studies: Collection[int] | None = None) -> list[StudyStatus]:
    """End the studies that have nothing left to run, and stop those out of time.

    A study ends when all its trials are finished and Optuna knows of each: COMPLETED if one
    trial at least gave a value, FAILED if all failed, or more than ``max_failed_trials`` did.

    Args:
        database: the database.
        studies: look at the studies with these row ids alone.

    Returns:
        The studies that ended now.
    """
    # Without a lock first: a transaction that locks waits for the disk, and mostly nothing is due.
    with database.read() as session:
        query = _DUE if studies is None else _DUE.where(StudyRow.id.in_(studies))
        due = session.scalars(query).all()
    if not due:
        return []

    def attempt(session: Session) -> list[StudyStatus]:
        ended = []
        before = {}
        for row in session.scalars(
            select(StudyRow)
            .where(StudyRow.id.in_(due), StudyRow.finished_at.is_(None))
            .order_by(StudyRow.id)
            .with_for_update()
        ).all():
            before[row] = row.state
            timeout = row.spec.get("timeout")
            now = session.scalar(select(db_now())) or 0.0
            if row.state == "RUNNING" and timeout and now > (row.started_at or now) + timeout:
                row.state = "STOPPING"
                lease_ends.give_up_waiting(session, row, error="the study ran out of time")
            of_study = TrialRow.study_id == row.id
            too_many = _failed_too_often(session, row)
            if row.state in OPEN_STUDY and too_many:
                row.state = "STOPPING"
                lease_ends.give_up_waiting(
                    session, row, error="too many trials of the study failed"
                )
            if row.state in OPEN_STUDY and row.next_slot < row.n_trials:
                continue
            # Nobody is told of a trial before its end, so this finds the unfinished ones too.
            untold = select(TrialRow.id).where(of_study, TrialRow.told.is_(False))
            if session.scalar(untold.limit(1)) is not None:
                continue
            if row.state != "CANCELLED":
                good = select(TrialRow.id).where(
                    of_study, TrialRow.state.in_(("COMPLETE", "PRUNED"))
                )
                gave_value = session.scalar(good.limit(1)) is not None
                good_end = row.next_slot == 0 or (gave_value and not too_many)
                row.state = "COMPLETED" if good_end else "FAILED"
            row.finished_at = now
            session.flush()
            ended.append(status_of(session, row))
        for row, state in before.items():
            if row.state != state or row.finished_at is not None:
                say_changed(session, row)
        return ended

    return database.retry(attempt)


def _is_due() -> ColumnElement[bool]:
    """Whether a study may have to be ended or stopped."""
    of_study = TrialRow.study_id == StudyRow.id
    untold = select(TrialRow.id).where(of_study, TrialRow.told.is_(False)).exists()
    failed = select(func.count()).where(of_study, TrialRow.state == "FAIL").scalar_subquery()
    timeout = StudyRow.spec["timeout"].as_float()
    # Of any size: a number beyond the cast would be an error in the turns of all workers.
    most_failed = cast(StudyRow.spec["max_failed_trials"].as_string(), Numeric)
    starts_no_more = or_(
        StudyRow.state.in_(("STOPPING", "CANCELLED")), StudyRow.next_slot >= StudyRow.n_trials
    )
    return and_(
        StudyRow.state.in_((*OPEN_STUDY, "STOPPING", "CANCELLED")),
        StudyRow.finished_at.is_(None),
        or_(
            and_(starts_no_more, ~untold),
            and_(StudyRow.state == "RUNNING", db_now() > StudyRow.started_at + timeout),
            and_(StudyRow.state.in_(OPEN_STUDY), most_failed.is_not(None), failed > most_failed),
        ),
    )


_DUE = select(StudyRow.id).where(_is_due())
"""Built once: that takes longer than to execute it."""


def _failed_too_often(session: Session, row: StudyRow) -> bool:
    most = row.spec.get("max_failed_trials")
    if most is None:
        return False
    failed = select(func.count()).where(TrialRow.study_id == row.id, TrialRow.state == "FAIL")
    return (session.scalar(failed) or 0) > int(most)

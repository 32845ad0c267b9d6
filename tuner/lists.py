"""Lists of studies and of trials, filtered, in pages that cost the same wherever they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from alphagrad.tuner.database import Database
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.study_store import StudyStatus, by_name, status_of

Order = Literal["oldest", "newest"]


def list_studies(
    database: Database,
    *,
    after: int = 0,
    limit: int = 100,
    order: Order = "oldest",
    states: Collection[str] | None = None,
    task: str | None = None,
    name: str | None = None,
) -> list[StudyStatus]:
    """Studies in the order of submission, or the other way round.

    Args:
        database: the database.
        after: start behind the study with this row id, in the list's order.
        limit: at most so many.
        order: the oldest first, or the newest.
        states: only studies in one of these states.
        task: only studies of this task.
        name: only studies whose name matches this glob: ``*`` is any text, ``?`` one character.
    """
    query = select(StudyRow).where(
        StudyRow.id > after if order == "oldest" else StudyRow.id < after
    )
    if states is not None:
        query = query.where(StudyRow.state.in_(states))
    if task is not None:
        query = query.where(StudyRow.spec["task"].as_string() == task)
    if name is not None:
        query = query.where(_matches(name, sqlite=database.is_sqlite))
    by_id = StudyRow.id.asc() if order == "oldest" else StudyRow.id.desc()
    with database.read() as session:
        rows = session.scalars(query.order_by(by_id).limit(limit)).all()
        return [status_of(session, row) for row in rows]


def list_trials(
    database: Database,
    study: str,
    *,
    after: int = -1,
    limit: int = 100,
    states: Collection[str] | None = None,
    feasible: bool | None = None,
) -> list[TrialRow]:
    """A study's trials by number; a slot whose trial has no number yet is left out.

    Args:
        database: the database.
        study: the study's name.
        after: start behind the trial of this number.
        limit: at most so many.
        states: only trials in one of these states.
        feasible: only trials that are feasible, or that are not.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    with database.read() as session:
        row = by_name(session, study)
        wanted: list[ColumnElement[bool]] = [TrialRow.study_id == row.id, TrialRow.number > after]
        if feasible is not None:
            # As the partial index has it.
            wanted.append(~TrialRow.feasible if not feasible else and_(TrialRow.feasible))
        if states is None:
            return _trials(session, wanted, limit)
        # Each state's trials are in order along an index; all of several states' are not.
        found = [
            trial
            for state in sorted(set(states))
            for trial in _trials(session, [*wanted, TrialRow.state == state], limit)
        ]
        return sorted(found, key=lambda trial: trial.number or 0)[:limit]


def _trials(session: Session, wanted: list[ColumnElement[bool]], limit: int) -> list[TrialRow]:
    query = select(TrialRow).where(*wanted).order_by(TrialRow.number).limit(limit)
    return list(session.scalars(query))


def _matches(glob: str, *, sqlite: bool) -> Any:
    if sqlite:  # whose LIKE takes upper and lower case for the same
        return StudyRow.name.op("GLOB")(glob.replace("[", "[[]"))
    pattern = glob.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return StudyRow.name.like(pattern.replace("*", "%").replace("?", "_"), escape="\\")

"""Questions to running trials: how what their tanh receives is distributed."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import ConflictError
from alphagrad.tuner.messages import HistogramAnswer, HistogramQuestion
from alphagrad.tuner.models import HistogramRow, StudyRow, TrialRow

KEPT_SECONDS = 60.0


def ask(database: Database, trial: TrialRow, *, layers: str, bins: int) -> int:
    """Ask a running trial; who asks the same at the same time shares the question.

    Args:
        database: the database.
        trial: the trial's row.
        layers: a glob on layer names.
        bins: how many bins.

    Returns:
        The question's id.

    Raises:
        ConflictError: the trial is not running.
    """
    with database.write() as session:
        if session.get_one(StudyRow, trial.study_id).spec.get("engine") == "remote":
            raise ConflictError(
                f"trial {trial.number} runs outside of the service and cannot be asked: its "
                "study's engine is remote"
            )
        state = session.scalar(
            select(TrialRow.state).where(TrialRow.id == trial.id).with_for_update()
        )
        if state != "RUNNING":
            raise ConflictError(
                f"trial {trial.number} is {state}: only a RUNNING trial has gradients to look at"
            )
        session.execute(
            delete(HistogramRow).where(
                HistogramRow.trial_id == trial.id,
                HistogramRow.requested_at < db_now() - KEPT_SECONDS,
            ),
            execution_options={"synchronize_session": False},
        )
        known = session.scalar(
            select(HistogramRow.id).where(
                HistogramRow.trial_id == trial.id,
                HistogramRow.state == "requested",
                HistogramRow.layers == layers,
                HistogramRow.bins == bins,
            )
        )
        if known is not None:
            return known
        row = HistogramRow(trial_id=trial.id, layers=layers, bins=bins, state="requested")
        row.requested_at = db_now()
        session.add(row)
        session.flush()
        return row.id


def read_answer(database: Database, question: int) -> HistogramRow | None:
    """What became of a question: its row once it is answered or refused, ``None`` before."""
    with database.read() as session:
        return session.scalar(
            select(HistogramRow).where(
                HistogramRow.id == question, HistogramRow.state != "requested"
            )
        )


def open_questions(
    database: Database, trial_ids: Iterable[int]
) -> list[tuple[int, HistogramQuestion]]:
    """Questions not answered yet, oldest first, as (trial row id, question)."""
    with database.read() as session:
        rows = session.scalars(
            select(HistogramRow)
            .where(HistogramRow.trial_id.in_(list(trial_ids)), HistogramRow.state == "requested")
            .order_by(HistogramRow.id)
        )
        return [(row.trial_id, HistogramQuestion(row.id, row.layers, row.bins)) for row in rows]


def record_answer(database: Database, answer: HistogramAnswer, *, trial_id: int) -> None:
    """Write down a trial's answer; nothing is left to do if nobody waits for it any more."""

    def attempt(session: Session) -> None:
        session.execute(
            update(HistogramRow)
            .where(HistogramRow.id == answer.id, HistogramRow.trial_id == trial_id)
            .where(HistogramRow.state == "requested")
            .values(
                state="answered" if answer.reason is None else "refused",
                reason=answer.reason,
                answer={
                    "step": answer.step,
                    "edges": answer.edges,
                    "counts": answer.counts,
                    "zeros": answer.zeros,
                    "tau": answer.tau,
                },
            )
        )

    database.retry(attempt)

"""Reports in Optuna's tables: stored, replaced by those of a later attempt, the last one read."""

from __future__ import annotations

import math

from optuna.trial import TrialState
from sqlalchemy import Connection, Insert, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from alphagrad.tuner.errors import StaleFenceError
from alphagrad.tuner.models import TrialRow
from alphagrad.tuner.optuna_tables import (
    REPORTS,
    SYSTEM_ATTRS,
    TRIALS,
    read_report,
    stored_report,
)

REPORTING = "alphagrad:reporting"
"""The attribute of Optuna's trial that holds the fence of the attempt that reported last, if there
were attempts before it. Of engine `remote` alone: a worker knows by itself what it has reported."""
RUNG = "completed_rung_"
"""So begin the attributes in which Optuna's halving keeps a trial's value at each rung."""
_COLUMNS = ("trial_id", "step", "intermediate_value", "intermediate_value_type")


def write_report(
    connection: Connection,
    optuna_trial_id: int,
    *,
    step: int,
    value: float,
    lease: tuple[int, int] | None,
) -> None:
    """Store an intermediate value; of a step reported twice, the later value.

    It is one statement, in which the lease is checked.

    Args:
        connection: in a transaction of the caller's.
        optuna_trial_id: Optuna's id of the trial.
        step: where training stands.
        value: the value.
        lease: our row's id and the fence to check.

    Raises:
        StaleFenceError: the lease was lost, or the trial has ended.
    """
    stored, kind = stored_report(value)
    values = {"to": optuna_trial_id, "at": step, "stored": stored, "kind": kind}
    if lease is not None:
        values |= {"row": lease[0], "fence": lease[1]}
    statement = _STATEMENTS[connection.dialect.name, lease is not None]
    if connection.execute(statement, values).rowcount == 0:
        raise StaleFenceError(f"trial {optuna_trial_id}: the lease is lost, or it has ended")


def last_report(connection: Connection, optuna_trial_id: int) -> float | None:
    """The value that Optuna gives a pruned trial: that of its largest step.

    Returns:
        The value; ``None`` if it is NaN, or nothing was reported.
    """
    found = connection.execute(
        select(REPORTS.c.intermediate_value, REPORTS.c.intermediate_value_type)
        .where(REPORTS.c.trial_id == optuna_trial_id)
        .order_by(REPORTS.c.step.desc())
        .limit(1)
    ).first()
    value = math.nan if found is None else read_report(*found)
    return None if math.isnan(value) else value


def delete_reports(connection: Connection, optuna_trial_id: int, *, after: int) -> None:
    """Delete the reports of later steps: an attempt trains them again."""
    of_trial = REPORTS.c.trial_id == optuna_trial_id
    connection.execute(delete(REPORTS).where(of_trial, REPORTS.c.step > after))


def delete_rungs(connection: Connection, optuna_trial_id: int, *, before: int) -> bool:
    """Delete the rungs of an attempt that starts anew, which it has yet to climb.

    Args:
        connection: in a transaction of the caller's.
        optuna_trial_id: Optuna's id of the trial.
        before: if there is a report of an earlier step, the attempt goes on from there, and the
            rungs stay.

    Returns:
        Whether they are deleted.
    """
    earlier = REPORTS.c.trial_id == optuna_trial_id, REPORTS.c.step < before
    if connection.execute(select(REPORTS.c.step).where(*earlier).limit(1)).first() is not None:
        return False
    of_trial = SYSTEM_ATTRS.c.trial_id == optuna_trial_id
    rungs = SYSTEM_ATTRS.c.key.startswith(RUNG, autoescape=True)
    connection.execute(delete(SYSTEM_ATTRS).where(of_trial, rungs))
    return True


def note_first_report(connection: Connection, optuna_trial_id: int, *, fence: int) -> bool:
    """Note that an attempt after others reports; says whether it is for the first time.

    Args:
        connection: in a transaction of the caller's that has checked the fence.
        optuna_trial_id: Optuna's id of the trial.
        fence: the attempt's.
    """
    if fence == 1:
        return False  # there is nothing to replace
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(SYSTEM_ATTRS)
    given = insert.values(trial_id=optuna_trial_id, key=REPORTING, value_json=str(fence))
    noted = given.on_conflict_do_update(
        index_elements=("trial_id", "key"),
        set_={"value_json": insert.excluded.value_json},
        where=SYSTEM_ATTRS.c.value_json != insert.excluded.value_json,
    ).returning(SYSTEM_ATTRS.c.trial_id)
    return connection.execute(noted).first() is not None


def _statement(dialect: str, *, with_lease: bool) -> Insert:
    values = (
        bindparam(name, type_=REPORTS.c[column].type)
        for name, column in zip(("to", "at", "stored", "kind"), _COLUMNS, strict=True)
    )
    running = select(*values).where(
        TRIALS.c.trial_id == bindparam("to"), TRIALS.c.state == TrialState.RUNNING
    )
    if with_lease:
        # Locked, so that nobody takes the trial over before the value is stored.
        running = running.where(
            TrialRow.id == bindparam("row"),
            TrialRow.optuna_trial_id == TRIALS.c.trial_id,
            TrialRow.fence == bindparam("fence"),
            TrialRow.state == "RUNNING",
        ).with_for_update(read=True, of=TrialRow)
    insert = (sqlite if dialect == "sqlite" else postgresql).insert(REPORTS)
    changed = {column: insert.excluded[column] for column in _COLUMNS[2:]}
    upsert = insert.from_select(_COLUMNS, running).on_conflict_do_update(
        index_elements=_COLUMNS[:2], set_=changed
    )
    statement: Insert = upsert.execution_options(preserve_rowcount=True)
    return statement


_STATEMENTS = {
    (dialect, with_lease): _statement(dialect, with_lease=with_lease)
    for dialect in ("sqlite", "postgresql")
    for with_lease in (False, True)
}

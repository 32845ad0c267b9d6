"""A report as one statement: whether the lease holds is checked in it. And the last one."""

from __future__ import annotations

import math

from optuna.trial import TrialState
from sqlalchemy import Connection, Insert, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from alphagrad.tuner.models import TrialRow
from alphagrad.tuner.optuna_tables import REPORTS, TRIALS, read_report, stored_report

_COLUMNS = ("trial_id", "step", "intermediate_value", "intermediate_value_type")


def write_report(
    connection: Connection,
    optuna_trial_id: int,
    *,
    step: int,
    value: float,
    lease: tuple[int, int] | None,
) -> bool:
    """Store an intermediate value; of a step reported twice, the later value.

    Args:
        connection: in a transaction of the caller's.
        optuna_trial_id: Optuna's id of the trial.
        step: where training stands.
        value: the value.
        lease: our row's id and the fence to check.

    Returns:
        Whether it was stored: the trial runs, and the fence holds.
    """
    stored, kind = stored_report(value)
    values = {"to": optuna_trial_id, "at": step, "stored": stored, "kind": kind}
    name = connection.dialect.name
    if lease is None:
        return connection.execute(_STATEMENTS[name, False], values).rowcount > 0
    values |= {"row": lease[0], "fence": lease[1]}
    return connection.execute(_STATEMENTS[name, True], values).rowcount > 0


def last_report(connection: Connection, optuna_trial_id: int) -> float | None:
    """The value that Optuna gives a pruned trial: that of its largest step, of whatever attempt.

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

"""A study copied to another database: from a laptop's SQLite to the team's PostgreSQL, say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.storages._rdb.models import StudySystemAttributeModel, TrialHeartbeatModel
from optuna.trial import TrialState
from pydantic import ValidationError
from sqlalchemy import Column, ColumnElement, Table, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from alphagrad.tuner import events
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import (
    ConflictError,
    DuplicateStudyError,
    SettingsError,
    SpecError,
    field_errors,
)
from alphagrad.tuner.migrate import migrate, newest_revision, revision
from alphagrad.tuner.models import (
    OPEN_STUDY,
    UNFINISHED,
    AttemptRow,
    Base,
    HistogramRow,
    MetricRow,
    StudyRow,
    TraceRow,
    TrialRow,
)
from alphagrad.tuner.optuna_ids import translated
from alphagrad.tuner.optuna_tables import STUDIES, TRIALS
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.study_store import by_name

PAGE = 1000
"""Rows in memory at a time."""
_STUDY_ATTRS: Table = StudySystemAttributeModel.__table__
OUR_STUDIES, OUR_TRIALS, ATTEMPTS, HISTOGRAMS, METRICS, TRACES = (
    Base.metadata.tables[row.__tablename__]
    for row in (StudyRow, TrialRow, AttemptRow, HistogramRow, MetricRow, TraceRow)
)
_NOT_COPIED = {HISTOGRAMS, TrialHeartbeatModel.__table__}
"""What concerns a running trial for a minute."""
_DETAILS = {METRICS, TRACES}
_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy: the study's name and state there, how many trials it has, and rows in all."""

    name: str
    state: str
    trials: int
    rows: int


def copy_study(
    source: Database,
    target: Database,
    name: str,
    *,
    new_name: str | None = None,
    details: bool = True,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> Copied:
    """Copy a study with its trials into another database, as it is at one moment.

    Its trials keep their numbers, seeds, values, reports, metrics and α traces, in our tables and
    in Optuna's. One that is open arrives PAUSED, so that no trial is run on both sides unless
    somebody resumes it; its unfinished trials begin anew there, since checkpoints and logs are
    files and are not copied. It belongs to no API key, and was created when it was copied.

    Workers of the source go on meanwhile. Those of an SQLite target wait: it is one transaction.

    Args:
        source: where the study is.
        target: where it is to be; its tables are made if it has none.
        name: the study's name.
        new_name: its name in the target (default: the same).
        details: whether metrics and α traces, by far the most rows, are copied too.
        on_rows: called now and then with the number of rows so far.

    Raises:
        StudyNotFoundError: the source has no such study.
        DuplicateStudyError: the target has a study of that name, ours or plain Optuna's.
        ConflictError: the study is being submitted, stopped, cancelled or deleted, or is an open
            population, whose members need each other's checkpoints.
        SettingsError: the source's schema is not this version's.
        NewerDatabaseError: the target's is a newer version's.
        SpecError: no study can have the new name.
    """
    if (found := revision(source)) != (newest := newest_revision()):
        raise SettingsError(
            f"the source has schema revision {found}, not {newest}: run alphagrad db upgrade there"
        )
    with source.snapshot() as reading:
        study = by_name(reading, name)
        _must_be_quiet(study)
        spec = _renamed(study.spec, new_name or name)
        migrate(target)
        with target.write() as writing:
            leave = _NOT_COPIED if details else _NOT_COPIED | _DETAILS
            copy = _Copy(study, reading, writing, on_rows=on_rows, leave=leave)
            copy.run(spec)
            if len(copy.ids[OUR_TRIALS]) != study.next_slot:
                raise _damaged(name)
            row = writing.get_one(StudyRow, copy.ids[OUR_STUDIES][study.id])
            events.emit(writing, "study.submitted", study_id=row.id, state=row.state)
    return Copied(row.name, row.state, trials=len(copy.ids[OUR_TRIALS]), rows=copy.rows)


class _Copy:
    """Copies rows parents first; `ids` says under which key each parent is found there."""

    def __init__(
        self,
        study: StudyRow,
        reading: Session,
        writing: Session,
        *,
        on_rows: Callable[[int], None],
        leave: set[Table],
    ) -> None:
        self.ids: dict[Table, dict[int, int]] = {t: {} for t in _PARENTS}
        self.rows = 0
        self._study, self._ended = study, study.finished_at is not None
        self._reading, self._writing = reading, writing
        self._on_rows = on_rows
        self._leave = leave
        self._now = writing.scalar(select(db_now()))

    def run(self, spec: Mapping[str, Any]) -> None:
        """Copy the study, with this specification, and all that belongs to it."""
        study = self._study
        try:
            if study.optuna_study_id is not None:
                theirs = {"study_name": spec["name"]}
                self._table(STUDIES, STUDIES.c.study_id == study.optuna_study_id, theirs)
            ours = {"name": spec["name"], "spec": spec, "owner": None, "created_at": self._now}
            if not self._ended:
                ours["state"] = "PAUSED"
            self._table(OUR_STUDIES, OUR_STUDIES.c.id == study.id, ours)
        except IntegrityError:
            raise DuplicateStudyError(spec["name"]) from None
        for parents, trials, known in (
            (STUDIES, TRIALS, study.optuna_study_id),
            (OUR_STUDIES, OUR_TRIALS, study.id),
        ):
            mine = select(_key(trials)).where(trials.c.study_id == known)
            for table in parents.metadata.sorted_tables:
                if table in self._leave or table is _STUDY_ATTRS:
                    continue
                if "trial_id" in table.c and table is not trials:
                    self._table(table, table.c.trial_id.in_(mine))
                elif "study_id" in table.c and table is not parents:
                    self._table(table, table.c.study_id == known)
        # Behind the trials, since some name them.
        self._table(_STUDY_ATTRS, _STUDY_ATTRS.c.study_id == study.optuna_study_id)

    def _table(
        self, table: Table, mine: ColumnElement[bool], changes: Mapping[str, Any] | None = None
    ) -> None:
        query = select(table).where(mine).order_by(*table.primary_key)
        rows = self._reading.execute(query, execution_options={"yield_per": PAGE})
        for page in rows.mappings().partitions():
            self._insert(table, [{**row, **(changes or {})} for row in page])
            self.rows += len(page)
            self._on_rows(self.rows)

    def _insert(self, table: Table, page: list[_Row]) -> None:
        key = _key(table)
        old = [row.pop(key.name) for row in page] if not key.foreign_keys else []
        for row in page:
            self._settle(table, row)
            for column, parents in _links(table).items():
                if row[column] is not None:
                    if row[column] not in self.ids[parents]:
                        raise _damaged(self._study.name)
                    row[column] = self.ids[parents][row[column]]
        if table not in self.ids:
            self._writing.execute(insert(table), page)
            return
        made = insert(table).returning(key, sort_by_parameter_order=True)
        self.ids[table].update(zip(old, self._writing.scalars(made, page), strict=True))

    def _settle(self, table: Table, row: _Row) -> None:
        """Change what is true of the source alone: who runs a trial, and its ids in attributes."""
        if table is OUR_TRIALS and row["state"] in UNFINISHED:
            row |= {"state": "WAITING", "worker": None, "lease_expires_at": None}
            row |= {"not_before": None, "started_at": None}
        elif table is ATTEMPTS and row["outcome"] is None:
            row |= {"outcome": "GIVEN_BACK", "finished_at": self._now}
            row["error"] = "the study was copied to this database meanwhile"
        elif table is TRIALS and self._ended and row["state"] == TrialState.RUNNING:
            row |= {"state": TrialState.FAIL, "datetime_complete": row["datetime_start"]}
        elif table is _STUDY_ATTRS:
            ids = self.ids[TRIALS]
            row["key"], row["value_json"] = translated(row["key"], row["value_json"], ids)


_PARENTS = (STUDIES, TRIALS, OUR_STUDIES, OUR_TRIALS)


def _key(table: Table) -> Column[Any]:
    """The first column of a table's primary key: its only one, if others refer to the table."""
    return next(iter(table.primary_key))


def _links(table: Table) -> dict[str, Table]:
    """The columns of a table that hold keys of others, and those others."""
    links = {key.parent.name: key.column.table for key in table.foreign_keys}
    if table is OUR_STUDIES:
        links["optuna_study_id"] = STUDIES
    elif table is OUR_TRIALS:
        links["optuna_trial_id"] = TRIALS
    return links


def _must_be_quiet(study: StudyRow) -> None:
    if study.finished_at is not None:
        return
    if study.state not in OPEN_STUDY:
        raise ConflictError(f"study {study.name!r} is {study.state}: wait until it has ended")
    if study.optuna_study_id is None:
        raise ConflictError(f"study {study.name!r} is being submitted: copy it in a moment")
    if study.spec.get("population") is not None:
        raise ConflictError(
            f"study {study.name!r} is a population and has not ended: its members go on from each "
            "other's checkpoints, which are not copied"
        )


def _damaged(name: str) -> ConflictError:
    return ConflictError(
        f"study {name!r} is being deleted, or misses rows: see `alphagrad db check`"
    )


def _renamed(spec: Mapping[str, Any], name: str) -> dict[str, Any]:
    renamed = {**spec, "name": name}
    try:
        StudySpec.model_validate(renamed)
    except ValidationError as error:
        raise SpecError(field_errors(error.errors())) from None
    return renamed

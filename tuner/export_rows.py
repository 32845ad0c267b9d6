"""The rows of a study that are exported, table by table, in pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from sqlalchemy import Select, select, tuple_

from alphagrad.tuner.database import Database
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.models import MetricRow, TraceRow, TrialRow
from alphagrad.tuner.optuna_tables import REPORTS, read_report
from alphagrad.tuner.space import CategoricalDimension, FloatDimension, IntDimension
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.study_store import get_study

Tables = Literal["trials", "reports", "metrics", "alpha"]
TABLES: tuple[Tables, ...] = ("trials", "reports", "metrics", "alpha")
Row = Sequence[Any]
Kind = Literal["int", "float", "text", "time"]
TRIALS_PAGE = 500
VALUES_PAGE = 10_000
TRACE_PAGE = 500


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, and what is in it: int, float, text or time."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, and their rows in pages."""

    columns: list[Column]
    pages: Iterator[list[Row]]


def table_of(database: Database, study: str, what: Tables) -> Table:
    """One of a study's tables; its rows are read as they are asked for.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    spec = get_study(database, study).spec
    if what == "trials":
        params = {name: _kind(parameter) for name, parameter in spec.params.items()}
        return Table(_trial_columns(spec, params), _trials(database, study, spec, params))
    columns = {
        "reports": [Column("step", "int"), Column("value", "float")],
        "metrics": [Column("name", "text"), Column("step", "int"), Column("value", "float")],
        "alpha": [
            Column("step", "int"),
            Column("layer", "text"),
            Column("alpha", "float"),
            Column("saturation", "float"),
        ],
    }[what]
    read = {"reports": _reports, "metrics": _metrics, "alpha": _alpha}[what]
    return Table([Column("number", "int"), *columns], _of_trials(database, study, read))


_BEFORE = [Column("number", "int"), Column("state", "text"), Column("value", "float")]
_AFTER = [
    Column("seed", "int"),
    Column("attempt", "int"),
    Column("error", "text"),
    Column("started_at", "time"),
    Column("finished_at", "time"),
]


def _trial_columns(spec: StudySpec, params: dict[str, Kind]) -> list[Column]:
    # A parameter may be called as a column is.
    return [
        *_BEFORE,
        *(Column(f"values.{place}", "float") for place in range(_several(spec))),
        *(Column(f"constraints.{name}", "float") for name in spec.constraints),
        *(Column(f"params.{name}", kind) for name, kind in params.items()),
        *_AFTER,
    ]


def _several(spec: StudySpec) -> int:
    """How many columns the objectives have beside the one of a single value."""
    return len(spec.objectives) if len(spec.objectives) > 1 else 0


def _kind(parameter: Any) -> Kind:
    """What is in a parameter's column; values of several types are text, as JSON."""
    match parameter:
        case FloatDimension():
            return "float"
        case IntDimension():
            return "int"
        case CategoricalDimension():
            types = {type(choice) for choice in parameter.choices}
        case _:
            types = {type(parameter)}
    if types == {int}:
        return "int"
    if types <= {int, float}:
        return "float"
    return "text"


def _value(value: Any, kind: str) -> Any:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value) if kind == "text" else value


def _padded(values: Sequence[float] | None, length: int) -> list[float | None]:
    return [None] * length if values is None else list(values)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _trial_pages(database: Database, study: str) -> Iterator[list[TrialRow]]:
    after = -1
    while page := list_trials(database, study, after=after, limit=TRIALS_PAGE):
        yield page
        after = page[-1].number or 0


def _trials(
    database: Database, study: str, spec: StudySpec, params: dict[str, Kind]
) -> Iterator[list[Row]]:
    for page in _trial_pages(database, study):
        rows: list[Row] = []
        for trial in page:
            drawn = trial.params or {}
            rows.append(
                (
                    trial.number,
                    trial.state,
                    trial.value,
                    *_padded(trial.objective_values, _several(spec)),
                    *((trial.constraints or {}).get(name) for name in spec.constraints),
                    *(_value(drawn.get(name), kind) for name, kind in params.items()),
                    trial.seed,
                    trial.attempt,
                    trial.error,
                    _time(trial.started_at),
                    _time(trial.finished_at),
                )
            )
        yield rows


Reader = Callable[[Database, TrialRow], Iterator[list[Row]]]


def _of_trials(database: Database, study: str, read: Reader) -> Iterator[list[Row]]:
    """What all trials have of one kind; the pages of small trials are joined."""
    held: list[Row] = []
    for page in _trial_pages(database, study):
        for trial in page:
            for rows in read(database, trial):
                held += rows
                if len(held) >= VALUES_PAGE:
                    yield held
                    held = []
    yield held


def _reports(database: Database, trial: TrialRow) -> Iterator[list[Row]]:
    table = REPORTS.c
    query = select(table.step, table.intermediate_value, table.intermediate_value_type).where(
        table.trial_id == trial.optuna_trial_id
    )
    for page in _keyset(database, query, [table.step], VALUES_PAGE):
        yield [(trial.number, step, read_report(value, kind)) for step, value, kind in page]


def _metrics(database: Database, trial: TrialRow) -> Iterator[list[Row]]:
    names = trial.metrics or []
    if not names:
        return
    key = [MetricRow.name, MetricRow.fence, MetricRow.position]
    query = select(*key, MetricRow.step, MetricRow.value).where(MetricRow.trial_id == trial.id)
    for page in _keyset(database, query, key, VALUES_PAGE):
        yield [(trial.number, names[name], step, value) for name, _, _, step, value in page]


def _alpha(database: Database, trial: TrialRow) -> Iterator[list[Row]]:
    layers = trial.layers or []
    if not layers:
        return
    query = select(TraceRow.id, TraceRow.step, TraceRow.alpha, TraceRow.saturation).where(
        TraceRow.trial_id == trial.id
    )
    for page in _keyset(database, query, [TraceRow.id], TRACE_PAGE):
        rows: list[Row] = []
        for _, step, alpha, saturation in page:
            alphas = np.frombuffer(alpha, np.float32).tolist()
            saturations = np.frombuffer(saturation, np.float32).tolist()
            # A row from before a further optimizer was watched is shorter.
            rows += [
                (trial.number, step, *cell)
                for cell in zip(layers, alphas, saturations, strict=False)
            ]
        yield rows


def _keyset(
    database: Database, query: Select[*tuple[Any, ...]], key: list[Any], limit: int
) -> Iterator[Sequence[Any]]:
    """A query's rows in the order of its first columns, which are unique, page by page."""
    after: tuple[Any, ...] | None = None
    while True:
        paged = query.order_by(*key).limit(limit)
        if after is not None:
            paged = paged.where(tuple_(*key) > after)
        with database.read() as session:
            page = session.execute(paged).all()
        if page:
            yield page
        if len(page) < limit:
            return
        after = tuple(page[-1][: len(key)])

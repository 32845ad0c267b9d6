"""Exports: every row, in three formats that agree, read in pages, on both databases."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from pyarrow import parquet

from alphagrad.tuner import export_rows
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import StudyNotFoundError
from alphagrad.tuner.export import FORMATS, Format, export_study
from alphagrad.tuner.export_rows import TABLES, Tables
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from tests.tuner.by_hand import play

Submit = Callable[..., StudyRow]

SPACE: dict[str, Any] = {
    "epochs": 1,
    "alpha": {"type": "float", "low": 1.0, "high": 9.0},
    "batch_size": {"type": "categorical", "choices": [64, 128]},
    "optimizer": "alphagrad",
    "nesterov": {"type": "categorical", "choices": [True, False]},
}


@pytest.fixture
def played(database: Database, submit: Submit, optuna_storage: OptunaStorage) -> Database:
    """A study of three ends."""
    submit(n_trials=3, params=SPACE)
    play(database, optuna_storage, ["COMPLETE", "PRUNED", "FAIL"])
    return database


def whole(database: Database, what: Tables, format: Format) -> bytes:  # noqa: A002
    return b"".join(export_study(database, "s", what=what, format=format))


def as_rows(database: Database, what: Tables) -> list[dict[str, Any]]:
    """The Parquet file's rows."""
    table = parquet.read_table(io.BytesIO(whole(database, what, "parquet")))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def test_trials_have_a_column_per_parameter(played: Database) -> None:
    rows = as_rows(played, "trials")
    stored = list_trials(played, "s")
    assert [row["state"] for row in rows] == ["COMPLETE", "PRUNED", "FAIL"]
    assert [row["value"] for row in rows] == [0.5, 0.25, None]
    for row, trial in zip(rows, stored, strict=True):
        assert trial.params is not None
        assert row["params.alpha"] == trial.params["alpha"]
        assert row["params.batch_size"] in (64, 128)
        assert row["params.nesterov"] == json.dumps(trial.params["nesterov"])
        assert row["params.optimizer"] == "alphagrad"
        assert row["finished_at"].timestamp() == pytest.approx(trial.finished_at, abs=1e-5)
    assert rows[2]["error"] == 'a "quoted", reason\nof two lines'


@pytest.mark.parametrize("what", TABLES)
def test_the_formats_say_the_same(played: Database, what: Tables) -> None:
    from_parquet = as_rows(played, what)
    from_json = json.loads(whole(played, what, "json"))
    text = whole(played, what, "csv").decode()
    from_csv = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(from_parquet) == len(from_json) == len(from_csv) > 0
    for ours, plain, cells in zip(from_parquet, from_json, from_csv, strict=True):
        assert list(ours) == list(plain) == list(cells)
        for name, value in ours.items():
            if hasattr(value, "isoformat"):
                assert plain[name] == cells[name] == value.isoformat()
            elif isinstance(value, float) and not math.isfinite(value):
                assert plain[name] is None
                assert cells[name] == str(value)
            else:
                assert plain[name] == value
                assert cells[name] == ("" if value is None else str(value))


def test_reports_metrics_and_alpha_come_whole(played: Database) -> None:
    reports = [tuple(row.values()) for row in as_rows(played, "reports")]
    assert reports == [(n, s, v) for n in range(3) for s, v in ((1, 0.25), (2, math.inf))]
    metrics = [tuple(row.values()) for row in as_rows(played, "metrics")]
    assert metrics == [
        (n, m, s, v) for n in range(3) for m, s, v in (("a", 1, 0.5), ("b", 2, None))
    ]
    alpha = as_rows(played, "alpha")
    assert [(row["step"], row["layer"]) for row in alpha] == 3 * [
        (1, "w"),
        (1, "b"),
        (2, "w"),
        (2, "b"),
    ]
    assert [row["alpha"] for row in alpha[:3]] == [1.5, 2.5, 3.5]
    assert math.isnan(alpha[3]["alpha"])


@pytest.mark.parametrize("what", TABLES)
def test_pages_join_without_a_seam(
    played: Database, what: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = [whole(played, what, format) for format in ("csv", "json")]  # noqa: A001
    for name in ("TRIALS_PAGE", "VALUES_PAGE", "TRACE_PAGE"):
        monkeypatch.setattr(export_rows, name, 1)
    pieces = list(export_study(played, "s", what=what, format="csv"))
    assert len(pieces) > 3
    assert b"".join(pieces) == at_once[0]
    assert whole(played, what, "json") == at_once[1]
    assert len(as_rows(played, what)) == at_once[0].count(b"\n") - (
        2 if what == "trials" else 1  # a header, and an error of two lines
    )


@pytest.mark.parametrize("format", FORMATS)
def test_a_study_without_trials_is_an_empty_file(
    database: Database,
    submit: Submit,
    format: Format,  # noqa: A002
) -> None:
    submit()
    data = whole(database, "trials", format)
    if format == "parquet":
        assert parquet.read_table(io.BytesIO(data)).num_rows == 0
    else:
        assert data.strip() == (b"[]" if format == "json" else data.splitlines()[0])


def test_an_unknown_study_is_an_error_before_the_first_byte(database: Database) -> None:
    with pytest.raises(StudyNotFoundError):
        export_study(database, "nobody")

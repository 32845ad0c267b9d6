"""A study as one file: CSV, JSON or Parquet, read and written in pages, never all in memory."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from alphagrad.tuner.database import Database
from alphagrad.tuner.export_rows import Column, Row, Table, Tables, table_of

if TYPE_CHECKING:
    import pyarrow

Format = Literal["csv", "json", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "json", "parquet")
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}


def export_study(
    database: Database,
    study: str,
    *,
    what: Tables = "trials",
    format: Format = "csv",  # noqa: A002
) -> Iterator[bytes]:
    """A study's rows as a file, in pieces.

    Each page is a transaction of its own: of a study that runs meanwhile, a page shows what is
    stored when it is read.

    Args:
        database: the database.
        study: the study's name.
        what: ``trials``, one row each with a column per parameter; ``reports``, one per
            intermediate value; ``metrics``, one per recorded value; ``alpha``, one per layer and
            sampled step.
        format: ``csv`` with a header, ``json`` (an array of objects) or ``parquet``.

    Returns:
        An iterator over the file's bytes.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    table = table_of(database, study, what)
    writers: dict[str, type[_Writer]] = {"csv": _Csv, "json": _Json, "parquet": _Parquet}
    return _written(table, writers[format](table.columns))


class _Writer(Protocol):
    def __init__(self, columns: Sequence[Column]) -> None: ...

    def page(self, rows: Sequence[Row]) -> bytes:
        """Some rows, with what stands before them in the file."""

    def end(self) -> bytes:
        """What stands after all rows."""


def _written(table: Table, writer: _Writer) -> Iterator[bytes]:
    for rows in table.pages:
        if piece := writer.page(rows):
            yield piece
    yield writer.end()


class _Csv:
    def __init__(self, columns: Sequence[Column]) -> None:
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow([column.name for column in columns])

    def page(self, rows: Sequence[Row]) -> bytes:
        self._writer.writerows([_cell(value) for value in row] for row in rows)
        return self.end()

    def end(self) -> bytes:
        piece = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return piece


class _Json:
    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._before = "[\n"

    def page(self, rows: Sequence[Row]) -> bytes:
        lines = []
        for row in rows:
            values = dict(zip(self._names, map(_json, row), strict=True))
            lines.append(self._before + json.dumps(values, ensure_ascii=False, allow_nan=False))
            self._before = ",\n"
        return "".join(lines).encode()

    def end(self) -> bytes:
        return b"[]\n" if self._before == "[\n" else b"\n]\n"


class _Parquet:
    """A row group per page."""

    def __init__(self, columns: Sequence[Column]) -> None:
        import pyarrow
        from pyarrow import parquet

        types = {
            "int": pyarrow.int64(),
            "float": pyarrow.float64(),
            "text": pyarrow.string(),
            "time": pyarrow.timestamp("us", tz="UTC"),
        }
        self._schema: pyarrow.Schema = pyarrow.schema([(c.name, types[c.kind]) for c in columns])
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema)

    def page(self, rows: Sequence[Row]) -> bytes:
        import pyarrow

        if rows:
            arrays = [
                pyarrow.array(values, type=field.type)
                for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
            ]
            self._writer.write_table(pyarrow.table(arrays, schema=self._schema))
        return self._sink.taken()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.taken()


class _Sink(io.RawIOBase):
    """A file to write to, whose contents are taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        piece = b"".join(self._pieces)
        self._pieces.clear()
        return piece


def _cell(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no NaN and no infinities
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value

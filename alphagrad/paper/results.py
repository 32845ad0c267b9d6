"""What came out of a study: a JSON file of its runs, and a Parquet file of their curves.

The JSON holds the study's specification, the versions and the machine it ran on, and for each run
its seed, end and value. The curves are averages over `BINS` equal parts of the training, so that
all of them fit into a repository; returns of evaluations are kept each.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from alphagrad.api.client_study import Study
from alphagrad.display import duration, searched_params
from alphagrad.paper.machine import machine

BINS = 40
KEPT_METRICS = (
    "charts/episodic_return",
    "losses/explained_variance",
    "losses/approx_kl",
    "losses/entropy",
    "losses/td_loss",
    "losses/qf_loss",
)
EACH = "charts/eval_return"
SCHEMA = pa.schema(
    [
        ("number", pa.int16()),
        ("series", pa.dictionary(pa.int16(), pa.string())),
        ("step", pa.int32()),
        ("value", pa.float32()),
    ]
)
Columns = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training.

    Attributes:
        number: its number in the study.
        seed: the trial's.
        state: COMPLETE, PRUNED or FAIL.
        value: the trial's value, or what was known of it when it was pruned; None if it failed.
        params: what was searched.
        attempts: how often it was begun, or gone on with.
        seconds: from its start to its end, with what trained beside it.
        error: why it failed, or was pruned.
    """

    number: int
    seed: int
    state: str
    value: float | None
    params: dict[str, Any]
    attempts: int
    seconds: float | None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A study that has ended.

    Attributes:
        name: the study's.
        spec: as it was stored, with all defaults.
        versions: of Python and the packages that a result depends on.
        machine: processor, cores, and the kernels that the linear algebra libraries took.
        runs: in the order of their numbers.
    """

    name: str
    spec: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any]
    runs: list[Run] = field(default_factory=list)

    @property
    def complete(self) -> list[Run]:
        """The runs that completed."""
        return [run for run in self.runs if run.state == "COMPLETE"]

    @property
    def values(self) -> NDArray[np.float64]:
        """Of the runs that completed."""
        return np.array([run.value for run in self.complete], float)

    @property
    def failed(self) -> int:
        """How many runs gave no value."""
        return sum(run.state == "FAIL" for run in self.runs)

    @property
    def ranked(self) -> list[Run]:
        """The complete runs from the highest value down; of equals the first comes first."""
        return sorted(self.complete, key=lambda run: -(run.value or 0.0))


class Results:
    """The results in a folder.

    Args:
        folder: where they are; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __contains__(self, name: str) -> bool:
        return self._path(name, "json").exists()

    def __getitem__(self, name: str) -> Result:
        """Reads a study's result.

        Raises:
            KeyError: there is none.
        """
        if name not in self:
            raise KeyError(name)
        data = json.loads(self._path(name, "json").read_text(encoding="utf-8"))
        return Result(**data | {"runs": [Run(**run) for run in data["runs"]]})

    def curves(self, name: str) -> pa.Table:
        """Reads a study's curves: number, series, step, value."""
        return pq.read_table(self._path(name, "parquet"))

    def write(self, result: Result, curves: pa.Table | None) -> None:
        """Writes a study's result; the JSON last, so that what has one is whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if curves is not None:
            pq.write_table(curves, self._path(result.name, "parquet"), compression="zstd")
        document = asdict(result)
        runs = [json.dumps(run, ensure_ascii=False) for run in document.pop("runs")]
        head = json.dumps(document, ensure_ascii=False, indent=1).removesuffix("\n}")
        text = f'{head},\n "runs": [\n  ' + ",\n  ".join(runs) + "\n ]\n}\n"
        part = self._path(result.name, "json.part")
        part.write_text(text, encoding="utf-8")
        part.replace(self._path(result.name, "json"))

    def _path(self, name: str, kind: str) -> Path:
        return self.folder / f"{name}.{kind}"


def joined(results: Sequence[Result]) -> Result:
    """The runs of several studies as those of one, numbered anew; the rest is the first's."""
    runs = [run for result in results for run in result.runs]
    return replace(results[0], runs=[replace(run, number=n) for n, run in enumerate(runs)])


def joined_curves(results: Sequence[Result], curves: Iterable[pa.Table]) -> pa.Table:
    """The curves of several studies under the numbers that `joined` gives their runs."""
    tables, before = [], 0
    for result, table in zip(results, curves, strict=True):
        number = pc.add(table["number"], pa.scalar(before, pa.int16()))
        tables.append(table.set_column(0, SCHEMA.field("number"), number))
        before += len(result.runs)
    return pa.concat_tables(tables).unify_dictionaries()


def result_of(study: Study) -> Result:
    """Reads a study that has ended from the service."""
    data = study.data
    searched = searched_params(data)
    runs = []
    for trial in study.trials():
        params = {name: value for name, value in trial.params.items() if name in searched}
        took = duration(trial.data)
        runs.append(
            Run(
                number=trial.number,
                seed=trial.data["seed"],
                state=trial.state,
                value=trial.value,
                params=params,
                attempts=trial.data["attempt"],
                seconds=None if took is None else round(took, 1),
                error=trial.data["error"],
            )
        )
    return Result(
        name=study.name,
        spec=data["spec"],
        versions=data["versions"],
        machine=machine(),
        runs=sorted(runs, key=lambda run: run.number),
    )


def curves_of(study: Study) -> pa.Table:
    """Reads the curves of a study that has ended from the service, thinned out."""
    metrics = _table(study.export(what="metrics", format="parquet"))
    alphas = _table(study.export(what="alpha", format="parquet"))
    steps = max(pc.max(table["step"]).as_py() or 1 for table in (metrics, alphas))
    parts: list[Columns] = []
    for name in pc.unique(metrics["name"]).to_pylist():
        rows = metrics.filter(pc.equal(metrics["name"], name))
        if name == EACH:
            number, step, value = _columns(rows, "value")
            parts.append((number, np.full(len(step), name), step, value))
        elif name in KEPT_METRICS:
            parts += _binned(rows, "value", name, steps)
    for layer in pc.unique(alphas["layer"]).to_pylist():
        rows = alphas.filter(pc.equal(alphas["layer"], layer))
        for column in ("alpha", "saturation"):
            parts += _binned(rows, column, f"{column}/{layer}", steps)
    if not parts:
        return SCHEMA.empty_table()
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((columns[2], columns[1], columns[0]))
    arrays = [pa.array(column[order]) for column in columns]
    return pa.table(arrays, names=SCHEMA.names).cast(SCHEMA)


def _table(pieces: Iterable[bytes]) -> pa.Table:
    return pq.read_table(io.BytesIO(b"".join(pieces)))


def _columns(rows: pa.Table, value: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    number, step = rows["number"].to_numpy(), rows["step"].to_numpy()
    return number, step, rows[value].to_numpy()


def _binned(rows: pa.Table, column: str, series: str, steps: int) -> Iterator[Columns]:
    """Averages over equal parts of the training, each given by its last step."""
    number, step, value = _columns(rows, column)
    seen = np.isfinite(value)
    number, step, value = number[seen], step[seen], value[seen]
    bins = np.minimum((step - 1) * BINS // steps, BINS - 1).clip(0)
    for run in np.unique(number):
        mine = number == run
        counts = np.bincount(bins[mine], minlength=BINS)
        sums = np.bincount(bins[mine], weights=value[mine], minlength=BINS)
        filled = np.flatnonzero(counts)
        yield (
            np.full(len(filled), run),
            np.full(len(filled), series),
            (filled + 1) * steps // BINS,
            sums[filled] / counts[filled],
        )

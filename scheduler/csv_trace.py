"""A CSV file of α and saturation that survives crashes and goes on after them."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

COLUMNS = ["step", "layer", "alpha", "saturation"]


class CsvTrace:
    """Appends one row per step and layer to a CSV file, with the columns of ``COLUMNS``.

    Rows of one step are written with one call, unbuffered, so that the file is complete up to the
    last step whenever the process ends; half a row that a crash left is dropped. A run that goes on
    from a checkpoint, or goes back to one, replaces the rows of its layers from that step on. A
    saturation that was not measured is ``nan``, which ``float`` and pandas read.

    Args:
        path: the file; its folder is made if it does not exist.

    Attributes:
        path: the file.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     trace = CsvTrace(f"{folder}/trace.csv")
        ...     trace.write_step(1, ["weight"], [48.0], [float("nan")])
        ...     print(trace.path.read_text())
        step,layer,alpha,saturation
        1,weight,48,nan
        <BLANKLINE>
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._last: dict[str, int] = {}

    def last_step(self, layers: Sequence[str]) -> int:
        """Give the last step of these layers in the file, 0 if there is none."""
        return max((int(row[0]) for row in self._read() if row[1] in layers), default=0)

    def write_step(
        self,
        step: int,
        layers: Sequence[str],
        alphas: Sequence[float],
        saturations: Sequence[float],
    ) -> None:
        """Append the rows of one step.

        Args:
            step: the step.
            layers: names of the layers.
            alphas: α of each.
            saturations: saturation of each, or NaN.

        Raises:
            ValueError: the file is there and has other columns.
        """
        if anew := {name for name in layers if self._last.get(name, step) >= step}:
            self._drop(anew, step)
        self._last |= dict.fromkeys(layers, step)
        rows = zip(layers, alphas, saturations, strict=True)
        # Nine digits give each float32 back.
        self._append([str(step), name, f"{alpha:.9g}", f"{s:.9g}"] for name, alpha, s in rows)

    def _append(self, rows: Iterable[Iterable[str]]) -> None:
        with self.path.open("ab", buffering=0) as file:
            file.write(_as_text(rows))

    def _drop(self, layers: set[str], step: int) -> None:
        """Leave the file with its complete rows of other layers and earlier steps."""
        kept = [row for row in self._read() if row[1] not in layers or int(row[0]) < step]
        content = _as_text([COLUMNS, *kept])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.read_bytes() == content:
            return
        partial = self.path.with_name(f"{self.path.name}.partial")
        partial.write_bytes(content)
        partial.replace(self.path)

    def _read(self) -> list[list[str]]:
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding="utf-8")
        rows = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
        if rows and rows[0] != COLUMNS:
            raise ValueError(f"Invalid columns in {self.path}: {rows[0]}, must be {COLUMNS}")
        return rows[1:]


def _as_text(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()

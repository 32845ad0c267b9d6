"""Checkpoints of one trial, one file per attempt, each in the place of those before it.

In a population a trial's folder also has points, the checkpoints that others may take over, and
what it has taken over itself. A checkpoint is never written in place, so all of these are links.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from alphagrad.tuner.plain_data import check_readable


class CheckpointStore:
    """Files ``<fence>.pt`` in the trial's own folder, written and read by torch.

    Each attempt writes a file of its own, so a worker that was taken for dead and is not cannot
    overwrite what its successor saved.

    Args:
        directory: the trial's folder; made when first needed.
        fence: the fence of this attempt; an attempt reads files of its own and of earlier ones.
        exploit: the fence of the attempt that ended with the trial's latest exploit: what it took
            over is read in place of the files up to there (default: None, there was none).

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> CheckpointStore(folder, fence=1).save({"global_step": 10})
        >>> CheckpointStore(folder, fence=2).load()
        {'global_step': 10}
    """

    def __init__(self, directory: Path, *, fence: int, exploit: int | None = None) -> None:
        self._directory = directory
        self._fence = fence
        self._exploit = exploit

    def save(self, state: Mapping[str, Any]) -> None:
        """Write ``state`` to disk, then put it in the place of all that was saved before.

        Raises:
            OSError: it could not be written, e.g. because the disk is full; the old file stays.
            NonRetryableError: something in it could not be loaded again; likewise.
        """
        import torch

        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{self._fence:06d}.pt"
        temporary = path.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                torch.save(dict(state), file)
                file.flush()
                os.fsync(file.fileno())
            check_readable(state, temporary)
        except Exception as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
                raise error.__context__ from None  # what torch hides behind an error of its own
            raise
        temporary.replace(path)
        # What begins from now on reads this one. A point or an exploit is a name of its own.
        for older in self._directory.glob("*.pt"):
            if int(older.stem) < self._fence:
                older.unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """The state of the newest attempt up to this one, or ``None``.

        Tensors come back on the CPU; nothing but plain data is unpickled.
        """
        import torch

        while (path := self._newest()) is not None:
            # Else an earlier attempt, taken for dead, has just put another one in its place.
            with suppress(FileNotFoundError):
                state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
                return state
        return None

    def _newest(self) -> Path | None:
        after = -1 if self._exploit is None else self._exploit
        paths = [p for p in self._directory.glob("*.pt") if after < int(p.stem) <= self._fence]
        if self._exploit is not None and not paths:
            paths = [p for p in self._directory.glob("*.exploit") if int(p.stem) == self._exploit]
        return max(paths, default=None)


def keep_point(directory: Path, *, fence: int, step: int) -> None:
    """Keep the attempt's checkpoint as it is now, for others to take over.

    Raises:
        OSError: there is no checkpoint, or no space for a copy where links cannot be made.
    """
    _link(directory / f"{fence:06d}.pt", _point(directory, fence, step))


def keep_only(directory: Path, *, fence: int, step: int) -> None:
    """Drop all points but one, and what attempts before that one left: a member has many."""
    kept = _point(directory, fence, step)
    for path in directory.iterdir():
        is_old = path.suffix in (".pt", ".exploit") and int(path.stem) < fence
        if is_old or (path.suffix == ".point" and path != kept):
            path.unlink(missing_ok=True)


def take_over(
    source: Path, directory: Path, *, source_fence: int, source_step: int, fence: int
) -> bool:
    """Bring another trial's point to where a trial's next attempt finds it.

    It counts only when the exploit is recorded: see ``exploit`` of :class:`CheckpointStore`.

    Args:
        source: the other trial's folder.
        directory: the trial's own.
        source_fence: the fence of the attempt that made the point.
        source_step: the point's step.
        fence: the fence of the attempt that ends with the exploit.

    Returns:
        Whether the point is there.

    Raises:
        OSError: no space for a copy where links cannot be made.
    """
    try:
        _link(_point(source, source_fence, source_step), directory / f"{fence:06d}.exploit")
    except FileNotFoundError:
        return False
    return True


def _point(directory: Path, fence: int, step: int) -> Path:
    return directory / f"{fence:06d}-{step}.point"


def _link(path: Path, link: Path) -> None:
    """Give a file a second name, or a copy where its file system has no links; all or nothing."""
    temporary = link.with_name(f"{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except FileNotFoundError:
        raise
    except OSError:
        with path.open("rb") as source, temporary.open("wb") as copy:
            shutil.copyfileobj(source, copy)
            os.fsync(copy.fileno())
    temporary.replace(link)
    temporary.unlink(missing_ok=True)  # what is left if both were the same file already

"""Checkpoints of one trial, one file per attempt, replaced atomically."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class CheckpointStore:
    """Files ``<fence>.pt`` in the trial's own folder, written and read by torch.

    Each attempt writes a file of its own, so a worker that was taken for dead and is not cannot
    overwrite what its successor saved.

    Args:
        directory: the trial's folder; made when first needed.
        fence: the fence of this attempt; an attempt reads files of its own and of earlier ones.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> CheckpointStore(folder, fence=1).save({"global_step": 10})
        >>> CheckpointStore(folder, fence=2).load()
        {'global_step': 10}
    """

    def __init__(self, directory: Path, *, fence: int) -> None:
        self._directory = directory
        self._fence = fence

    def save(self, state: Mapping[str, Any]) -> None:
        """Write ``state`` to disk, then put it in the old file's place.

        Raises:
            OSError: it could not be written, e.g. because the disk is full; the old file stays.
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
        except Exception as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
                raise error.__context__ from None  # what torch hides behind an error of its own
            raise
        temporary.replace(path)

    def load(self) -> dict[str, Any] | None:
        """The state of the newest attempt up to this one, or ``None``.

        Tensors come back on the CPU; nothing but plain data is unpickled.
        """
        import torch

        paths = [path for path in self._directory.glob("*.pt") if int(path.stem) <= self._fence]
        if not paths:
            return None
        state: dict[str, Any] = torch.load(max(paths), map_location="cpu", weights_only=True)
        return state

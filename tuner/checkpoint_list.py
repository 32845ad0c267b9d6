"""What checkpoints of a trial are on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CheckpointKind = Literal["checkpoint", "point", "exploit"]
_KINDS: dict[str, CheckpointKind] = {".pt": "checkpoint", ".point": "point", ".exploit": "exploit"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A file of a trial's folder.

    Attributes:
        kind: ``checkpoint``, where the next attempt goes on; ``point``, which other members of a
            population may take over; ``exploit``, which the trial took over itself.
        fence: of the attempt that wrote it.
        step: of a point.
        size: bytes.
        created_at: seconds since 1970, by the file system's clock.
    """

    kind: CheckpointKind
    fence: int
    step: int | None
    size: int
    created_at: float


def list_checkpoints(directory: Path) -> list[StoredCheckpoint]:
    """The checkpoints in a trial's folder, by fence; none if there is no folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "000002-40.point").write_bytes(b"123")
        >>> [found] = list_checkpoints(folder)
        >>> found.kind, found.fence, found.step, found.size
        ('point', 2, 40, 3)
    """
    found = []
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        kind = _KINDS.get(path.suffix)
        fence, _, step = path.stem.partition("-")
        if kind is None or not fence.isdecimal():
            continue
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # replaced or deleted a moment ago
        found.append(
            StoredCheckpoint(
                kind=kind,
                fence=int(fence),
                step=int(step) if step.isdecimal() else None,
                size=stat.st_size,
                created_at=stat.st_mtime,
            )
        )
    return found

"""Where the service that runs in a folder is found: its file ``serve.json``."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path


class Announcement:
    """A server's process id and URL, for whoever looks for it in its folder.

    Of several servers in one folder the latest is announced; when it ends, another announces
    itself again.

    Args:
        home: the folder.
        url: where the server answers.
    """

    def __init__(self, home: Path, url: str) -> None:
        self._path = home / "serve.json"
        self._text = json.dumps({"pid": os.getpid(), "url": url})

    def write(self) -> None:
        """Announces the server; a reader finds the file whole or not at all."""
        part = self._path.with_suffix(f".{os.getpid()}.tmp")
        part.write_text(self._text, encoding="utf-8")
        part.replace(self._path)

    def keep(self) -> None:
        """Announces the server again where no other is announced."""
        if not self._path.exists():
            with suppress(FileNotFoundError):  # its folder is just going
                self.write()

    def remove(self) -> None:
        """Takes it back; that of another server stays."""
        with suppress(FileNotFoundError):  # its folder is gone, or a newer server has just ended
            if self._path.read_text(encoding="utf-8") == self._text:
                self._path.unlink()

"""A private PostgreSQL server of the tests, which can be stopped and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Literal, Self


def find_program(name: str) -> Path | None:
    """A program of PostgreSQL, from ``PATH`` or of the newest version installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which(name):
        folders.insert(0, Path(found).parent)
    return next((folder / name for folder in folders if (folder / name).exists()), None)


class PostgresServer:
    """A cluster of its own in a new folder, on a free port; a context manager that removes it.

    Args:
        folder: where the folder is made; by default among the temporary files.
        fsync: wait for the disk at each commit, as PostgreSQL does by default.
        journal_elsewhere: keep its write-ahead log among the temporary files all the same.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        fsync: bool = False,
        journal_elsewhere: bool = False,
    ) -> None:
        self._fsync = "on" if fsync else "off"
        self._elsewhere = folder is not None
        initdb = find_program("initdb")
        if initdb is None:
            raise FileNotFoundError("initdb, a program of PostgreSQL")
        self._control = str(initdb.with_name("pg_ctl"))
        self.place = Path(tempfile.mkdtemp(prefix="alphagrad-pg-", dir=folder))
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        shutil.chown(self.place, self._user)
        self._data = str(self.place / "data")
        self._port = _free_port()
        self.url = f"postgresql://alphagrad@127.0.0.1:{self._port}"
        """The server, without a database."""
        options = ["-D", self._data, "-U", "alphagrad", "--auth=trust", "-E", "UTF8"]
        self._journal: Path | None = None
        if journal_elsewhere:
            self._journal = Path(tempfile.mkdtemp(prefix="alphagrad-pg-"))
            shutil.chown(self._journal, self._user)
            options += ["--waldir", str(self._journal / "journal")]
        self._run(str(initdb), *options)

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the server and delete its folder."""
        self.stop()
        if self._journal is not None:
            shutil.rmtree(self._journal)
        if self._elsewhere:
            shutil.rmtree(self.place)
            return
        # Hundreds of databases are gigabytes in a hundred thousand files: not waited for.
        delete = ["sh", "-c", 'rm -rf "$1" >/dev/null 2>&1 &', "sh", str(self.place)]
        subprocess.run(delete, check=True)

    def start(self) -> None:
        options = f"-p {self._port} -k {self.place} -c listen_addresses=127.0.0.1"
        options += f" -c fsync={self._fsync}"
        log = str(self.place / "log")
        self._run(self._control, "-D", self._data, "-o", options, "-l", log, "-w", "start")

    def stop(self, mode: Literal["fast", "immediate"] = "immediate") -> None:
        """Stop it: ``fast`` in good order, ``immediate`` as if it crashed."""
        self._run(self._control, "-D", self._data, "-m", mode, "-w", "stop")

    def _run(self, *command: str) -> None:
        as_user: dict[str, Any] = {"user": self._user} if os.geteuid() == 0 else {}
        subprocess.run(command, check=True, cwd=self.place, stdout=subprocess.DEVNULL, **as_user)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

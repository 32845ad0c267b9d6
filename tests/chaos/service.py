"""Real workers and servers of one database, started, found, killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from alphagrad.tuner.trial_process import ONLY_TASK

Kind = Literal["worker", "trial", "forkserver", "supervisor", "server"]
KEY = "ag_the-key-of-the-chaos"
TASK = Path(__file__).with_name("chaos_task.py")


@dataclass
class Place:
    """A database, a folder, and the processes that work there.

    Args:
        folder: for state, logs, the journal and the task's package.
        url: the database.
        lease: seconds of a worker's lease.
        slots: of each worker.
    """

    folder: Path
    url: str
    lease: float = 4.0
    slots: int = 2
    _started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _environments: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plugin = self.folder / "plugin"
        information = plugin / "chaos_task-1.0.dist-info"
        information.mkdir(parents=True)
        shutil.copy(TASK, plugin)
        (information / "METADATA").write_text("Name: chaos-task\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(
            "[alphagrad.tasks]\nchaos = chaos_task:chaos\n"
        )
        self.journal.touch()

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def log(self) -> str:
        """What all processes logged."""
        paths = sorted(self.folder.glob("*.log"))
        return "\n".join(path.read_text(errors="replace") for path in paths)

    def start(self, name: str, **environment: str) -> None:
        """Start a worker, or by these names the ``supervisor`` or the ``server``."""
        home = self.folder / ("server" if name == "server" else "home")
        home.mkdir(exist_ok=True)
        options = {
            "server": ["serve", "--port", "0", "--no-worker"],
            "supervisor": ["serve", "--port", "0"],
        }.get(name, ["worker"])
        if "worker" not in options:
            (home / "serve.json").unlink(missing_ok=True)
        self._environments[name] = environment
        own = str(self.folder / "plugin")
        path = os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))
        given = {
            "ALPHAGRAD_HOME": str(home),
            "ALPHAGRAD_DATABASE_URL": self.url,
            "ALPHAGRAD_SLOTS": str(self.slots),
            "ALPHAGRAD_LEASE_SECONDS": str(self.lease),
            "ALPHAGRAD_API_KEY": KEY,
            "CHAOS_JOURNAL": str(self.journal),
            ONLY_TASK: "chaos",
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self._started[name] = subprocess.Popen(
                [sys.executable, "-m", "alphagrad", *options],
                env=os.environ | given | environment | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def mend(self) -> int:
        """Start again what has ended; says how many that were."""
        dead = [name for name, process in self._started.items() if process.poll() is not None]
        for name in dead:
            self.start(name, **self._environments[name])
        return len(dead)

    def is_started(self, name: str) -> bool:
        """Whether something was started under a name."""
        return name in self._started

    def pid(self, name: str) -> int:
        """The process id of what was started under a name."""
        return self._started[name].pid

    def client(self, name: str = "server") -> httpx.Client | None:
        """A client of the server or supervisor, if it listens."""
        home = self.folder / ("server" if name == "server" else "home")
        with suppress(OSError, ValueError):
            url = json.loads((home / "serve.json").read_text())["url"]
            return httpx.Client(
                base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=10.0
            )
        return None

    def submit(self, body: dict[str, Any]) -> bool:
        """Submit a study by REST; says whether the server took it (now or before)."""
        client = self.client()
        if client is None:
            return False
        with client, suppress(httpx.HTTPError):
            answer = client.post("/v1/studies", json=body)
            assert answer.status_code in (202, 409, 503), answer.text
            return answer.status_code in (202, 409)
        return False

    def processes(self) -> Iterator[tuple[int, Kind | None]]:
        """All that live here, by what they carry in their environment."""
        mark = f"CHAOS_JOURNAL={self.journal}\0".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes() + b"\0":
                    yield int(entry.name), _kind(int(entry.name), (entry / "cmdline").read_bytes())

    def of_kind(self, kind: Kind) -> list[int]:
        """The processes of one kind."""
        return [pid for pid, found in self.processes() if found == kind]

    def kill_all(self) -> int:
        """Kill everything at once; says how many that were."""
        killed = 0
        while pids := [pid for pid, _ in self.processes()]:
            killed = max(killed, len(pids))
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for process in self._started.values():
                process.poll()
            time.sleep(0.02)
        for process in self._started.values():
            process.wait()
        self._started.clear()
        return killed

    def stop(self, name: str) -> int:
        """Stop one process in good order; gives its exit code."""
        process = self._started.pop(name)
        process.terminate()
        return process.wait(30)


def _kind(pid: int, command: bytes) -> Kind | None:
    words = command.split(b"\0")
    if b"multiprocessing.forkserver" in command:
        return "trial" if os.getsid(pid) == pid else "forkserver"
    if b"worker" in words:
        return "worker"
    if b"serve" in words:
        return "server" if b"--no-worker" in words else "supervisor"
    return None

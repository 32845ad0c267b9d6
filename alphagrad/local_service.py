"""A service on this machine, with one folder for all its state, started when it does not run."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 60.0
STOP_SECONDS = 30.0
LOOK_SECONDS = 0.1
ANSWER_SECONDS = 15.0
"""A server that is only slow must not be taken for gone: a second one would start beside it."""
REFUSED = (401, 403, 404)
"""What a server answers that is not the folder's: it does not know the key, or the path."""
ELSEWHERE = {
    "ALPHAGRAD_API_KEY_FILE",
    "ALPHAGRAD_DATABASE_URL",
    "ALPHAGRAD_DATABASE_URL_FILE",
    "ALPHAGRAD_HOST",
}
"""Settings of the user's own service, which is another one."""


class ServiceError(RuntimeError):
    """The service does not start or stop; the message says what to look at."""


class LocalService:
    """The service whose folder this is.

    Args:
        home: the folder; made if it is not there.

    Attributes:
        home: that folder.
        log: the file that a service started from here writes its log to.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        """Whether it was started from here."""
        return self._process is not None

    @property
    def key(self) -> str:
        """Its API key, kept in the folder so that the next one finds it again."""
        path = self.home / "demo-key"
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(f"ag_{secrets.token_urlsafe(24)}")
        return path.read_text(encoding="utf-8")

    @property
    def url(self) -> str | None:
        """Where it answers, if it does: a server that does not take the folder's key is another."""
        with suppress(ServiceError):
            return self._own().get("url")
        return None

    def start(self) -> str:
        """Starts it if it does not run; it outlives this process.

        Returns:
            Its URL.

        Raises:
            ServiceError: it did not come up, or what runs there does not take the folder's key.
        """
        if own := self._own():
            return str(own["url"])
        key = self.key
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "alphagrad",
                    "serve",
                    "--home",
                    self.home,
                    "--port",
                    _port(),
                ],
                env={name: value for name, value in os.environ.items() if name not in ELSEWHERE}
                | {"ALPHAGRAD_API_KEY": key},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            return self._came_up(self._process)
        except BaseException:  # also Ctrl-C: nothing is left behind that nobody knows of
            self._process.terminate()
            self._process.wait()
            self._process = None
            raise

    def _came_up(self, process: subprocess.Popen[bytes]) -> str:
        give_up_at = time.monotonic() + START_SECONDS
        while (url := self.url) is None:
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise ServiceError(f"the service did not start; its log is {self.log}")
            time.sleep(LOOK_SECONDS)
        return url

    def stop(self) -> None:
        """Stops it; trials that run are given back, to go on from their checkpoints.

        Raises:
            ServiceError: none runs there that takes the folder's key, or it does not stop.
        """
        if self._process is not None and self._process.poll() is None:
            pid = self._process.pid
        elif own := self._own():
            pid = own["pid"]
        else:
            raise ServiceError(f"no service runs in {self.home}")
        os.kill(pid, signal.SIGTERM)
        give_up_at = time.monotonic() + STOP_SECONDS
        while self._runs(pid):
            if time.monotonic() > give_up_at:
                raise ServiceError(f"process {pid} did not stop in {STOP_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)
        self._process = None

    def _runs(self, pid: int) -> bool:
        """Whether the service has not ended yet; the file of one that is not our child tells."""
        if self._process is not None:
            return self._process.poll() is None
        return self._announced().get("pid") == pid

    def _own(self) -> dict[str, Any]:
        """What the folder says of a server that takes its key, or nothing.

        Where the announced process is gone, the file is from before and its address somebody's.

        Raises:
            ServiceError: the server there refuses the key. It may run in the folder with a key of
                its own, and a second one must not start beside it.
        """
        said = self._announced()
        status = self._status(said)
        if status is None or not _is_alive(said["pid"]):
            return {}
        if status in REFUSED:
            raise ServiceError(
                f"{said['url']} answers {status} to the key in {self.home}/demo-key: stop process "
                f"{said['pid']}, or delete {self.home}/serve.json if that is another server"
            )
        # One of ours whose database is away, or that was asked too often, is ours all the same.
        ours = status in (httpx.codes.OK, httpx.codes.TOO_MANY_REQUESTS) or status >= 500
        return said if ours else {}

    def _status(self, said: Mapping[str, Any]) -> int | None:
        """What an announced server answers the folder's key with; ``None`` if none answers."""
        if (url := said.get("url")) is None:
            return None
        bearer = {"Authorization": f"Bearer {self.key}"}
        least = f"{url}/v1/studies?page_size=1"  # of what no one else may read
        try:
            # No proxy knows this machine's own addresses.
            return httpx.get(
                least, headers=bearer, timeout=ANSWER_SECONDS, trust_env=False
            ).status_code
        except httpx.TransportError:
            return None

    def _announced(self) -> dict[str, Any]:
        """What the folder says of the server in it: its pid and URL, or nothing."""
        try:
            said: dict[str, Any] = json.loads(
                (self.home / "serve.json").read_text(encoding="utf-8")
            )
        except (FileNotFoundError, ValueError):
            return {}
        return said


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def _port() -> str:
    """The usual port, or 0 (any free one) if somebody has it."""
    with socket.socket() as probe:
        return "0" if probe.connect_ex(("127.0.0.1", 8000)) == 0 else "8000"

"""A worker beside the API: a process of its own, started again when it dies."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

from alphagrad.tuner.settings import TunerSettings

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
HEALTHY_SECONDS = 60.0
STOP_SECONDS = 10.0


class WorkerProcess:
    """Keeps one worker process running.

    It is handed its settings in the environment, where no other user can read a database's
    password, and ends by itself when this process is gone: its standard input then closes.
    """

    def __init__(self, settings: TunerSettings) -> None:
        # A worker has no use for the API's key, and what a task runs must not see it.
        keys = ("ALPHAGRAD_API_KEY", "ALPHAGRAD_API_KEY_FILE")
        environment = {k: v for k, v in os.environ.items() if k not in keys}
        self._environment = environment | {
            "ALPHAGRAD_HOME": str(settings.home.absolute()),
            "ALPHAGRAD_DATABASE_URL": settings.url,
            "ALPHAGRAD_SLOTS": str(settings.slots),
            "ALPHAGRAD_LEASE_SECONDS": str(settings.lease_seconds),
        }
        if settings.ray_address is not None:
            self._environment["ALPHAGRAD_RAY_ADDRESS"] = settings.ray_address
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name="alphagrad-supervisor")

    def start(self) -> None:
        """Start the worker, and watch it from a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the worker; it gives its trials back."""
        self._stopping.set()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("the worker did not stop in %.0f s and is killed", STOP_SECONDS)
                self._process.kill()
        self._thread.join()

    def _supervise(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            started = time.monotonic()
            with subprocess.Popen(
                [sys.executable, "-m", "alphagrad", "worker", "--with-parent"],
                stdin=subprocess.PIPE,
                env=self._environment,
            ) as self._process:
                if self._stopping.is_set():
                    self._process.terminate()
                code = self._process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - started > HEALTHY_SECONDS:
                pause = FIRST_PAUSE
            logger.error("the worker ended with code %d; next start in %.1f s", code, pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

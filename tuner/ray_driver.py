"""The Ray driver: a worker of engine ``ray`` in a process of its own, started while there is work.

Ray ends the process that holds its connection in ways that a worker must survive: SIGTERM aborts
it, and so does the loss of its node.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from alphagrad.tuner.database import Database
from alphagrad.tuner.log_format import configure_logging
from alphagrad.tuner.ray_cluster import OUR_SECRETS, driver_environment, environment
from alphagrad.tuner.settings import TunerSettings

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 300.0
HEALTHY_SECONDS = 60.0
IDLE_SECONDS = 30.0
"""A driver without work for so long ends, and Ray with it."""
STOP_SECONDS = 6.0


class RayDriver:
    """Keeps a driver running while there is work for one.

    Args:
        settings: of the worker.
        study: work for this study alone; by default for all.
    """

    def __init__(self, settings: TunerSettings, *, study: str | None) -> None:
        self._settings = settings
        self._study = study
        self._process: SpawnProcess | None = None
        self._line: Connection | None = None
        self._started_at = self._not_before = 0.0
        self._pause = FIRST_PAUSE

    def tend(self, has_work_for: Callable[[str], bool]) -> None:
        """Start the driver if it is needed, again if it has died; call it about twice a second."""
        now = time.monotonic()
        if self._process is not None:
            if (code := self._process.exitcode) is None:
                return
            self._forget()
            if code:
                if now - self._started_at > HEALTHY_SECONDS:
                    self._pause = FIRST_PAUSE
                logger.error(
                    "the Ray driver ended with code %d; next start in %.1f s", code, self._pause
                )
                self._rest(now)
            elif has_work_for("ray"):
                # It ended since nothing of that fits: the next one may see a larger cluster.
                self._rest(now)
            else:
                self._pause = FIRST_PAUSE
        if now >= self._not_before and has_work_for("ray"):
            self._start()

    def _rest(self, now: float) -> None:
        self._not_before = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def stop(self) -> None:
        """Stop the driver; it gives its trials back."""
        if self._process is None or self._line is None:
            return
        self._line.close()
        self._process.join(STOP_SECONDS)
        if self._process.exitcode is None:
            logger.warning("the Ray driver did not stop in %.0f s and is killed", STOP_SECONDS)
            self._process.kill()
            self._process.join()
        self._forget()

    def _start(self) -> None:
        self._started_at = time.monotonic()
        context = multiprocessing.get_context("spawn")
        theirs, self._line = context.Pipe(duplex=False)
        self._process = context.Process(
            target=drive,
            args=(self._settings, self._study, theirs, logging.getLogger().getEffectiveLevel()),
            name="alphagrad-ray",
        )
        # The password comes in the settings, as its environment may be seen by Ray's processes.
        with environment(driver_environment(self._settings) | dict.fromkeys(OUR_SECRETS)):
            self._process.start()
        theirs.close()
        logger.info("Ray driver started, process %d", self._process.pid)

    def _forget(self) -> None:
        if self._process is not None:
            self._process.close()
        if self._line is not None:
            self._line.close()
        self._process = self._line = None


def drive(settings: TunerSettings, study: str | None, parent: Connection, level: int) -> None:
    """Work until there is nothing to do, or until the parent closes its end: the driver's process.

    Args:
        settings: of the worker.
        study: work for this study alone.
        parent: nothing is sent here; its end is the sign to stop.
        level: what is logged.
    """
    os.setsid()  # Ctrl-C is the parent's to handle
    configure_logging(level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    from alphagrad.tuner.ray_executor import RayExecutor
    from alphagrad.tuner.worker import Worker

    database = Database(settings.url)
    worker = Worker(database, settings, study=study, executor=RayExecutor(settings))

    def wait_for_parent() -> None:
        with suppress(EOFError, OSError):
            parent.recv()
        worker.stop()

    threading.Thread(target=wait_for_parent, daemon=True).start()
    busy_at = time.monotonic()

    def tick() -> None:
        nonlocal busy_at
        if not worker.is_idle:
            busy_at = time.monotonic()
        elif time.monotonic() - busy_at > IDLE_SECONDS:
            worker.stop()

    worker.run(on_tick=tick)
    database.dispose()

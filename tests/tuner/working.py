"""A worker in a thread of the test's process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from alphagrad.tuner.database import Database
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_store import get_study
from alphagrad.tuner.worker import Worker


class Working:
    """A worker in a thread of the test's process."""

    def __init__(self, database: Database, settings: TunerSettings) -> None:
        self.worker = Worker(database, settings)
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:  # noqa: BLE001  (told to the test)
            self.error = error

    def stop(self) -> None:
        self.worker.stop()
        self._thread.join()
        if self.error is not None:
            raise self.error

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()


def run_to_its_end(
    database: Database, settings: TunerSettings, name: str, until: Callable[..., Any]
) -> None:
    """Let a worker run a study to its end."""
    working = Working(database, settings)
    try:
        until(lambda: get_study(database, name).ended)
    finally:
        working.stop()

"""A worker in a thread of the test's process."""

from __future__ import annotations

import threading

from alphagrad.tuner.database import Database
from alphagrad.tuner.settings import TunerSettings
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

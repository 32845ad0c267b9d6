"""Running a study in this process's own worker, without a server."""

from __future__ import annotations

import time
from collections.abc import Callable

from alphagrad.tuner.database import Database, retry_on_disconnect
from alphagrad.tuner.errors import FieldError, SpecError
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.study_store import StudyStatus, create_study, get_study
from alphagrad.tuner.worker import Worker

PROGRESS_SECONDS = 0.5


def run_study(
    spec: StudySpec,
    settings: TunerSettings | None = None,
    *,
    on_progress: Callable[[StudyStatus], None] | None = None,
) -> StudyStatus:
    """Submit a study, run it to its end, and return how it ended.

    The rows in SQL are those that a server would leave.

    Args:
        spec: what to run.
        settings: where; by default as the environment says.
        on_progress: called about twice a second with the study as it stands, not while the
            database is away.

    Raises:
        DuplicateStudyError: the name is taken.
        SpecError: its engine is ``remote``: nobody could ask for its trials here.

    Example::

        from alphagrad.tuner import load_spec, run_study
        status = run_study(load_spec(Path("studies/digits.toml")))
        print(status.best.value, status.best.params)
    """
    if spec.engine == "remote":
        message = "its trials are asked for over HTTP: submit it to a server (alphagrad serve)"
        raise SpecError([FieldError("engine", spec.engine, message)])
    settings = settings or TunerSettings()
    database = Database(settings.url)
    try:
        migrate(database)
        _submit(database, spec)
        worker = Worker(database, settings, study=spec.name)
        next_call = 0.0

        def tick() -> None:
            nonlocal next_call
            if on_progress is not None and time.monotonic() >= next_call:
                next_call = time.monotonic() + PROGRESS_SECONDS
                on_progress(get_study(database, spec.name))

        worker.run(on_tick=tick)
        status = retry_on_disconnect(lambda: get_study(database, spec.name))
        if on_progress is not None:
            on_progress(status)
        return status
    finally:
        database.dispose()


def _submit(database: Database, spec: StudySpec) -> None:
    optuna_storage = OptunaStorage(database)
    try:
        create_study(database, optuna_storage, spec)
    finally:
        optuna_storage.dispose()

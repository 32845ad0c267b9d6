"""A copy made while a worker writes is sound, and a worker finishes the study from it."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alphagrad.tuner.backup import backup
from alphagrad.tuner.check import check_database
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import SettingsError
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_store import get_study
from alphagrad.tuner.worker import Worker
from tests.postgres import find_program
from tests.tuner.by_hand import play

SMALL = {"epochs": 1, "batch_size": 256, "hidden_sizes": [8]}
TRIALS = 40  # so many that a slow copy is made before the last


def dump(url: str, file: Path, restored: str) -> None:
    """Copy a PostgreSQL database as docs/storage.md says."""
    for program, *arguments in (
        ["pg_dump", "--format=custom", f"--file={file}", url],
        ["pg_restore", "--exit-on-error", f"--dbname={restored}", str(file)],
    ):
        found = find_program(program)
        assert found is not None
        subprocess.run([str(found), *arguments], check=True, env=os.environ)


def test_a_worker_finishes_a_study_from_a_copy_made_under_load(
    database: Database, settings: TunerSettings, submit: Callable[..., StudyRow], tmp_path: Path,
    until: Callable[..., Any], request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    params = {**SMALL, "alpha": {"type": "float", "low": 1.0, "high": 100.0}}
    submit(n_trials=TRIALS, parallelism=2, params=params)
    copy = tmp_path / "copies" / "copy"
    restored = f"sqlite:///{copy}"
    if not database.is_sqlite:
        restored = request.getfixturevalue("new_postgres")()
    worker = Worker(database, settings, study="s")
    thread = threading.Thread(target=worker.run)
    thread.start()
    until(lambda: get_study(database, "s").finished_trials >= 3, seconds=60)
    if database.is_sqlite:
        backup(database, copy)
    else:
        copy.parent.mkdir()
        dump(settings.url, copy, restored)
    worker.stop()
    thread.join()
    again = Database(restored)
    try:
        assert check_database(again) == []
        before = get_study(again, "s")
        assert 3 <= before.finished_trials < TRIALS
        with again.write() as session:  # instead of waiting until the lost worker's leases end
            session.connection().exec_driver_sql(
                "UPDATE alphagrad_trials SET lease_expires_at = 1 WHERE state = 'RUNNING'"
            )
        elsewhere = settings.model_copy(update={"home": tmp_path / "elsewhere"})
        Worker(again, elsewhere, study="s").run()
        after = get_study(again, "s")
        assert (after.row.state, after.trials) == ("COMPLETED", {"COMPLETE": TRIALS})
        assert check_database(again) == []
    finally:
        again.dispose()


def test_a_copy_is_one_file_and_overwrites_nothing(
    tmp_path: Path, database: Database, submit: Callable[..., StudyRow],
    optuna_storage: OptunaStorage,
) -> None:  # fmt: skip
    submit(n_trials=1)
    play(database, optuna_storage, ["COMPLETE"])
    copy = tmp_path / "copies" / "copy.db"
    if not database.is_sqlite:
        with pytest.raises(SettingsError, match="use pg_dump"):
            backup(database, copy)
        return
    backup(database, copy)
    assert [path.name for path in copy.parent.iterdir()] == ["copy.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError, match="choose another name"):
        backup(database, copy)
    again = Database(f"sqlite:///{copy}")
    assert get_study(again, "s").row.state == "COMPLETED"
    again.dispose()

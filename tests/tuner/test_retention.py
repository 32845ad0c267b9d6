"""What is deleted is gone everywhere, and nothing else is, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from alphagrad.tuner import results, retention
from alphagrad.tuner.check import check_database
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import ConflictError, StaleFenceError, StudyNotFoundError
from alphagrad.tuner.lists import list_studies, list_trials
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.retention import delete_study, prune
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_changes import cancel_study
from alphagrad.tuner.study_store import get_study
from tests.tuner.by_hand import play, play_one

Submit = Callable[..., StudyRow]


def counts(database: Database) -> dict[str, int]:
    """Rows by table, Optuna's too; not those of versions."""
    tables = [name for name in inspect(database.engine).get_table_names() if "version" not in name]
    with database.engine.connect() as connection:
        return {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in tables
        }


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"1234")
    return path


def test_a_deleted_study_leaves_nothing_and_its_neighbour_everything(
    database: Database, settings: TunerSettings, submit: Submit, optuna_storage: OptunaStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(retention, "CHUNK", 2)
    submit(name="kept", n_trials=2)
    play(database, optuna_storage, ["COMPLETE", "PRUNED"])
    before = counts(database)
    row = submit(n_trials=3)
    play(database, optuna_storage, ["COMPLETE", "PRUNED", "FAIL"])
    checkpoint = touch(settings.checkpoint_dir(row.id, 0) / "000001.pt")
    log = touch(settings.log_path("s", 0))
    delete_study(database, settings, "s")
    assert {**counts(database), "alphagrad_events": 0} == {**before, "alphagrad_events": 0}
    assert not checkpoint.parent.parent.exists()
    assert not log.parent.exists()
    assert [status.row.name for status in list_studies(database)] == ["kept"]
    assert not optuna_storage.has_study("s")
    assert check_database(database) == []
    with pytest.raises(StudyNotFoundError):
        delete_study(database, settings, "s")


def test_the_name_and_the_id_are_free_for_another_study(
    database: Database, settings: TunerSettings, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=2)
    play(database, optuna_storage, ["COMPLETE", "COMPLETE"])
    delete_study(database, settings, "s")
    submit(n_trials=1)
    optuna_storage.forget(get_study(database, "s").row.optuna_study_id or 0)
    play(database, optuna_storage, ["COMPLETE"])
    assert [trial.number for trial in list_trials(database, "s")] == [0]
    assert check_database(database) == []


def test_a_study_that_has_not_ended_stays(
    database: Database, settings: TunerSettings, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=2)
    with pytest.raises(ConflictError, match="QUEUED and has not ended"):
        delete_study(database, settings, "s")
    play_one(database, optuna_storage, None)
    cancel_study(database, "s")
    with pytest.raises(ConflictError, match="CANCELLED and has not ended"):
        delete_study(database, settings, "s")


def test_prune_leaves_the_checkpoints_that_a_trial_may_go_on_from(
    database: Database, settings: TunerSettings, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    row = submit(n_trials=3)
    play_one(database, optuna_storage, "COMPLETE")
    play_one(database, optuna_storage, None)
    kept = touch(settings.checkpoint_dir(row.id, 1) / "000001.pt")
    for unneeded in (settings.checkpoint_dir(row.id, 0), settings.checkpoint_dir(row.id + 9, 4)):
        touch(unneeded / "000001.pt")
    log, old_log = touch(settings.log_path("s", 0)), touch(settings.log_path("gone", 0))
    done = prune(database, settings)
    assert (done.checkpoints, done.bytes, done.logs, done.rows) == (2, 8, 1, 0)
    assert kept.exists()
    assert log.exists()
    assert not settings.checkpoint_dir(row.id, 0).exists()
    assert not settings.checkpoint_dir(row.id + 9, 4).parent.exists()
    assert not old_log.parent.exists()


def test_prune_leaves_what_is_begun_meanwhile(
    database: Database, settings: TunerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = touch(settings.checkpoint_dir(9, 0) / "000001.pt")
    new = settings.checkpoint_dir(9, 1) / "000001.pt"
    size = retention._size

    def slow(file: Path) -> int:
        touch(new)
        old.unlink(missing_ok=True)  # as its worker may do at this moment
        return size(file)

    monkeypatch.setattr(retention, "_size", slow)
    assert prune(database, settings).checkpoints == 1
    assert new.exists()
    assert not old.parent.exists()


def test_what_a_deleted_trial_says_is_refused(
    database: Database, settings: TunerSettings, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=1)
    [claimed] = play(database, optuna_storage, ["COMPLETE"])
    delete_study(database, settings, "s")
    with pytest.raises(StaleFenceError, match="its study was deleted"):
        results.finish(database, trial_id=claimed.trial.id, fence=1, state="COMPLETE", value=1.0)


def test_details_of_old_studies_alone_are_deleted(
    database: Database, settings: TunerSettings, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(name="old", n_trials=2)
    play(database, optuna_storage, ["COMPLETE", "PRUNED"])
    submit(name="new", n_trials=1)
    play(database, optuna_storage, ["COMPLETE"])
    logs = {name: touch(settings.log_path(name, 0)) for name in ("old", "new")}
    with database.write() as session:
        session.execute(
            text("UPDATE alphagrad_studies SET finished_at = finished_at - 10 * 86400 "
                 "WHERE name = 'old'")
        )  # fmt: skip
    before = counts(database)
    assert prune(database, settings, details_after_days=11).rows == 0
    done = prune(database, settings, details_after_days=9)
    assert (done.rows, done.logs) == (8, 1)
    after = counts(database)
    assert (after.pop("alphagrad_traces"), after.pop("alphagrad_metrics")) == (2, 2)
    assert after.items() <= before.items()
    assert [path.exists() for path in logs.values()] == [False, True]

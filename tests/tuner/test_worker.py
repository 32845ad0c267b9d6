"""Studies from submission to end, run by real workers on both databases."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial
from sqlalchemy import select, text

from alphagrad.tuner import StudySpec, histograms, lease_ends, leases, results, run_study
from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import ConflictError, DuplicateStudyError, StaleFenceError
from alphagrad.tuner.knobs import list_knobs, request_knob
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.models import KnobRow, StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.running_trial import RunningTrial
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.starter import Starter
from alphagrad.tuner.study_changes import cancel_study, stop_study
from alphagrad.tuner.study_store import create_study, get_study, get_trial
from alphagrad.tuner.traces import read_trace
from alphagrad.tuner.trial_process import LocalExecutor
from tests.marks import on_postgresql, on_sqlite, with_ray_on_sqlite
from tests.processes import descendants
from tests.tuner.books import check_books
from tests.tuner.working import Working

Spec = Callable[..., StudySpec]
Submit = Callable[..., StudyRow]
Until = Callable[..., Any]
OptunaTrials = Callable[[Database, str], list[FrozenTrial]]


SMALL = {"epochs": 1, "batch_size": 256, "hidden_sizes": [8]}
LAYERS = ["hidden1.weight", "hidden1.bias", "logits.weight", "logits.bias"]


def test_a_study_ends_with_exactly_its_trials(
    settings: TunerSettings, database: Database, spec: Spec, optuna_trials: OptunaTrials
) -> None:
    seen: list[int] = []
    status = run_study(
        spec(n_trials=5, parallelism=2),
        settings,
        on_progress=lambda now: seen.append(now.finished_trials),
    )
    assert status.row.state == "COMPLETED"
    assert status.trials == {"COMPLETE": 5}
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 5)
    trials = list_trials(database, "s")
    check_books(database, "s", optuna_trials(database, "s"))
    assert status.best is not None
    assert status.best.value == max(trial.value or 0.0 for trial in trials)
    assert len({trial.seed for trial in trials}) == 5
    for trial in trials:
        assert (trial.attempt, trial.losses) == (1, 0)
        trace = read_trace(database, trial)
        assert trace.layers == LAYERS
        assert trace.steps == [1, 2, 3, 4, 5, 6]  # 1,437 images in batches of 256
        assert np.allclose(trace.alpha, (trial.params or {})["alpha"])
        assert np.isfinite(trace.saturation).all()
        assert 0.0 <= trace.saturation.min() <= trace.saturation.max() <= 1.0
        assert settings.log_path("s", trial.number or 0).exists()
    with pytest.raises(DuplicateStudyError):
        run_study(spec(n_trials=1), settings)


def test_a_study_is_repeated_by_its_seed_on_either_database(
    tmp_path: Path, spec: Spec, new_postgres: Callable[[], str]
) -> None:
    results = []
    for place, url in (("a", None), ("b", new_postgres())):
        settings = TunerSettings.model_validate(
            {"home": tmp_path / place, "slots": 1, "database_url": url}
        )
        run_study(spec(n_trials=3, sampler={"type": "tpe", "n_startup_trials": 1}), settings)
        database = Database(settings.url)
        results.append([(t.seed, t.params, t.value) for t in list_trials(database, "s")])
        database.dispose()
    assert results[0] == results[1]
    assert len({str(params) for _, params, _ in results[0]}) == 3


def test_the_pruner_ends_a_trial_and_its_reports_stay(
    settings: TunerSettings, database: Database, spec: Spec, optuna_trials: OptunaTrials
) -> None:
    pruner = {"type": "threshold", "lower": 0.999, "n_warmup_steps": 3}
    params = spec().params | {"epochs": 50}
    one = spec(n_trials=2, pruner=pruner).model_copy(update={"params": params})
    assert run_study(one, settings).trials == {"PRUNED": 2}
    theirs = optuna_trials(database, "s")
    check_books(database, "s", theirs)
    for trial in theirs:
        assert list(trial.intermediate_values) == [1, 2, 3]
        assert trial.value == trial.intermediate_values[3]


@with_ray_on_sqlite
def test_a_knob_turns_at_once_and_shows_in_the_trace(
    engine: str,
    database: Database,
    submit: Submit,
    work: Callable[[], Working],
    until: Until,
    optuna_trials: OptunaTrials,
) -> None:
    endless = SMALL | {"epochs": 100_000}
    submit(name="turned", n_trials=1, params=endless | {"alpha": 10.0})
    submit(name="adam", n_trials=1, params=endless | {"optimizer": "adam"})
    work()
    until(lambda: len(list_trials(database, "turned")) and len(list_trials(database, "adam")))
    turned, adam = get_trial(database, "turned", 0), get_trial(database, "adam", 0)
    until(lambda: read_trace(database, get_trial(database, "turned", 0)).steps)
    until(lambda: optuna_trials(database, "adam")[0].intermediate_values)

    def turn() -> list[KnobRow]:
        asked = [
            request_knob(database, turned, layers="hidden1.*", alpha=50.0, pin=True).id,
            request_knob(database, turned, layers="none.*", alpha=1.0).id,
            request_knob(database, adam, alpha=1.0).id,
        ]

        def answered() -> list[KnobRow]:
            rows = list_knobs(database, turned.id) + list_knobs(database, adam.id)
            rows = [row for row in rows if row.id in asked]
            return rows if all(row.state != "requested" for row in rows) else []

        rows: list[KnobRow] = until(answered)
        assert [row.id for row in rows] == asked
        return rows

    def seconds(rows: list[KnobRow]) -> float:
        return max((row.answered_at or math.inf) - row.requested_at for row in rows)

    first = turn()
    # A machine under load may stall for a second, but not three times in a row.
    fast = {"optuna": 1.0, "ray": 2.0}[engine]
    assert any(seconds(rows) < fast for rows in chain([first], (turn() for _ in range(2))))
    applied, unmatched, without = first
    assert (applied.state, applied.reason) == ("applied", None)
    assert (unmatched.state, without.state) == ("rejected", "rejected")
    assert "no layer matches 'none.*'" in (unmatched.reason or "")
    assert "no alpha: Adam" in (without.reason or "")

    asked = [
        histograms.ask(database, trial, layers="hidden1.*", bins=10) for trial in (turned, adam)
    ]
    told, refused = (
        until(lambda question=question: histograms.read_answer(database, question))
        for question in asked
    )
    assert told.answer is not None
    assert set(told.answer["counts"]) == {"hidden1.weight", "hidden1.bias"}
    assert "has no alpha" in (refused.reason or "")

    step = applied.step
    assert step is not None
    trace = until(
        lambda: (
            (found := read_trace(database, get_trial(database, "turned", 0))).steps[-1] >= step
            and found
        )
    )
    before = np.array(trace.steps) < step
    assert before.any()
    assert step in trace.steps
    assert (trace.alpha[before] == 10.0).all()
    assert (trace.alpha[~before] == [50.0, 50.0, 10.0, 10.0]).all()

    for name in ("turned", "adam"):
        cancel_study(database, name)
        until(lambda name=name: [t.told for t in list_trials(database, name)] == [True])
        [trial] = list_trials(database, name)
        assert (trial.state, trial.error) == ("FAIL", "the study was cancelled")
        assert get_study(database, name).row.state == "CANCELLED"
        check_books(database, name, optuna_trials(database, name))
        with pytest.raises(ConflictError, match="is CANCELLED already"):
            stop_study(database, name)


def test_a_stopped_study_lets_its_trials_end(
    database: Database,
    submit: Submit,
    work: Callable[[], Working],
    until: Until,
    optuna_trials: OptunaTrials,
) -> None:
    submit(n_trials=50, params=SMALL | {"epochs": 30}, parallelism=2)
    work()
    until(lambda: get_study(database, "s").trials.get("RUNNING"))
    status = stop_study(database, "s")
    started = status.row.next_slot
    until(lambda: get_study(database, "s").ended)
    status = get_study(database, "s")
    assert status.row.state == "COMPLETED"
    assert status.trials == {"COMPLETE": started}
    assert started < 50
    check_books(database, "s", optuna_trials(database, "s"))


def test_a_study_out_of_time_starts_no_more_trials(
    settings: TunerSettings, database: Database, spec: Spec, optuna_trials: OptunaTrials
) -> None:
    status = run_study(spec(n_trials=10_000, timeout=1.0), settings)
    assert status.row.state == "COMPLETED"
    assert set(status.trials) == {"COMPLETE"}
    assert 1 <= status.finished_trials < 1000
    assert (status.row.finished_at or 0) - (status.row.started_at or 0) >= 1.0
    check_books(database, "s", optuna_trials(database, "s"))


def test_a_study_whose_trials_all_fail_has_failed(settings: TunerSettings, spec: Spec) -> None:
    params = {"env_id": "NoSuchGame-v0", "total_timesteps": 20, "learning_starts": 10}
    status = run_study(spec(task="dqn", n_trials=2, params=params), settings)
    assert (status.row.state, status.best) == ("FAILED", None)
    assert status.trials == {"FAIL": 2}


@with_ray_on_sqlite
def test_another_worker_goes_on_from_the_checkpoint(
    database: Database,
    settings: TunerSettings,
    submit: Submit,
    work: Callable[[], Working],
    until: Until,
    optuna_trials: OptunaTrials,
) -> None:
    submit(n_trials=1, params=SMALL | {"epochs": 60})
    first = work()
    until(lambda: [t for t in optuna_trials(database, "s") if len(t.intermediate_values) >= 3])
    first.stop()
    [trial] = list_trials(database, "s")
    assert (trial.state, trial.worker, trial.losses) == ("WAITING", None, 0)
    work()
    until(lambda: get_study(database, "s").ended)
    [trial] = list_trials(database, "s")
    assert (trial.state, trial.attempt, trial.number) == ("COMPLETE", 2, 0)
    assert "resumed after epoch" in settings.log_path("s", 0).read_text()
    trace = read_trace(database, trial)
    assert (trace.steps[0], trace.steps[-1]) == (1, 360)
    gaps = np.diff(trace.steps)
    assert gaps.min() == 1
    assert gaps.max() <= 7  # at most an epoch is missing where the worker changed
    [theirs] = optuna_trials(database, "s")
    assert list(theirs.intermediate_values) == list(range(1, 61))
    check_books(database, "s", [theirs])


@on_sqlite  # on PostgreSQL: tests/chaos/test_kills.py
def test_kill_minus_nine_in_the_middle_of_a_study(
    database: Database,
    environment: dict[str, str],
    submit: Submit,
    until: Until,
    gone: Callable[[int], bool],
    optuna_trials: OptunaTrials,
) -> None:
    submit(n_trials=6, parallelism=2, params=SMALL | {"epochs": 30} | ALPHA)
    command = [str(Path(sys.executable).with_name("alphagrad")), "worker"]
    environment |= {"ALPHAGRAD_LEASE_SECONDS": "1"}  # the second is to wait for no longer

    def middle() -> bool:
        """Of two that run once one is finished, one has just begun: it is there to be killed."""
        trials = get_study(database, "s").trials
        return bool(trials.get("COMPLETE") and trials.get("RUNNING") == 2 and trials.get("QUEUED"))

    with subprocess.Popen(command, env=environment) as killed:
        try:
            until(middle)
            children = descendants(killed.pid)
        finally:
            killed.kill()
    assert killed.returncode == -signal.SIGKILL
    left = get_study(database, "s").trials
    assert left["RUNNING"] >= 1
    assert len(children) >= 2  # the forkserver and a trial at least
    for pid in children:
        until(lambda pid=pid: gone(pid), seconds=20)

    with subprocess.Popen(command, env=environment) as second:
        try:
            until(lambda: get_study(database, "s").ended)
        finally:
            second.send_signal(signal.SIGTERM)
    assert second.returncode == 0
    status = get_study(database, "s")
    assert status.row.state == "COMPLETED"
    assert status.trials == {"COMPLETE": 6}
    trials = list_trials(database, "s")
    assert sum(trial.losses for trial in trials) == left["RUNNING"]
    assert sorted(trial.slot for trial in trials) == list(range(6))
    check_books(database, "s", optuna_trials(database, "s"))


ALPHA = {"alpha": {"type": "float", "low": 1.0, "high": 100.0, "log": True}}


def start_one(database: Database, settings: TunerSettings, storage: OptunaStorage) -> RunningTrial:
    """Claim and start one trial as a worker does."""
    executor = LocalExecutor(1)
    starter = Starter(database, settings, storage, worker="one", executor=executor, study=None)
    assert starter.claim()
    [running] = starter.start()
    return running


@on_sqlite
def test_a_trial_whose_forkserver_was_killed_is_taken_over(
    database: Database, settings: TunerSettings, optuna_storage: OptunaStorage, spec: Spec,
    until: Until,
) -> None:  # fmt: skip
    create_study(database, optuna_storage, spec(n_trials=1, params=SMALL | {"epochs": 500}))
    running = start_one(database, settings, optuna_storage)
    try:
        until(lambda: running.process.started_at)
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]
        until(running.handle_messages, seconds=30)
    finally:
        running.kill()
    trial = get_trial(database, "s", 0)
    assert (trial.state, trial.losses, trial.failures) == ("WAITING", 1, 0)
    assert "forkserver" in (list_attempts(database, trial.id)[-1].error or "")
    again = start_one(database, settings, optuna_storage)  # with a forkserver of its own
    again.kill()
    assert again.id == running.id


def test_a_study_that_cannot_be_read_is_left_to_others(
    database: Database, settings: TunerSettings, optuna_storage: OptunaStorage, spec: Spec
) -> None:
    for name in ("newer", "s"):
        create_study(database, optuna_storage, spec(name=name, n_trials=1, params=SMALL))
    with database.write() as session:
        row = session.scalars(select(StudyRow).where(StudyRow.name == "newer")).one()
        row.spec = row.spec | {"shape": "round"}
    running = start_one(database, settings, optuna_storage)
    try:
        assert running.title == "s/0"
        assert get_study(database, "newer").trials["WAITING"] == 1
    finally:
        running.kill()


def test_a_trial_that_cannot_be_judged_is_not_run(
    database: Database, settings: TunerSettings, optuna_storage: OptunaStorage, spec: Spec,
    until: Until,
) -> None:  # fmt: skip
    create_study(database, optuna_storage, spec(n_trials=1, retries=1, params=SMALL))
    first = start_one(database, settings, optuna_storage)
    first.kill()
    lease_ends.give_back(database, trial_id=first.id, fence=first.fence)
    optuna.delete_study(study_name="s", storage=optuna_storage.rdb)  # somebody with Optuna did
    executor, storage = LocalExecutor(1), OptunaStorage(database)
    before = descendants(os.getpid())
    starter = Starter(database, settings, storage, worker="two", executor=executor, study=None)
    assert starter.claim()
    assert starter.start() == []
    storage.dispose()
    until(lambda: descendants(os.getpid()) <= before)
    trial = get_trial(database, "s", 0)
    assert trial.state == "WAITING"
    assert "KeyError" in (list_attempts(database, trial.id)[-1].error or "")


def test_what_comes_after_another_worker_finished_the_trial_is_refused(
    database: Database, settings: TunerSettings, optuna_storage: OptunaStorage, spec: Spec,
    until: Until, optuna_trials: OptunaTrials,
) -> None:  # fmt: skip
    one = spec(n_trials=1, params={**SMALL, "optimizer": "adam"})  # no trace to be refused first
    create_study(database, optuna_storage, one)
    # A worker whose machine slept: it reads its trial's report when another has done the trial.
    running = start_one(database, settings, optuna_storage)
    try:
        with database.write() as session:
            session.execute(text("UPDATE alphagrad_trials SET lease_expires_at = 1"))
        assert lease_ends.reap(database) == 1
        other = leases.claim(database, worker="two", lease_seconds=60, tasks=["digits"])
        assert other is not None
        identity = {"trial_id": other.trial.id, "fence": other.fence}
        results.finish(database, **identity, state="COMPLETE", value=0.5)  # type: ignore[arg-type]
        with pytest.raises(StaleFenceError):
            until(running.handle_messages, seconds=10)
    finally:
        running.kill()
    assert running.id == other.trial.id
    [theirs] = optuna_trials(database, "s")
    assert (theirs.value, theirs.intermediate_values) == (0.5, {})


def test_a_report_with_an_old_fence_changes_nothing(
    database: Database, settings: TunerSettings, optuna_storage: OptunaStorage, spec: Spec,
    until: Until, optuna_trials: OptunaTrials,
) -> None:  # fmt: skip
    one = spec(n_trials=1, params={**SMALL, "optimizer": "adam"})  # no trace to be refused first
    create_study(database, optuna_storage, one)
    running = start_one(database, settings, optuna_storage)
    try:
        lease_ends.give_back(database, trial_id=running.id, fence=running.fence)
        assert leases.claim(database, worker="two", lease_seconds=60, tasks=["digits"])
        with pytest.raises(StaleFenceError):
            until(running.handle_messages, seconds=10)
    finally:
        running.kill()
    [theirs] = optuna_trials(database, "s")
    assert theirs.intermediate_values == {}


def test_a_cancelled_study_leaves_nothing_running_in_optuna(
    database: Database, submit: Submit, spec: Spec, optuna_storage: OptunaStorage,
    work: Callable[[], Working], until: Until, optuna_trials: OptunaTrials,
) -> None:  # fmt: skip
    row = submit(n_trials=1)
    # A worker died between Optuna's ask and our record of it, and the study is cancelled then.
    leases.claim(database, worker="dead", lease_seconds=-1, tasks=["digits"])
    assert row.optuna_study_id is not None
    optuna_storage.ask(spec(), optuna_study_id=row.optuna_study_id, slot=0, resumed=False)
    cancel_study(database, "s")
    work()
    until(lambda: get_study(database, "s").trials == {"FAIL": 1})
    until(lambda: [t.state.name for t in optuna_trials(database, "s")] == ["FAIL"])


@on_postgresql
def test_a_study_survives_a_server_that_drops_its_connections(
    database: Database,
    submit: Submit,
    work: Callable[[], Working],
    until: Until,
    optuna_trials: OptunaTrials,
) -> None:
    submit(n_trials=6, parallelism=2, params=SMALL | {"epochs": 20} | ALPHA)
    working = work()
    server = Database(database.url.render_as_string(hide_password=False))
    cut = 0

    def cut_all() -> bool:
        nonlocal cut
        assert working.alive, repr(working.error)
        with server.engine.connect() as connection:
            cut += len(
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                ).all()
            )
        return cut >= 30

    until(cut_all)
    server.dispose()
    until(lambda: get_study(database, "s").ended)
    assert get_study(database, "s").trials == {"COMPLETE": 6}
    check_books(database, "s", optuna_trials(database, "s"))


@on_sqlite
def test_a_finished_trial_leaves_no_checkpoints(
    run_script: Callable[..., Any], settings: TunerSettings
) -> None:
    found = run_script("""
        @task("saves")
        def saves(trial):
            trial.save_checkpoint({"step": 1})
            if trial.attempt == 1:
                raise RuntimeError("once more")
            assert trial.load_checkpoint() == {"step": 1}
            return 1.0

        def main():
            return run_studies({"s": {"task": "saves", "retries": 1, "n_trials": 2}})
    """)
    assert [row[:2] for row in found["s"]] == [["COMPLETE", 1.0]] * 2
    assert not [*(settings.home / "checkpoints").rglob("*.pt")]


@on_sqlite
def test_a_first_attempt_takes_no_checkpoint_that_lay_there(
    run_script: Callable[..., Any], settings: TunerSettings
) -> None:
    # Of a database that is not there any more, whose home is.
    CheckpointStore(settings.checkpoint_dir(1, 0), fence=1).save({"step": 777})
    found = run_script("""
        @task("starts")
        def starts(trial):
            return 1.0 if trial.load_checkpoint() is None else 777.0

        def main():
            return run_studies({"s": {"task": "starts"}})
    """)
    assert [row[:2] for row in found["s"]] == [["COMPLETE", 1.0]]


@on_sqlite
def test_processes_that_wait_are_used_once_and_end_with_the_worker(
    run_script: Callable[..., Any], gone: Callable[[int], bool]
) -> None:
    found = run_script("""
        @task("tells")
        def tells(trial):
            time.sleep(0.3)
            return float(os.getpid())

        def main():
            waiting = set()

            def look(database):
                for spare in worker_of[0]._executor._spares:
                    waiting.add(spare._process.pid)

            worker_of = []
            made = Worker.__init__

            def init(self, *args, **options):
                made(self, *args, **options)
                worker_of.append(self)

            Worker.__init__ = init
            rows = run_studies({"s": {"task": "tells", "n_trials": 5}}, on_tick=look)
            return [sorted(waiting), [int(row[1]) for row in rows["s"]]]
    """)
    waiting, used = found
    assert len(set(used)) == 5  # a process each
    assert len(set(used[1:]) & set(waiting)) >= 3
    assert set(waiting) - set(used)
    assert all(gone(pid) for pid in {*waiting, *used})

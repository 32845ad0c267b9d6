"""What is special about engine ``ray``: its cluster, its driver, and Ray scripts of users' own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial
from sqlalchemy import make_url

from alphagrad.tuner import StudySpec, run_study
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import DuplicateStudyError, SpecError
from alphagrad.tuner.lists import list_studies, list_trials
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.ray_cluster import driver_environment
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_store import StudyStatus, create_study, get_study
from alphagrad.tuner.worker import Worker
from tests.marks import on_postgresql, on_ray
from tests.processes import command_line, descendants, environment, listening
from tests.tuner.books import check_books

Spec = Callable[..., StudySpec]
OptunaTrials = Callable[[Database, str], list[FrozenTrial]]


@on_ray
@on_postgresql
def test_asha_prunes_on_ray_and_every_report_stays(
    settings: TunerSettings, database: Database, spec: Spec, optuna_trials: OptunaTrials
) -> None:
    pruner = {"type": "successive_halving", "min_resource": 1, "reduction_factor": 2}
    params = spec().params | {"epochs": 6}
    one = spec(n_trials=8, parallelism=2, pruner=pruner).model_copy(update={"params": params})
    status = run_study(one, settings)
    assert status.row.state == "COMPLETED"
    assert status.trials.keys() == {"COMPLETE", "PRUNED"}
    assert status.finished_trials == 8
    ours, theirs = list_trials(database, "s"), optuna_trials(database, "s")
    assert [(t.number, t.state, t.value) for t in ours] == [
        (t.number, t.state.name, t.value) for t in theirs
    ]
    for trial in theirs:
        steps = list(trial.intermediate_values)
        assert steps == list(range(1, len(steps) + 1))
        assert trial.value == trial.intermediate_values[steps[-1]]
        assert (len(steps) == 6) is (trial.state.name == "COMPLETE" or steps[-1] == 6)


def test_a_stack_is_refused(spec: Spec) -> None:
    with pytest.raises(SpecError, match="engine 'ray' runs one trial a process"):
        spec(engine="ray", stack=2, parallelism=2)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where Ray keeps its session and Tune its experiment; short, as sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="ag-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@on_postgresql
def test_a_ray_of_our_own_is_for_this_machine_and_knows_no_password(
    settings: TunerSettings, spec: Spec, temporary: Path, monkeypatch: pytest.MonkeyPatch,
    until: Any,
) -> None:  # fmt: skip
    password = b"an-open-secret"
    url = make_url(settings.url).set(password=password.decode())
    monkeypatch.setenv("ALPHAGRAD_DATABASE_URL", url.render_as_string(hide_password=False))
    monkeypatch.setenv("PGPASSWORD", password.decode())
    known: dict[int, bytes] = {}
    addresses: set[str] = set()
    files: dict[Path, bool] = {}

    def search() -> None:
        for path in temporary.rglob("*"):
            if path.is_file():
                with suppress(FileNotFoundError):
                    files[path] = password in path.read_bytes()

    def look(_: StudyStatus) -> None:
        for driver in descendants(os.getpid()):
            if b"spawn_main" not in command_line(driver):
                continue
            assert b"ALPHAGRAD_DATABASE_URL" not in environment(driver)
            for pid in descendants(driver):
                if b"spawn_main" in command_line(pid):
                    continue  # the driver's own memory, in a process that has yet to become Ray's
                # Ray's processes change their titles, so all that were seen are kept.
                known[pid] = known.get(pid, b"") + command_line(pid) + environment(pid)
                addresses.update(listening(pid))
        search()

    one = spec(engine="ray", n_trials=4, parallelism=2)
    status = run_study(one, TunerSettings(home=settings.home, slots=2), on_progress=look)
    assert status.trials == {"COMPLETE": 4}
    search()
    for program in (b"gcs_server", b"raylet", b"ray::Seat", b"forkserver"):
        assert any(program in text for text in known.values()), program
    assert addresses == {"127.0.0.1"}
    assert not [text for text in known.values() if password in text]
    names = {path.name for path in files}
    assert {"gcs_server.out", "tuner.pkl"} <= names
    assert any(name.startswith("search_gen_state-") for name in names)
    assert not [path for path, holds in files.items() if holds]
    until(lambda: not [pid for pid in known if command_line(pid)], seconds=30)  # none is left


SEARCH = """
import json, sys, ray
from optuna.storages import RDBStorage
from ray import tune
from ray.tune.search.optuna import OptunaSearch

def objective(config):
    for step in range(1, 4):
        tune.report({"loss": (config["x"] - 2.0) ** 2 / step})

url, folder, address = sys.argv[1:]
ray.init(address, log_to_driver=False)
search = OptunaSearch(
    {"x": tune.uniform(0.0, 4.0)}, metric="loss", mode="min",
    storage=RDBStorage(url), study_name="mine", seed=1,
)
found = tune.Tuner(
    objective,
    tune_config=tune.TuneConfig(search_alg=search, num_samples=4, max_concurrent_trials=2),
    run_config=tune.RunConfig(storage_path=folder, verbose=0),
).fit()
print(json.dumps(sorted(result.metrics["loss"] for result in found)))
"""


@on_postgresql
def test_optuna_search_of_ray_works_on_our_database(
    settings: TunerSettings, database: Database, spec: Spec, submit: Any, tmp_path: Path,
    ray_address: str, optuna_trials: OptunaTrials, optuna_storage: OptunaStorage,
) -> None:  # fmt: skip
    """A Ray script of a user's own, with the storage that a user makes from our URL."""
    submit(name="ours", n_trials=1)
    url = database.url.render_as_string(hide_password=False)
    script = tmp_path / "search.py"
    script.write_text(SEARCH)
    done = subprocess.run(
        [sys.executable, str(script), url, str(tmp_path / "tune"), ray_address],
        env=os.environ | driver_environment(TunerSettings(ray_address=ray_address)),
        stdout=subprocess.PIPE, text=True, timeout=200, check=True,
    )  # fmt: skip
    losses = json.loads(done.stdout.splitlines()[-1])
    theirs = optuna_trials(database, "mine")
    assert [trial.state.name for trial in theirs] == ["COMPLETE"] * 4
    assert sorted(trial.value or 0.0 for trial in theirs) == losses
    # Our tables know nothing of it, and our study of the same database runs as ever.
    assert [status.row.name for status in list_studies(database)] == ["ours"]
    assert list_trials(database, "ours") == []
    with pytest.raises(DuplicateStudyError):
        create_study(database, optuna_storage, spec(name="mine"))
    Worker(database, settings, study="ours").run()
    assert get_study(database, "ours").trials == {"COMPLETE": 1}
    check_books(database, "ours", optuna_trials(database, "ours"))
    assert len(optuna_trials(database, "mine")) == 4

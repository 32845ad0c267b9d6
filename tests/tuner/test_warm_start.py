"""A study that starts from what others tried."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial
from sqlalchemy import text

from alphagrad.tuner import StudySpec, events, leases, results
from alphagrad.tuner.advice import spec_warnings
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import SpecError, StudyNotFoundError
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.study_store import create_study, ensure_optuna_study, get_study
from alphagrad.tuner.warm_start import WARM_START, observation
from tests.marks import on_sqlite
from tests.tuner.asker import Asker

Spec = Callable[..., StudySpec]
Submit = Callable[..., StudyRow]
OptunaTrials = Callable[[Database, str], list[FrozenTrial]]


@pytest.fixture
def source(database: Database, optuna_storage: OptunaStorage, submit: Submit, spec: Spec) -> str:
    """A study of five trials: three complete, of α 1 to 100, one pruned, one failed."""
    submit(name="source", n_trials=5)
    asker = Asker(optuna_storage, spec(name="source", n_trials=5))
    for slot, state in enumerate(["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "FAIL"]):
        asked = asker.ask(slot)
        asker.report(asked, 0.1 * slot, step=3)
        asker.tell(asked, state, asked.params["alpha"] if state == "COMPLETE" else None)
    return "source"


def repeated(trials: list[FrozenTrial]) -> list[tuple[Any, ...]]:
    return [(t.state, t.params, t.values, t.intermediate_values) for t in trials]


def test_the_trials_of_another_study_are_known_and_do_not_count(
    database: Database,
    optuna_storage: OptunaStorage,
    submit: Submit,
    source: str,
    optuna_trials: OptunaTrials,
) -> None:
    row = submit(n_trials=2, warm_start=[source])
    theirs = optuna_trials(database, "s")
    assert repeated(theirs) == repeated(optuna_trials(database, source)[:4])
    assert [t.user_attrs for t in theirs] == [{WARM_START: f"source/{i}"} for i in range(4)]
    status = get_study(database, "s")
    assert (status.trials, status.best) == ({"QUEUED": 2}, None)

    claimed = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"], study="s")
    assert claimed is not None
    study_id = ensure_optuna_study(database, optuna_storage, row, status.spec)
    asked = optuna_storage.ask(status.spec, optuna_study_id=study_id, slot=0, resumed=False)
    results.record_ask(database, claimed, asked)
    assert asked.number == 4
    assert len(optuna_trials(database, "s")) == 5
    # A study that starts from this one takes its own trials alone.
    submit(name="third", n_trials=1, warm_start=["s"])
    assert optuna_trials(database, "third") == []


def test_the_sampler_and_the_pruner_learn_from_them(
    optuna_storage: OptunaStorage, submit: Submit, source: str, spec: Spec
) -> None:
    changes: dict[str, Any] = {
        "sampler": {"type": "tpe", "n_startup_trials": 4},
        "pruner": {"type": "median", "n_startup_trials": 3},
    }
    submit(name="warm", warm_start=[source], **changes)
    warm = Asker(optuna_storage, spec(name="warm", warm_start=[source], **changes))
    cold = Asker(optuna_storage, spec(name="cold", **changes))
    first, alone = warm.ask(0), cold.ask(0)
    again = Asker(optuna_storage, spec(name="again", **changes))
    assert again.ask(0).params == alone.params != first.params
    assert warm.report(first, -1.0, step=3)
    assert not cold.report(alone, -1.0, step=3)


def test_each_trial_is_added_once_whoever_dies_or_hurries(
    database: Database,
    optuna_storage: OptunaStorage,
    submit: Submit,
    source: str,
    spec: Spec,
    optuna_trials: OptunaTrials,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = spec(warm_start=[source])
    create, made = optuna_storage.rdb.create_new_trial, 0

    def create_and_die(*arguments: Any) -> int:
        nonlocal made
        made += 1
        if made == 3:
            raise KeyboardInterrupt
        return create(*arguments)

    monkeypatch.setattr(optuna_storage.rdb, "create_new_trial", create_and_die)
    with pytest.raises(KeyboardInterrupt):
        create_study(database, optuna_storage, one)
    assert len(optuna_trials(database, "s")) == 2
    monkeypatch.undo()

    start = threading.Barrier(3)

    def hurry() -> None:
        storage = OptunaStorage(database)
        row = get_study(database, "s").row
        start.wait()
        ensure_optuna_study(database, storage, row, one)
        storage.dispose()

    threads = [threading.Thread(target=hurry) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    marks = [trial.user_attrs[WARM_START] for trial in optuna_trials(database, "s")]
    assert marks == [f"source/{number}" for number in range(4)]
    assert get_study(database, "s").row.optuna_study_id is not None


def test_what_is_outside_of_the_space_is_left_out_and_said(
    database: Database,
    submit: Submit,
    source: str,
    spec: Spec,
    optuna_trials: OptunaTrials,
    caplog: pytest.LogCaptureFixture,
) -> None:
    theirs = optuna_trials(database, source)[:4]
    limit = sorted(trial.params["alpha"] for trial in theirs)[1]
    params = {"epochs": 2, "alpha": {"type": "float", "low": 0.5, "high": limit}}
    with caplog.at_level(logging.WARNING):
        submit(warm_start=[source], params=params)
    kept = [trial.params["alpha"] for trial in optuna_trials(database, "s")]
    assert sorted(kept) == sorted(t.params["alpha"] for t in theirs if t.params["alpha"] <= limit)
    assert "s starts without 2 trials of source: they are outside of its space" in caplog.text


def test_a_study_that_cannot_take_over_the_trials_is_not_there(
    database: Database, submit: Submit, source: str, optuna_storage: OptunaStorage
) -> None:
    with database.write() as session:  # somebody gave a trial an end that Optuna does not allow
        session.execute(text("UPDATE trials SET state = 'COMPLETE' WHERE state = 'FAIL'"))
    with pytest.raises(ValueError, match="value"):
        submit(n_trials=2, warm_start=[source])
    with pytest.raises(StudyNotFoundError):
        get_study(database, "s")
    assert not optuna_storage.has_study("s")
    told = [(event.kind, event.study) for event in events.read(database, after=0)]
    assert told[-2:] == [("study.submitted", "s"), ("study.deleted", "s")]
    submit(n_trials=2)  # its name is free


ALPHA = {"type": "float", "low": 1.0, "high": 100.0, "log": True}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warm_start": ["none"]}, r"warm_start\.0: no study has this name \(got 'none'\)"),
        ({"direction": "minimize"}, r"its direction is \['maximize'\]"),
        ({"directions": ["maximize", "minimize"]}, r"its direction is \['maximize'\], that of"),
        ({"constraints": ["c"]}, r"its constraints are \[\], those of this study \['c'\]"),
        ({"params": {}}, r"it searches \['alpha'\], this study \[\]"),
        (
            {"params": {"alpha": {"type": "categorical", "choices": [1.0, 2.0]}}},
            "its alpha is 'float', that of this study 'categorical'",
        ),
        ({"sampler": {"type": "grid", "points": 5}}, "warm_start does not go with grid"),
        ({"warm_start": ["source", "source"]}, "the names must differ"),
        ({"warm_start": ["../x"]}, "should match pattern"),
    ],
)
@on_sqlite
def test_a_study_that_does_not_fit_is_refused(
    submit: Submit, source: str, database: Database, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        submit(**{"warm_start": [source], **changes})


def test_conditions_decide_which_trials_could_have_been_drawn(spec: Spec) -> None:
    params = {
        "optimizer": {"type": "categorical", "choices": ["alphagrad", "adam"]},
        "alpha": ALPHA | {"when": {"optimizer": "alphagrad"}},
    }
    one = spec(params=params)

    def fits(**point: Any) -> bool:
        space = {
            "optimizer": optuna.distributions.CategoricalDistribution(["alphagrad", "adam"]),
            "alpha": optuna.distributions.FloatDistribution(0.1, 1000.0),
        }
        trial = optuna.trial.create_trial(
            value=1.0, params=point, distributions={name: space[name] for name in point}
        )
        return observation(one, trial, source="a") is not None

    assert fits(optimizer="alphagrad", alpha=5.0)
    assert fits(optimizer="adam")
    assert not fits(optimizer="adam", alpha=5.0)
    assert not fits(optimizer="alphagrad")
    assert not fits(optimizer="alphagrad", alpha=500.0)


def test_a_sampler_that_makes_nothing_of_them_says_so(spec: Spec) -> None:
    one = spec(n_trials=5, warm_start=["a"], sampler={"type": "random"})
    assert spec_warnings(one) == ["random draws without regard to the trials of warm_start"]
    assert spec_warnings(spec(n_trials=5, warm_start=["a"])) == []

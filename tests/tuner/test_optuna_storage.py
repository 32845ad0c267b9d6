import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from alphagrad.tuner import StudySpec
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import DuplicateStudyError
from alphagrad.tuner.grid import SLOT
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settling import settle
from alphagrad.tuner.study_store import create_study, get_study
from tests.tuner.asker import Asker
from tests.tuner.by_hand import play_one

Spec = Callable[..., StudySpec]
OptunaTrials = Callable[[Database, str], list[FrozenTrial]]


def test_an_ask_makes_one_running_trial_with_its_slot(
    database: Database, optuna_storage: OptunaStorage, spec: Spec, optuna_trials: OptunaTrials
) -> None:
    asked = Asker(optuna_storage, spec()).ask(3)
    [trial] = optuna_trials(database, "s")
    assert trial.state == TrialState.RUNNING
    assert trial.system_attrs[SLOT] == 3
    assert trial.user_attrs["seed"] == asked.seed
    assert trial.params == {"alpha": asked.params["alpha"]}
    assert asked.params.keys() == {"alpha", "epochs", "batch_size", "hidden_sizes"}
    assert 1.0 <= asked.params["alpha"] <= 100.0
    assert asked.number == trial.number == 0


def test_an_ask_that_nobody_wrote_down_is_found_again(
    database: Database, optuna_storage: OptunaStorage, spec: Spec, optuna_trials: OptunaTrials
) -> None:
    asker = Asker(optuna_storage, spec())
    first, second = asker.ask(0), asker.ask(1)
    assert asker.ask(1, resumed=True) == second
    assert asker.ask(0, resumed=True) == first
    assert len(optuna_trials(database, "s")) == 2


def test_a_trial_without_values_is_found_again_and_drawn(
    database: Database, optuna_storage: OptunaStorage, spec: Spec, optuna_trials: OptunaTrials
) -> None:
    # The worker died between the trial's creation and its first value.
    asker = Asker(optuna_storage, spec())
    template = optuna.trial.create_trial(state=TrialState.RUNNING, system_attrs={SLOT: 0})
    optuna_storage.rdb.create_new_trial(asker.study_id, template)
    assert asker.ask(0, resumed=True).number == 0
    [trial] = optuna_trials(database, "s")
    assert "alpha" in trial.params


def test_a_resumed_slot_without_a_trial_gets_one(optuna_storage: OptunaStorage, spec: Spec) -> None:
    asker = Asker(optuna_storage, spec())
    assert asker.ask(0).number == 0
    assert asker.ask(1, resumed=True).number == 1


def test_asks_at_once_get_different_numbers(
    database: Database, optuna_storage: OptunaStorage, spec: Spec
) -> None:
    asker = Asker(optuna_storage, spec())
    start = threading.Barrier(4)
    numbers: list[int] = []

    def ask(slots: range) -> None:
        own = OptunaStorage(database)
        start.wait()
        numbers.extend(
            own.ask(asker.spec, optuna_study_id=asker.study_id, slot=slot, resumed=False).number
            for slot in slots
        )
        own.dispose()

    threads = [threading.Thread(target=ask, args=(range(i, 12, 4),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(12))


@pytest.mark.parametrize(("state", "value"), [("COMPLETE", 0.5), ("PRUNED", None), ("FAIL", None)])
def test_a_tell_is_recorded_once(
    database: Database,
    optuna_storage: OptunaStorage,
    spec: Spec,
    optuna_trials: OptunaTrials,
    state: str,
    value: float | None,
) -> None:
    asker = Asker(optuna_storage, spec())
    asked = asker.ask(0)
    asker.report(asked, 0.25)
    asker.tell(asked, state, value)
    [told] = optuna_trials(database, "s")
    asker.tell(asked, state, value)
    asker.tell(asked, "COMPLETE", 0.75)
    assert optuna_trials(database, "s") == [told]
    assert told.state.name == state
    # Optuna's own rule: a pruned trial's value is its last report.
    assert told.value == {"COMPLETE": 0.5, "PRUNED": 0.25, "FAIL": None}[state]
    assert told.intermediate_values == {1: 0.25}


def play(place: Path, spec: StudySpec, *, restart: bool) -> list[tuple[int, dict[str, Any]]]:
    """Run a sequential study on a fresh database; its value is α."""
    database = Database(f"sqlite:///{place}")
    migrate(database)
    storage = OptunaStorage(database)
    played = []
    for slot in range(spec.n_trials):
        if restart:  # as by a worker that died after each trial
            storage.dispose()
            storage = OptunaStorage(database)
        asker = Asker(storage, spec)
        asked = asker.ask(slot)
        asker.tell(asked, "COMPLETE", asked.params["alpha"])
        played.append((asked.seed, asked.params))
    storage.dispose()
    database.dispose()
    return played


@pytest.mark.parametrize("sampler", [{"type": "tpe", "n_startup_trials": 3}, {"type": "random"}])
def test_one_seed_gives_the_same_study_again(
    tmp_path: Path, spec: Spec, sampler: dict[str, Any]
) -> None:
    one = spec(n_trials=6, seed=5, sampler=sampler)
    first = play(tmp_path / "a.db", one, restart=False)
    assert play(tmp_path / "b.db", one, restart=True) == first
    assert len({params["alpha"] for _, params in first}) == 6
    assert len({seed for seed, _ in first}) == 6
    other = play(tmp_path / "c.db", spec(n_trials=6, seed=6, sampler=sampler), restart=False)
    assert other[0] != first[0]


def test_qmc_takes_one_point_of_one_sequence_at_each_ask(tmp_path: Path, spec: Spec) -> None:
    played = play(tmp_path / "a.db", spec(n_trials=9, sampler={"type": "qmc"}), restart=True)
    # The first is drawn at random, as Optuna does; eight Sobol points then hit every eighth.
    eighths = {int(8 * math.log(params["alpha"], 100)) for _, params in played[1:]}
    assert eighths == set(range(8))


def test_qmc_draws_parameters_with_a_condition_anew_in_each_trial(
    tmp_path: Path, spec: Spec
) -> None:
    params: dict[str, Any] = {
        "optimizer": {"type": "categorical", "choices": ["alphagrad", "adam"]},
        "alpha": {
            "type": "float", "low": 1.0, "high": 100.0, "log": True,
            "when": {"optimizer": "alphagrad"},
        },
    }  # fmt: skip
    one = spec(n_trials=12, sampler={"type": "qmc"}, params=params)
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    migrate(database)
    storage = OptunaStorage(database)
    asker = Asker(storage, one)
    drawn = [asker.ask(slot).params for slot in range(one.n_trials)]
    alphas = [params["alpha"] for params in drawn if "alpha" in params]
    assert len(alphas) >= 5
    assert len(set(alphas)) == len(alphas)
    storage.dispose()
    database.dispose()


@pytest.mark.filterwarnings("ignore:QMCSampler is experimental")
def test_qmc_draws_what_optunas_own_sampler_draws(tmp_path: Path, spec: Spec) -> None:
    played = play(tmp_path / "a.db", spec(n_trials=5, sampler={"type": "qmc"}), restart=False)
    study = optuna.create_study(sampler=optuna.samplers.QMCSampler(scramble=True, seed=1))
    study.optimize(lambda trial: trial.suggest_float("alpha", 1.0, 100.0, log=True), n_trials=5)
    assert [t.params["alpha"] for t in study.trials] == [params["alpha"] for _, params in played]


@pytest.mark.parametrize("sampler", ["random", "qmc", "grid", "brute_force"])
def test_these_samplers_read_no_other_trial(
    tmp_path: Path, spec: Spec, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("at 100,000 trials this takes half a minute")

    monkeypatch.setattr(optuna.storages._CachedStorage, "get_all_trials", refuse)
    choices = {"type": "categorical", "choices": [1.0, 10.0, 50.0]}
    one = spec(n_trials=3, sampler={"type": sampler}, params={"alpha": choices})
    assert len(play(tmp_path / "a.db", one, restart=False)) == 3


def test_pruning_follows_the_direction(optuna_storage: OptunaStorage, spec: Spec) -> None:
    pruner = {"type": "median", "n_startup_trials": 1}
    asker = Asker(optuna_storage, spec(direction="minimize", pruner=pruner))
    first = asker.ask(0)
    asker.report(first, 1.0)
    asker.tell(first, "COMPLETE", 1.0)
    assert not asker.report(asker.ask(1), -1.0)
    assert asker.report(asker.ask(2), 3.0)


def test_a_step_reported_again_keeps_the_last_value(
    database: Database, optuna_storage: OptunaStorage, spec: Spec, optuna_trials: OptunaTrials
) -> None:
    asker = Asker(optuna_storage, spec())
    asked = asker.ask(0)
    for value in (0.1, 0.2):
        asker.report(asked, value, step=7)
    asker.report(asked, math.inf, step=8)
    asker.report(asked, math.nan, step=9)
    [trial] = optuna_trials(database, "s")
    assert trial.intermediate_values[7] == 0.2
    assert trial.intermediate_values[8] == math.inf
    assert math.isnan(trial.intermediate_values[9])


def test_a_name_that_plain_optuna_took_is_taken(
    database: Database, optuna_storage: OptunaStorage, spec: Spec
) -> None:
    create_study(database, optuna_storage, spec(name="ours"))
    optuna_storage.create_study(spec(name="theirs"))
    for name in ("ours", "theirs"):
        with pytest.raises(DuplicateStudyError, match=f"'{name}' exists"):
            create_study(database, optuna_storage, spec(name=name))


def test_what_was_read_of_a_study_that_ended_elsewhere_is_dropped(
    database: Database, optuna_storage: OptunaStorage, submit: Callable[..., StudyRow]
) -> None:
    for name in ("ended", "open"):
        submit(name=name, n_trials=2)
        play_one(database, optuna_storage, "COMPLETE", name)
    assert len(optuna_storage._caches) == 2
    play_one(database, optuna_storage, "COMPLETE", "ended")
    settle(database)  # by another process, which tells this one nothing
    optuna_storage.forget_ended()
    [known] = optuna_storage._caches
    assert known == get_study(database, "open").row.optuna_study_id


def test_orphans_are_failed(
    database: Database, optuna_storage: OptunaStorage, spec: Spec, optuna_trials: OptunaTrials
) -> None:
    asker = Asker(optuna_storage, spec())
    done = asker.ask(0)
    asker.tell(done, "COMPLETE", 1.0)
    asker.ask(1)
    optuna_storage.fail_orphans("s")
    states = [trial.state for trial in optuna_trials(database, "s")]
    assert states == [TrialState.COMPLETE, TrialState.FAIL]

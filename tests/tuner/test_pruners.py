"""Each pruner stops what it should, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from alphagrad.tuner import StudySpec
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import SpecError
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.pruners import Saturation
from alphagrad.tuner.saturation_pruner import SaturationPruner
from alphagrad.tuner.study_changes import update_study
from alphagrad.tuner.study_store import get_study
from tests.tuner.asker import Asker

WILCOXON = {"type": "wilcoxon"}

Spec = Callable[..., StudySpec]


PRUNERS: dict[str, tuple[dict[str, Any], bool]] = {
    "none": ({"type": "none"}, False),
    "median": ({"type": "median", "n_startup_trials": 2}, True),
    "median that starts later": ({"type": "median", "n_startup_trials": 4}, False),
    "percentile": ({"type": "percentile", "percentile": 25.0, "n_startup_trials": 2}, True),
    "successive halving": ({"type": "successive_halving", "reduction_factor": 2}, True),
    "hyperband of one bracket": (
        {"type": "hyperband", "max_resource": 1, "reduction_factor": 2},
        True,
    ),
    "threshold": ({"type": "threshold", "lower": 0.0}, True),
    "threshold for saturated trials": (
        {"type": "saturation", "value_pruner": {"type": "threshold", "lower": 0.0}},
        True,
    ),
    "saturation alone": ({"type": "saturation"}, False),
    "threshold that holds": ({"type": "threshold", "lower": -9.0, "upper": 9.0}, False),
}


@pytest.mark.parametrize(("pruner", "fires"), PRUNERS.values(), ids=PRUNERS)
def test_a_bad_trial_is_pruned(
    storage: OptunaStorage, spec: Spec, pruner: dict[str, Any], fires: bool
) -> None:
    asker = Asker(storage, spec(pruner=pruner))
    for slot in range(3):
        good = asker.ask(slot)
        assert not asker.report(good, 1.0 + slot)  # each better than those before it
        asker.tell(good, "COMPLETE", 1.0)
    assert asker.report(asker.ask(3), -1.0) == fires


def test_hyperband_stops_early_in_some_brackets_only(storage: OptunaStorage, spec: Spec) -> None:
    asker = Asker(storage, spec(pruner={"type": "hyperband", "max_resource": 9}))
    for slot in range(9):
        good = asker.ask(slot)
        asker.report(good, 1.0 + slot)
        asker.tell(good, "COMPLETE", 1.0)
    stopped = [asker.report(asker.ask(slot), -1.0) for slot in range(9, 25)]
    assert 0 < sum(stopped) < len(stopped)


@pytest.mark.parametrize(
    ("wrapped", "values", "verdicts"),
    [
        (None, [1.0, 2.0, 1.5, 1.4], [False, False, False, True]),
        (None, [1.0, 2.0, 1.5, 3.0], [False] * 4),
        ({"type": "threshold", "lower": 1.45}, [1.0, 2.0, 1.5, 1.4], [False, False, False, True]),
        ({"type": "threshold", "lower": 0.0}, [1.0, 2.0, 1.5, 1.4], [False] * 4),
    ],
)
def test_patience_comes_before_the_wrapped_pruner(
    storage: OptunaStorage,
    spec: Spec,
    wrapped: dict[str, Any] | None,
    values: list[float],
    verdicts: list[bool],
) -> None:
    pruner = {"type": "patient", "patience": 1, "wrapped_pruner": wrapped}
    asker = Asker(storage, spec(pruner=pruner))
    asked = asker.ask(0)
    assert [asker.report(asked, value, step) for step, value in enumerate(values)] == verdicts


def test_wilcoxon_compares_with_the_best_trial_step_by_step(
    storage: OptunaStorage, spec: Spec
) -> None:
    asker = Asker(storage, spec(pruner={"type": "wilcoxon", "n_startup_steps": 4}))
    best = asker.ask(0)
    assert not any(asker.report(best, 1.0 + step / 10, step) for step in range(8))
    asker.tell(best, "COMPLETE", 1.35)
    worse, alike = asker.ask(1), asker.ask(2)
    stops = [asker.report(worse, 0.5 + step / 10, step) for step in range(5)]
    assert stops == [False] * 3 + [True] * 2
    values = (1.05, 1.08, 1.25, 1.28, 1.45, 1.48)
    assert not any(asker.report(alike, value, step) for step, value in enumerate(values))


def test_an_attempt_that_starts_anew_is_judged_by_its_own_reports(
    database: Database, optuna_storage: OptunaStorage, spec: Spec
) -> None:
    asker = Asker(optuna_storage, spec(pruner={"type": "threshold", "upper": 2.5}))
    asked = asker.ask(0)
    stops = [asker.report(asked, float(step), step) for step in (1, 2, 3)]
    assert stops == [False, False, True]
    study = optuna_storage.study(asker.spec, number=0)  # of the next attempt

    def report(step: int, value: float, *, restarts: bool = False) -> tuple[bool, int]:
        seen: list[str] = []

        def note(_: Any, __: Any, statement: str, *rest: Any) -> None:
            seen.append(statement)

        event.listen(database.engine, "before_cursor_execute", note)
        stop = optuna_storage.report(
            study, asked.optuna_trial_id, step=step, value=value, restarts=restarts
        )
        event.remove(database.engine, "before_cursor_execute", note)
        return stop, sum(not statement.startswith("BEGIN") for statement in seen)

    assert report(2, 1.0, restarts=True) == (False, 2)
    assert report(3, 1.0) == (False, 1)
    assert report(4, 3.0) == (True, 1)
    stored = optuna_storage.rdb.get_trial(asked.optuna_trial_id).intermediate_values
    assert stored == {1: 1.0, 2: 1.0, 3: 1.0, 4: 3.0}


@pytest.mark.parametrize("first", [1, 4])  # from the beginning; from a checkpoint
def test_an_attempt_that_starts_anew_climbs_all_rungs(
    storage: OptunaStorage, spec: Spec, first: int
) -> None:
    asker = Asker(storage, spec(pruner={"type": "successive_halving", "reduction_factor": 2}))
    asked = asker.ask(0)
    for step in (1, 2, 4):
        asker.report(asked, 9.0, step)
    study = storage.study(asker.spec, number=0)  # of the next attempt
    for step in range(first, 5):
        storage.report(study, asked.optuna_trial_id, step=step, value=0.0, restarts=step == first)
    attrs = storage.rdb.get_trial(asked.optuna_trial_id).system_attrs
    rungs = [attrs[f"completed_rung_{rung}"] for rung in range(3)]
    assert rungs == ([0.0] * 3 if first == 1 else [9.0] * 3)


@pytest.mark.parametrize("pruner", [WILCOXON, {"type": "patient", "wrapped_pruner": WILCOXON}])
def test_steps_in_any_order_are_kept(
    storage: OptunaStorage, spec: Spec, pruner: dict[str, Any]
) -> None:
    asker = Asker(storage, spec(pruner=pruner | ({} if pruner is WILCOXON else {"patience": 1})))
    asked = asker.ask(0)
    for step in (5, 1):
        asker.report(asked, 1.0, step)
    study = storage.study(asker.spec, number=0)
    storage.report(study, asked.optuna_trial_id, step=3, value=1.0, restarts=True)
    stored = storage.rdb.get_trial(asked.optuna_trial_id).intermediate_values
    assert list(stored) == [1, 3, 5]


@pytest.mark.parametrize(
    ("pruner", "field"),
    [
        ({"type": "hyperband"}, "pruner.max_resource"),
        ({"type": "hyperband", "max_resource": "auto"}, "pruner.max_resource"),
        ({"type": "hyperband", "min_resource": 9, "max_resource": 3}, "pruner"),
        ({"type": "wilcoxon", "p_threshold": 2.0}, "pruner.p_threshold"),
        ({"type": "threshold", "upper": math.inf}, "pruner.upper"),
        ({"type": "threshold", "lower": math.nan}, "pruner.lower"),
        ({"type": "threshold", "lower": 2.0, "upper": 1.0}, "pruner"),
        (
            {
                "type": "saturation",
                "value_pruner": {
                    "type": "patient",
                    "patience": 1,
                    "wrapped_pruner": {"type": "threshold", "lower": 2.0, "upper": 1.0},
                },
            },
            "pruner.value_pruner.wrapped_pruner",
        ),
        ({"type": "saturation", "window": 2**31}, "pruner.window"),
        ({"type": "median", "n_warmup_steps": 2**31}, "pruner.n_warmup_steps"),
        (
            {"type": "successive_halving", "min_early_stopping_rate": 32},
            "pruner.min_early_stopping_rate",
        ),
        ({"type": "successive_halving", "reduction_factor": 2**31}, "pruner.reduction_factor"),
        ({"type": "patient"}, "pruner.patience"),
        (
            {"type": "patient", "patience": 1, "wrapped_pruner": {"type": "magic"}},
            "pruner.wrapped_pruner.type",
        ),
        (
            {
                "type": "saturation",
                "value_pruner": {
                    "type": "patient",
                    "patience": 1,
                    "wrapped_pruner": {"type": "median", "n_startup_trials": -1},
                },
            },
            "pruner.value_pruner.wrapped_pruner.n_startup_trials",
        ),
    ],
)
def test_a_bad_option_is_named(spec: Spec, pruner: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec(pruner=pruner)
    assert [error.field for error in caught.value.errors] == [field]


def test_a_threshold_upside_down_is_named_with_its_values(spec: Spec) -> None:
    with pytest.raises(SpecError, match=r"lower=2\.0 must not be above upper=1\.0"):
        spec(pruner={"type": "threshold", "lower": 2.0, "upper": 1.0})


@pytest.mark.parametrize(
    "pruner",
    [
        {"type": "threshold", "lower": 1.0, "upper": 1.0},
        {"type": "median", "n_startup_trials": 2**31 - 1, "interval_steps": 2**31 - 1},
        {"type": "successive_halving", "min_early_stopping_rate": 31},
        {"type": "hyperband", "min_resource": 1, "max_resource": 2**31 - 1, "reduction_factor": 2},
        {"type": "patient", "patience": 2**31 - 1},
        {"type": "saturation", "window": 2**31 - 1, "n_warmup_steps": 2**31 - 1},
    ],
    ids=lambda pruner: str(pruner["type"]),
)
def test_whatever_is_allowed_judges(
    storage: OptunaStorage, spec: Spec, pruner: dict[str, Any]
) -> None:
    asker = Asker(storage, spec(pruner=pruner))
    if isinstance(asker.spec.pruner, Saturation):
        assert SaturationPruner(asker.spec.pruner).reason() is None
    assert not asker.report(asker.ask(0), 1.0)


@pytest.mark.parametrize(
    "pruner",
    [
        {"type": "hyperband", "max_resource": 9},
        {"type": "wilcoxon"},
        {"type": "patient", "patience": 3, "wrapped_pruner": {"type": "median"}},
        {"type": "saturation", "low": 0.01, "value_pruner": {"type": "patient", "patience": 2}},
    ],
    ids=lambda pruner: str(pruner["type"]),
)
def test_a_pruner_can_be_edited_in(
    database: Database, submit: Callable[..., StudyRow], pruner: dict[str, Any]
) -> None:
    submit()
    update_study(database, "s", {"pruner": pruner})
    stored = get_study(database, "s").spec.pruner.model_dump(exclude_unset=True)
    assert stored.items() >= {"type": pruner["type"]}.items()
    assert get_study(database, "s").spec.pruner == type(get_study(database, "s").spec.pruner)(
        **pruner
    )

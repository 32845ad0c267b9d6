"""Several objectives, and constraints: what a task says, what is stored, which trials are best."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial
from sqlalchemy import text

from alphagrad.api.study_models import StudyOut
from alphagrad.tuner import NonRetryableError, StudySpec, Trial, leases, results
from alphagrad.tuner.advice import spec_warnings
from alphagrad.tuner.best_trials import dominates
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import SpecError
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.messages import Finished
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.outcomes import outcome, with_constraints
from alphagrad.tuner.study_store import get_study
from tests.tuner.asker import Asker
from tests.tuner.by_hand import play

Spec = Callable[..., StudySpec]
BOTH = ["maximize", "minimize"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "minimize"}, "direction for one objective, or directions for several"),
        ({"directions": ["minimize"]}, "at least 2 items"),
        ({"directions": ["minimize", "up"]}, "'minimize' or 'maximize'"),
        ({"pruner": {"type": "median"}}, "pruner 'median' needs one objective"),
        ({"pruner": {"type": "saturation"}}, "pruner 'saturation' needs one objective"),
        ({"sampler": {"type": "cmaes"}}, "sampler 'cmaes' needs one objective"),
        ({"constraints": ["a", "a"]}, "the names must differ"),
        ({"constraints": [""]}, "at least 1"),
    ],
)
def test_what_does_not_go_together_is_refused(
    spec: Spec, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        spec(**{"directions": BOTH, **changes})


def test_the_directions_of_a_study(spec: Spec) -> None:
    several, one = spec(directions=BOTH), spec()
    assert (several.direction, several.objectives) == (None, BOTH)
    assert (one.direction, one.directions, one.objectives) == ("maximize", None, ["maximize"])
    for each in (several, one):  # as it is read back from SQL
        assert StudySpec.model_validate(each.model_dump(mode="json")) == each
    with pytest.raises(SpecError, match="direction for one objective"):
        spec(direction=None)
    with pytest.raises(SpecError) as caught:  # nothing else is said about another field's error
        spec(name="")
    assert [error.field for error in caught.value.errors] == ["name"]


@pytest.mark.parametrize(
    "value",
    [[1, 0.5], (1.0, 0.5), np.array([1.0, 0.5]), torch.tensor([1.0, 0.5]), [np.float32(1), 0.5]],
)
def test_as_many_numbers_as_objectives_complete_a_trial(value: Any) -> None:
    assert outcome(value, n_objectives=2) == Finished(state="COMPLETE", value=[1.0, 0.5])


@pytest.mark.parametrize(
    "value",
    [
        *(0.5, None, True, "12", b"12", {1.0, 0.5}, [1.0], [1.0, 0.5, 2.0], [[1.0, 0.5]]),
        *([1.0, float("nan")], [float("inf"), 1.0], [1.0, None], [1.0, "2"], [True, 1.0]),
        *(np.float32(1.0), torch.zeros(3), {"a": 1.0, "b": 2.0}),
    ],
)
def test_anything_else_fails_it(value: Any) -> None:
    finished = outcome(value, n_objectives=2)
    assert (finished.state, finished.value, finished.retryable) == ("FAIL", None, False)
    assert finished.error is not None
    assert finished.error.endswith("; 2 finite numbers are needed, one for each objective")


def test_a_constraint_that_the_study_does_not_have_is_refused() -> None:
    trial = Trial(params={}, constraint_names=["seconds"])
    trial.set_constraint("seconds", 2)
    trial.set_constraint("seconds", -1)
    assert trial.constraints == {"seconds": -1.0}
    with pytest.raises(NonRetryableError, match="no constraint 'memory'; it has: seconds"):
        trial.set_constraint("memory", 1.0)
    with pytest.raises(ValueError, match="must be a finite number, got nan"):
        trial.set_constraint("seconds", float("nan"))
    with pytest.raises(NonRetryableError, match="it has: none"):
        Trial(params={}, constraint_names=()).set_constraint("a", 1.0)


def test_a_constraint_that_was_not_set_fails_a_complete_trial() -> None:
    complete, pruned = Finished(state="COMPLETE", value=1.0), Finished(state="PRUNED")
    found = with_constraints(complete, {"a": 1.0}, ["a", "b"])
    assert found == Finished(
        state="FAIL",
        error="the study's constraint 'b' was not set; see Trial.set_constraint",
        retryable=False,
    )
    assert with_constraints(pruned, {"a": 1.0}, ["a", "b"]) == pruned
    assert with_constraints(complete, {"a": 1.0}, []) == complete
    whole = with_constraints(complete, {"b": 2.0, "a": 1.0}, ["a", "b"])
    assert isinstance(whole, Finished)
    assert whole.constraints == {"a": 1.0, "b": 2.0}


Values = st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=3, max_size=3)


@given(one=Values, other=Values, third=Values)
def test_dominating_is_a_strict_order(
    one: list[float], other: list[float], third: list[float]
) -> None:
    directions = ["maximize", "minimize", "maximize"]
    assert not dominates(one, one, directions)
    assert not (dominates(one, other, directions) and dominates(other, one, directions))
    if dominates(one, other, directions) and dominates(other, third, directions):
        assert dominates(one, third, directions)
    assert dominates(one, other, directions) == dominates(
        other, one, ["minimize", "maximize", "minimize"]
    )


def test_the_front_is_right_however_the_trials_end(
    database: Database, submit: Callable[..., StudyRow]
) -> None:
    submit(n_trials=24, parallelism=24, directions=BOTH, constraints=["c"])
    claims = [
        leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"]) for _ in range(24)
    ]
    random = np.random.default_rng(3)
    values = random.integers(0, 6, size=(24, 2)).astype(float).tolist()
    values[5], values[6] = [9.0, 9.0], [9.0, 9.0]  # two alike are both best
    constraints = [{"c": float(random.integers(-3, 2))} for _ in range(24)]
    constraints[5] = constraints[6] = {"c": 0.0}
    with database.write() as session:
        for slot, claim in enumerate(claims):
            assert claim is not None
            leases.held(session, claim.trial.id, claim.fence).number = slot
    start = threading.Barrier(3)

    def finish(slots: range) -> None:
        start.wait()
        for slot in slots:
            claim = claims[slot]
            assert claim is not None
            results.finish(
                database,
                trial_id=claim.trial.id,
                fence=claim.fence,
                state="COMPLETE",
                value=values[slot],
                constraints=constraints[slot],
            )

    threads = [threading.Thread(target=finish, args=(range(i, 24, 3),)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    feasible = [slot for slot in range(24) if constraints[slot]["c"] <= 0]
    expected = {
        slot
        for slot in feasible
        if not any(dominates(values[other], values[slot], BOTH) for other in feasible)
    }
    assert {5, 6} < expected < set(feasible)
    status = get_study(database, "s")
    assert {trial.slot for trial in status.best_trials} == expected
    assert status.best is None
    for trial in list_trials(database, "s"):
        assert (trial.value, trial.objective_values) == (None, values[trial.slot])
        assert trial.feasible == (trial.slot in feasible)


@pytest.mark.parametrize(
    "sampler",
    [
        {"type": "tpe", "n_startup_trials": 4},
        {"type": "gp", "n_startup_trials": 4, "deterministic_objective": True},
        {"type": "nsga2", "population_size": 4},
        {"type": "qmc"},
    ],
    ids=lambda sampler: str(sampler["type"]),
)
@pytest.mark.parametrize("directions", [None, BOTH], ids=["one", "several"])
def test_samplers_heed_constraints(
    storage: OptunaStorage, spec: Spec, sampler: dict[str, Any], directions: list[str] | None
) -> None:
    unit = {"type": "float", "low": 0.01, "high": 1.0}
    body: dict[str, Any] = {"n_trials": 9, "sampler": sampler, "seed": 4}
    body["params"] = {"alpha": unit, "learning_rate": unit}
    if directions is not None:
        body["directions"] = directions

    def points(**more: Any) -> list[float]:
        asker, drawn = Asker(storage, spec(**body, **more)), []
        for slot in range(asker.spec.n_trials):
            asked = asker.ask(slot)
            x, y = asked.params["alpha"], asked.params["learning_rate"]
            constraints = {"c": x + y - 0.7} if asker.spec.constraints else None
            value = x * y if directions is None else [x, y]
            asker.tell(asked, "COMPLETE", value, constraints)
            drawn += [x, y]
        return drawn

    free = points(name="free")
    constrained = points(name="constrained", constraints=["c"])
    assert (free == constrained) == (sampler["type"] == "qmc")
    theirs = optuna.load_study(study_name="constrained", storage=storage.rdb)
    assert {min(t.constraints.values()) <= 0 for t in theirs.trials} == {True, False}
    assert all(sum(trial.params.values()) <= 0.7 for trial in theirs.best_trials)


def test_a_sampler_that_makes_nothing_of_constraints_says_so(
    storage: OptunaStorage, spec: Spec
) -> None:
    floats = {"type": "float", "low": 0.1, "high": 0.9}
    params = {"alpha": floats, "momentum": floats}
    one = spec(n_trials=20, sampler={"type": "cmaes"}, params=params, constraints=["c"])
    assert spec_warnings(one) == ["cmaes draws without regard to constraints"]
    asker = Asker(storage, one)
    asker.tell(asker.ask(0), "COMPLETE", 1.0, {"c": 1.0})  # warnings are errors in tests
    [theirs] = optuna.load_study(study_name="s", storage=storage.rdb).trials
    assert theirs.system_attrs["constraints"] == [1.0]


STUDIES = """
@task("trade-off")
def trade_off(trial):
    how, x = trial.params["how"], trial.params.get("x", 0.5)
    if how == "reports":
        trial.report(1.0, step=1)
    if how in ("constrained", "both", "half"):
        trial.set_constraint("small", x - 0.65)
    if how in ("constrained", "both"):
        trial.set_constraint("large", 0.15 - x)
    if how in ("constrained", "half"):
        return x
    return [x] if how == "short" else (x, -(x - 0.4) ** 2)

def main():
    x = {"x": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.2}}
    def study(how, space={}, **more):
        return {"task": "trade-off", "params": {"how": how} | space} | more

    both = {"directions": ["minimize", "maximize"], "n_trials": 6, "sampler": {"type": "grid"}}
    one = {"n_trials": 6, "sampler": {"type": "grid"}, "parallelism": 2}
    names = {"constraints": ["small", "large"]}
    wrong = {"directions": ["minimize", "maximize"], "retries": 1}
    return run_studies({
        "front": study("plain", x, **both),
        "limits": study("constrained", x, **one, **names),
        "limited-front": study("both", x, **both, **names),
        "half": study("half", **names),
        **{how: study(how, **wrong) for how in ("short", "reports")},
    })
"""


def test_studies_of_several_objectives_and_constraints(
    run_script: Callable[..., Any],
    database: Database,
    optuna_trials: Callable[[Database, str], list[FrozenTrial]],
) -> None:
    ended = run_script(STUDIES)
    [[state, _, error, attempt]] = ended["short"]
    assert (state, error[:26], attempt) == ("FAIL", "the task returned [0.5]; 2", 1)
    [[state, _, error, attempt]] = ended["reports"]
    assert (state, attempt) == ("FAIL", 1)
    assert "report: the study has 2 objectives" in error
    [[state, _, error, _]] = ended["half"]
    assert (state, error[:34]) == ("FAIL", "the study's constraint 'large' was")

    # x is to be small and near 0.4: between the two no one is better than another.
    expected = {"front": range(3), "limits": [3], "limited-front": range(1, 3)}
    for name, best in expected.items():
        status = get_study(database, name)
        assert status.trials == {"COMPLETE": 6}
        assert [trial.slot for trial in status.best_trials] == list(best)
        theirs = optuna_trials(database, name)
        for our, their in zip(list_trials(database, name), theirs, strict=True):
            assert our.objective_values == (their.values if name != "limits" else None)
            assert our.value == (their.value if name == "limits" else None)
            assert list(their.constraints.values()) == list((our.constraints or {}).values())
        shown = StudyOut.of(status)
        assert (shown.best is None) == (name != "limits")
        assert [trial.number for trial in shown.best_trials] == list(best)
        assert shown.best_trials[0].feasible
    limited = optuna_trials(database, "limits")
    assert limited[5].system_attrs["constraints"] == pytest.approx([0.35, -0.85])


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_of_equal_trials_the_first_is_the_best(
    database: Database,
    optuna_storage: OptunaStorage,
    submit: Callable[..., StudyRow],
    direction: str,
) -> None:
    submit(n_trials=3, direction=direction)
    play(database, optuna_storage, ["COMPLETE"] * 3)
    with database.write() as session:
        session.execute(text("UPDATE alphagrad_trials SET value = 0.5"))
    best = get_study(database, "s").best
    assert best is not None
    assert best.number == 0

"""Importance, best trials and slices of studies whose values are known."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select

from alphagrad.tuner.database import Database
from alphagrad.tuner.models import StudyRow, TrialRow

SPACE: dict[str, Any] = {
    "epochs": 1,
    "alpha": {"type": "float", "low": 1.0, "high": 100.0, "log": True},
    "learning_rate": {"type": "float", "low": 0.001, "high": 0.1},
    "optimizer": {"type": "categorical", "choices": ["alphagrad", "adam"]},
}
SPACE["alpha"]["when"] = {"optimizer": "alphagrad"}


def add_trials(state: Database, study: str, n: int, *, first: int = 0) -> None:
    """Complete trials whose value is set by the learning rate alone; one in ten infeasible."""
    with state.write() as session:
        study_id = session.scalars(select(StudyRow.id).where(StudyRow.name == study)).one()
        rows = []
        for number in range(first, first + n):
            place = (number * 0.618) % 1
            rate = 0.001 + 0.099 * place
            params = {"epochs": 1, "learning_rate": rate, "optimizer": "adam"}
            if number % 2:
                params |= {"optimizer": "alphagrad", "alpha": 1 + 99 * ((number * 0.755) % 1)}
            rows.append(
                {
                    "study_id": study_id,
                    "slot": number,
                    "number": number,
                    "state": "COMPLETE",
                    "params": params,
                    "value": -abs(rate - 0.05),
                    "feasible": number % 10 > 0,
                    "told": True,
                    "attempt": 1,
                    "failures": 0,
                    "losses": 0,
                    "fence": 1,
                    "started_at": 1e9,
                    "finished_at": 1e9 + 1,
                }
            )
        session.execute(insert(TrialRow), rows)


@pytest.fixture
def study(api: httpx.Client, name: str) -> str:
    """A study of three searched parameters."""
    body = {"name": name, "task": "digits", "n_trials": 5000, "params": SPACE}
    answer = api.post("/v1/studies", json=body)
    assert answer.status_code == 202, answer.text
    return name


@pytest.mark.parametrize("evaluator", ["ped-anova", "fanova"])
def test_what_matters_is_found(
    api: httpx.Client, state: Database, study: str, evaluator: str
) -> None:
    add_trials(state, study, 120)
    path = f"/v1/studies/{study}/importance"
    answer = api.get(path, params={"evaluator": evaluator}).json()
    assert (answer["n_trials"], answer["used_trials"]) == (120, 120)
    rest = {"ped-anova": {"optimizer", "alpha"}, "fanova": {"optimizer"}}[evaluator]
    assert next(iter(answer["importances"])) == "learning_rate"
    assert set(answer["importances"]) == {"learning_rate"} | rest
    assert answer["importances"]["learning_rate"] > 0.9
    assert math.isclose(sum(answer["importances"].values()), 1.0)
    assert answer["left_out"] == ([] if evaluator == "ped-anova" else ["alpha"])


def test_importance_follows_new_trials(api: httpx.Client, state: Database, study: str) -> None:
    path = f"/v1/studies/{study}/importance"
    empty = api.get(path).json()
    assert (empty["importances"], empty["n_trials"], empty["left_out"]) == (
        {},
        0,
        ["learning_rate", "optimizer", "alpha"],
    )
    add_trials(state, study, 50)
    assert api.get(path).json()["n_trials"] == 50
    add_trials(state, study, 2500, first=50)
    answer = api.get(path).json()
    assert (answer["n_trials"], answer["used_trials"]) == (2550, 2000)
    assert answer["importances"]["learning_rate"] > 0.9


def test_a_few_good_trials_among_equally_bad_ones(
    api: httpx.Client, state: Database, study: str
) -> None:
    add_trials(state, study, 60)
    with state.write() as session:
        for trial in session.scalars(select(TrialRow).where(TrialRow.number < 60)):
            if trial.study_id == session.scalar(select(StudyRow.id).where(StudyRow.name == study)):
                trial.value = 1.0 if (trial.params or {})["learning_rate"] > 0.098 else 0.0
    answer = api.get(f"/v1/studies/{study}/importance").json()
    assert answer["importances"]["learning_rate"] > 0.5


def test_the_best_trials_come_first(api: httpx.Client, state: Database, study: str) -> None:
    add_trials(state, study, 40)
    items = api.get(f"/v1/studies/{study}/best-trials", params={"limit": 5}).json()["items"]
    all_values = sorted(
        (trial["value"], trial["number"])
        for trial in api.get(f"/v1/studies/{study}/trials").json()["items"]
        if trial["feasible"]
    )
    assert [(t["value"], t["number"]) for t in items] == all_values[::-1][:5]
    assert api.get(f"/v1/studies/{study}").json()["best"] == items[0]


def test_the_best_of_several_objectives_are_the_front(
    api: httpx.Client, state: Database, name: str
) -> None:
    body = {"name": name, "task": "digits", "n_trials": 9, "params": SPACE}
    body["directions"] = ["minimize", "maximize"]
    assert api.post("/v1/studies", json=body).status_code == 202
    with state.write() as session:
        study_id = session.scalars(select(StudyRow.id).where(StudyRow.name == name)).one()
        for number, values in enumerate([[1.0, 1.0], [2.0, 2.0], [2.0, 1.0], [0.5, 0.1]]):
            session.add(
                TrialRow(
                    study_id=study_id,
                    slot=number,
                    number=number,
                    state="COMPLETE",
                    params={"learning_rate": 0.01, "optimizer": "adam"},
                    objective_values=values,
                    on_front=number != 2,
                    told=True,
                )
            )
    front = api.get(f"/v1/studies/{name}/best-trials").json()["items"]
    assert [trial["number"] for trial in front] == [0, 1, 3]
    second = api.get(f"/v1/studies/{name}/slice", params={"objective": 1}).json()
    assert second["values"] == [1.0, 2.0, 1.0, 0.1]
    for word in ("slice", "importance"):
        answer = api.get(f"/v1/studies/{name}/{word}", params={"objective": 2})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "objective"


def test_a_slice_has_an_entry_per_trial(api: httpx.Client, state: Database, study: str) -> None:
    add_trials(state, study, 20)
    path = f"/v1/studies/{study}/slice"
    found = api.get(path, params={"param": ["alpha", "learning_rate"]}).json()
    assert found["trials"] == list(range(20))
    assert list(found["params"]) == ["alpha", "learning_rate"]
    assert [value is None for value in found["params"]["alpha"]] == [True, False] * 10
    assert found["values"] == [-abs(rate - 0.05) for rate in found["params"]["learning_rate"]]
    assert found["feasible"] == [number % 10 > 0 for number in range(20)]
    assert set(api.get(path).json()["params"]) == {"alpha", "learning_rate", "optimizer"}
    some = api.get(path, params={"max_trials": 3}).json()
    assert (some["trials"], some["n_trials"]) == ([0, 10, 19], 20)
    refused = api.get(path, params={"param": "epochs"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["value"] == "epochs"


def test_a_study_that_is_not_there(api: httpx.Client) -> None:
    for word in ("importance", "best-trials", "slice"):
        assert api.get(f"/v1/studies/nobody/{word}").status_code == 404

"""Studies side by side, studies submitted anew, and lists with filters."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from alphagrad.tuner.database import Database
from alphagrad.tuner.models import StudyRow, TrialRow
from tests.api.remote_study import RemoteStudy
from tests.tuner.by_hand import play

SPACE = {"epochs": 1, "alpha": {"type": "float", "low": 1.0, "high": 9.0}}


def submit(api: httpx.Client, name: str, **fields: Any) -> None:
    body = {"name": name, "task": "digits", "n_trials": 9, "seed": 1, "params": SPACE} | fields
    answer = api.post("/v1/studies", json=body)
    assert answer.status_code == 202, answer.text


def complete(state: Database, study: str, *ends: tuple[float, float, bool]) -> None:
    """Store complete trials: value, seconds from the study's creation to the end, feasible."""
    with state.write() as session:
        row = session.scalars(select(StudyRow).where(StudyRow.name == study)).one()
        for number, (value, seconds, feasible) in enumerate(ends):
            session.add(
                TrialRow(
                    study_id=row.id,
                    slot=number,
                    number=number,
                    state="COMPLETE",
                    params={"alpha": value},
                    value=value,
                    feasible=feasible,
                    told=True,
                    started_at=row.created_at,
                    finished_at=row.created_at + seconds,
                )
            )


def test_the_best_values_grow_side_by_side(api: httpx.Client, state: Database, name: str) -> None:
    other = f"{name}-min"
    submit(api, name)
    submit(api, other, direction="minimize")
    ends = [(0.5, 40.0, True), (0.25, 10.0, True), (9.0, 15.0, False), (0.75, 20.0, True)]
    complete(state, name, *ends, (0.75, 30.0, True), (0.5, 50.0, True))
    complete(state, other, *ends)
    found = api.get("/v1/compare", params={"study": [name, other]}).json()["studies"]
    assert [study["name"] for study in found] == [name, other]
    most, least = found
    assert most["by_trial"] == {"at": [0, 3, 5], "best": [0.5, 0.75, 0.75]}
    assert most["by_time"]["at"] == pytest.approx([10, 20, 50])
    assert most["by_time"]["best"] == [0.25, 0.75, 0.75]
    assert (most["best"]["value"], most["params"]) == (0.75, {"alpha": 0.75})
    assert least["by_trial"] == {"at": [0, 1, 3], "best": [0.5, 0.25, 0.25]}
    assert least["by_time"]["best"] == [0.25, 0.25]
    assert (least["objectives"], least["task"]) == (["minimize"], "digits")


def test_seeds_of_one_setting_have_a_spread(api: httpx.Client, state: Database, name: str) -> None:
    once, empty, searched = (f"{name}-{of}" for of in ("once", "empty", "searched"))
    for study in (name, once, empty):
        submit(api, study, params={"epochs": 1, "alpha": 3.0})
    submit(api, searched)
    complete(state, name, *((value, 1.0, True) for value in (1.0, 2.0, 6.0)))
    complete(state, once, (-5.0, 1.0, True))
    complete(state, searched, (1.0, 1.0, True))
    answer = api.get("/v1/compare", params={"study": [name, once, empty, searched]}).json()
    spreads = [study["spread"] for study in answer["studies"]]
    assert spreads[0] == pytest.approx({"count": 3, "mean": 3.0, "std": 7**0.5, "median": 2.0})
    assert spreads[1:] == [{"count": 1, "mean": -5.0, "std": None, "median": -5.0}, None, None]


def test_studies_without_a_value_have_no_curve(api: httpx.Client, name: str) -> None:
    submit(api, name)
    submit(api, f"{name}-two", directions=["minimize", "maximize"])
    found = api.get("/v1/compare", params={"study": [name, f"{name}-two", name]}).json()["studies"]
    assert len(found) == 2
    for study in found:
        assert study["by_trial"] == study["by_time"] == {"at": [], "best": []}
        assert (study["best"], study["params"]) == (None, {})
    assert found[1]["objectives"] == ["minimize", "maximize"]


def test_a_study_whose_task_is_its_clients_own_has_none(api: httpx.Client, name: str) -> None:
    for study, task in ((name, {}), (f"{name}-named", {"task": "theirs"})):
        RemoteStudy(api, study, **task)
    answer = api.get("/v1/compare", params={"study": [name, f"{name}-named"]})
    assert answer.status_code == 200, answer.text
    assert [study["task"] for study in answer.json()["studies"]] == [None, "theirs"]


def test_what_cannot_be_compared(api: httpx.Client, name: str) -> None:
    assert api.get("/v1/compare").status_code == 422
    assert api.get("/v1/compare", params={"study": [name] * 9}).status_code == 422
    assert api.get("/v1/compare", params={"study": name}).status_code == 404


def test_a_clone_is_the_study_with_what_was_replaced(
    app: FastAPI, api: httpx.Client, name: str
) -> None:
    submit(api, name, n_trials=2, parallelism=2, sampler={"type": "random"}, priority=3)
    play(app.state.database, app.state.optuna_storage, ["COMPLETE", "PRUNED"], study=name)
    body = {"name": f"{name}-b", "n_trials": 5, "seed": 7}
    answer = api.post(f"/v1/studies/{name}:clone", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/studies/{name}-b"
    source, clone = (api.get(f"/v1/studies/{one}").json()["spec"] for one in (name, f"{name}-b"))
    assert clone == source | body
    assert clone["warm_start"] == []
    warm = api.post(
        f"/v1/studies/{name}:clone", json={"name": f"{name}-c"}, params={"warm_start": True}
    )
    assert warm.json()["spec"]["warm_start"] == [name]
    several = {"name": f"{name}-d", "directions": ["minimize", "maximize"]}
    assert api.post(f"/v1/studies/{name}:clone", json=several).json()["spec"]["direction"] is None


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "name"),
        ({"name": "a b"}, 422, "name"),
        ({"name": "fine", "trials": 3}, 422, "trials"),
        ({"name": "fine", "n_trials": 0}, 422, "n_trials"),
        ({"name": "fine", "params": {"nothing": 1}}, 422, "params.nothing"),
        (None, 409, "name"),
    ],
)
def test_a_clone_is_checked_as_a_study(
    api: httpx.Client, name: str, body: Any, status: int, field: str
) -> None:
    submit(api, name)
    sent = {"name": name} if body is None else body
    answer = api.post(f"/v1/studies/{name}:clone", json=sent)
    assert answer.status_code == status, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert api.post("/v1/studies/nobody:clone", json={"name": "x"}).status_code == 404


def test_studies_are_found_and_paged_the_newest_first(api: httpx.Client, name: str) -> None:
    names = [f"{name}-list-{i}" for i in range(5)]
    for one in names:
        submit(api, one)
    api.post(f"/v1/studies/{names[1]}:pause")
    filters: dict[str, Any] = {
        "name": f"{name}-list-?",
        "order": "newest",
        "page_size": 2,
        "task": "digits",
    }
    seen: list[str] = []
    token: str | None = None
    while True:
        page = api.get(
            "/v1/studies", params=filters | ({"page_token": token} if token else {})
        ).json()
        seen += [study["name"] for study in page["items"]]
        if (token := page["next_page_token"]) is None:
            break
        last = token
    assert seen == names[::-1]
    wrong = api.get("/v1/studies", params={"page_token": last})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "page_token"
    paused = api.get("/v1/studies", params={"name": f"{name}*", "state": ["PAUSED", "FAILED"]})
    assert [study["name"] for study in paused.json()["items"]] == [names[1]]
    assert api.get("/v1/studies", params={"state": "DONE"}).status_code == 422
    assert api.get("/v1/studies", params={"task": "nothing"}).json()["items"] == []


def test_trials_are_found_by_states_and_feasibility(
    app: FastAPI, api: httpx.Client, state: Database, name: str
) -> None:
    submit(api, name, n_trials=4)
    play(app.state.database, app.state.optuna_storage, ["COMPLETE", "PRUNED", "FAIL"], study=name)
    path = f"/v1/studies/{name}/trials"

    def numbers(**params: Any) -> list[int]:
        return [trial["number"] for trial in api.get(path, params=params).json()["items"]]

    assert numbers(state=["FAIL", "COMPLETE"]) == [0, 2]
    assert numbers(feasible=False) == []
    assert numbers(feasible=True, state="PRUNED") == [1]

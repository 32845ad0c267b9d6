"""A trial's log, reports and checkpoints, and ranges of its trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from alphagrad.tuner.database import Database
from alphagrad.tuner.leases import Claim
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settings import TunerSettings
from tests.tuner.by_hand import play_one

SPACE = {"epochs": 1, "alpha": {"type": "float", "low": 1.0, "high": 9.0}}


@pytest.fixture
def claim(app: FastAPI, api: httpx.Client, name: str) -> Claim:
    """A running trial, with two reports and two rows of a trace."""
    body = {"name": name, "task": "digits", "n_trials": 3, "seed": 1, "params": SPACE}
    assert api.post("/v1/studies", json=body).status_code == 202
    database: Database = app.state.database
    storage: OptunaStorage = app.state.optuna_storage
    return play_one(database, storage, None, name)


@pytest.fixture
def trial(claim: Claim) -> str:
    """The path of that trial."""
    return f"/v1/studies/{claim.study.name}/trials/0"


def test_reports_come_by_step(api: httpx.Client, trial: str) -> None:
    assert api.get(f"{trial}/reports").json() == {"steps": [1, 2], "values": [0.25, None]}


def test_many_reports_are_thinned_and_keep_their_ends(
    app: FastAPI, api: httpx.Client, claim: Claim, trial: str
) -> None:
    storage: OptunaStorage = app.state.optuna_storage
    from alphagrad.tuner.spec import StudySpec

    spec = StudySpec.model_validate(claim.study.spec)
    judged = storage.study(spec, number=0)
    for step in range(3, 102):
        storage.report(
            judged,
            claim.trial.optuna_trial_id or 0,
            step=step,
            value=step / 2,
            lease=(claim.trial.id, claim.fence),
        )
    thinned = api.get(f"{trial}/reports", params={"max_steps": 11}).json()
    assert thinned["steps"] == list(range(1, 102, 10))
    assert thinned["values"][1:] == [step / 2 for step in range(11, 102, 10)]


def test_a_log_is_read_from_its_end_and_on(api: httpx.Client, home: Path, trial: str) -> None:
    study = trial.split("/")[3]
    path = home / "logs" / study / "0.log"
    path.parent.mkdir(parents=True)
    path.write_text("started\nstep 1\n")
    part = api.get(f"{trial}/log", params={"limit": 8}).json()
    assert part == {"text": "step 1\n", "next_offset": 15, "size": 15}
    with path.open("a") as file:
        file.write("α = 50\n")
    part = api.get(f"{trial}/log", params={"offset": part["next_offset"]}).json()
    assert part == {"text": "α = 50\n", "next_offset": 23, "size": 23}
    assert api.get(f"{trial}/log", params={"limit": 3}).status_code == 422


def test_a_log_of_another_machine_is_a_problem_of_its_own(api: httpx.Client, trial: str) -> None:
    answer = api.get(f"{trial}/log")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:alphagrad:problem:no-log")
    assert "the machine of its worker, w, has it" in answer.json()["detail"]


def test_checkpoints_are_listed(app: FastAPI, api: httpx.Client, claim: Claim, trial: str) -> None:
    assert api.get(f"{trial}/checkpoints").json()["items"] == []
    settings: TunerSettings = app.state.settings
    folder = settings.checkpoint_dir(claim.study.id, claim.trial.slot)
    folder.mkdir(parents=True)
    for name in ("000001.pt", "000001-40.point", "000002.pt", "000002.tmp", "note.txt"):
        (folder / name).write_bytes(b"12345")
    items: list[dict[str, Any]] = api.get(f"{trial}/checkpoints").json()["items"]
    keys = ("kind", "fence", "attempt", "step", "size")
    assert [tuple(item[key] for key in keys) for item in items] == [
        ("point", 1, 1, 40, 5),
        ("checkpoint", 1, 1, None, 5),
        ("checkpoint", 2, None, None, 5),  # of an attempt that SQL does not know
    ]


def test_a_part_of_a_trace(api: httpx.Client, trial: str) -> None:
    def part(**params: Any) -> Any:
        trace = api.get(f"{trial}/alpha", params=params).json()
        return trace["layers"], trace["steps"], trace["alpha"]

    assert part() == (["w", "b"], [1, 2], [[1.5, 2.5], [3.5, None]])
    assert part(layers="b") == (["b"], [1, 2], [[2.5], [None]])
    assert part(layers=["[ab]", "x*"], after_step=1) == (["b"], [2], [[None]])
    assert part(before_step=2) == (["w", "b"], [1], [[1.5, 2.5]])
    assert part(layers="nothing") == ([], [1, 2], [[], []])
    assert part(after_step=2) == (["w", "b"], [], [])


def test_what_is_not_there(app: FastAPI, api: httpx.Client, trial: str) -> None:
    gone = trial.removesuffix("0") + "7"
    for word in ("log", "reports", "checkpoints"):
        assert api.get(f"{gone}/{word}").json()["type"] == "urn:alphagrad:problem:not-found"

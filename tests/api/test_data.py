"""Export and deletion over REST, and lists of trials in one state."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from alphagrad.client import ApiError, Client
from alphagrad.tuner.database import Database
from alphagrad.tuner.optuna_storage import OptunaStorage
from tests.tuner.by_hand import play

SPACE = {"epochs": 1, "alpha": {"type": "float", "low": 1.0, "high": 9.0}}


@pytest.fixture
def ended(app: FastAPI, api: httpx.Client, name: str) -> str:
    """A study of three ends."""
    body = {"name": name, "task": "digits", "n_trials": 3, "seed": 1, "params": SPACE}
    assert api.post("/v1/studies", json=body).status_code == 202
    database: Database = app.state.database
    storage: OptunaStorage = app.state.optuna_storage
    play(database, storage, ["COMPLETE", "PRUNED", "FAIL"], study=name)
    return name


def test_trials_of_one_state_are_listed(api: httpx.Client, ended: str) -> None:
    path = f"/v1/studies/{ended}/trials"
    for number, state in enumerate(["COMPLETE", "PRUNED", "FAIL"]):
        page = api.get(path, params={"state": state}).json()
        assert [trial["number"] for trial in page["items"]] == [number]
    assert api.get(path, params={"state": "LOST"}).status_code == 422


def test_an_export_is_a_file_of_its_type(api: httpx.Client, ended: str) -> None:
    answer = api.get(f"/v1/studies/{ended}/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{ended}-trials.csv"'
    assert answer.text.count("\n") == 5  # a header, three trials, an error of two lines
    path = f"/v1/studies/{ended}/export"
    steps = api.get(path, params={"format": "json", "what": "metrics"}).json()
    assert [row["step"] for row in steps] == [1, 2] * 3
    data = api.get(path, params={"format": "parquet", "what": "alpha"}).content
    assert data[:4] == data[-4:] == b"PAR1"
    assert api.get(path, params={"format": "xml"}).status_code == 422
    assert api.get("/v1/studies/nobody/export").status_code == 404


def test_the_client_exports_and_deletes(
    server_url: str, key: str, ended: str, home: Path, api: httpx.Client
) -> None:
    log = home / "logs" / ended / "0.log"
    log.parent.mkdir(parents=True)
    log.touch()
    with Client(server_url, key) as client:
        study = client.study(ended)
        said = b"".join(study.export(format="csv"))
        assert said == api.get(f"/v1/studies/{ended}/export").content
        study.delete()
        assert not log.parent.exists()
        with pytest.raises(ApiError, match="no study is named") as refused:
            study.delete()
        assert refused.value.status == 404
        with pytest.raises(ApiError, match="no study is named"):
            list(study.export())


def test_a_study_that_is_open_is_not_deleted(api: httpx.Client, name: str) -> None:
    body = {"name": name, "task": "digits", "n_trials": 1, "params": SPACE}
    api.post("/v1/studies", json=body)
    answer = api.delete(f"/v1/studies/{name}")
    assert answer.status_code == 409
    assert "cancel it first" in answer.json()["detail"]

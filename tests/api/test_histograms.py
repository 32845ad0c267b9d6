"""Histograms asked of trials that do not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from alphagrad.api import knobs
from alphagrad.client import ApiError, Client, ServerAwayError
from alphagrad.tuner import histograms
from alphagrad.tuner.database import Database
from alphagrad.tuner.leases import Claim
from alphagrad.tuner.messages import HistogramAnswer
from alphagrad.tuner.models import HistogramRow
from tests.tuner.by_hand import play, play_one

Wait = Callable[..., Any]
SPACE = {"epochs": 1, "alpha": {"type": "float", "low": 1.0, "high": 9.0}}


@pytest.fixture
def claim(app: FastAPI, api: httpx.Client, name: str) -> Claim:
    """A trial that runs, as far as SQL knows."""
    body = {"name": name, "task": "digits", "n_trials": 3, "seed": 1, "params": SPACE}
    assert api.post("/v1/studies", json=body).status_code == 202
    return play_one(app.state.database, app.state.optuna_storage, None, name)


def path_of(claim: Claim) -> str:
    return f"/v1/studies/{claim.study.name}/trials/0/alpha/histogram"


def questions(state: Database, claim: Claim) -> list[HistogramRow]:
    with state.read() as session:
        rows = select(HistogramRow).where(HistogramRow.trial_id == claim.trial.id)
        return list(session.scalars(rows))


def test_a_trial_that_does_not_answer(
    api: httpx.Client, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knobs, "ANSWER_SECONDS", 0.3)
    started = time.monotonic()
    answer = api.get(path_of(claim))
    assert 0.3 <= time.monotonic() - started < 3
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:alphagrad:problem:no-answer")


def test_a_client_does_not_take_a_silent_trial_for_a_server_that_is_away(
    server_url: str, key: str, claim: Claim, state: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knobs, "ANSWER_SECONDS", 0.3)
    before = len(questions(state, claim))
    with Client(server_url, key) as client, pytest.raises(ApiError) as caught:
        client.study(claim.study.name).trial(0).histogram()
    assert (caught.value.kind, caught.value.status) == ("no-answer", 504)
    assert not isinstance(caught.value, ServerAwayError)
    assert len(questions(state, claim)) == before + 1  # it was asked once


def test_who_asks_the_same_gets_the_same_answer(
    api: httpx.Client, state: Database, claim: Claim, wait_for: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: list[int] = []
    ask = histograms.ask

    def count(*given: Any, **options: Any) -> int:
        asked.append(ask(*given, **options))
        return asked[-1]

    monkeypatch.setattr(histograms, "ask", count)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(api.get, path_of(claim), params={"bins": 3}) for _ in range(3)]
        other = pool.submit(api.get, path_of(claim), params={"bins": 4})
        wait_for(lambda: len(asked) == 4)
        assert len(set(asked)) == len(questions(state, claim)) == 2
        for row_id, question in histograms.open_questions(state, [claim.trial.id]):
            edges = [1.0] * (question.bins + 1)
            said = HistogramAnswer(
                question.id, 9, edges, {"w": [1] * question.bins}, {"w": 0}, {"w": 2}
            )
            histograms.record_answer(state, said, trial_id=row_id)
        first = answers[0].result().json()
        assert first == {
            "step": 9,
            "edges": [1.0] * 4,
            "counts": {"w": [1, 1, 1]},
            "zeros": {"w": 0},
            "tau": {"w": 2},
        }
        assert [answer.result().json() for answer in answers] == [first] * 3
        assert other.result().json()["counts"] == {"w": [1, 1, 1, 1]}
    assert histograms.open_questions(state, [claim.trial.id]) == []


def test_a_trial_that_does_not_run(app: FastAPI, api: httpx.Client, name: str) -> None:
    body = {"name": name, "task": "digits", "n_trials": 1, "seed": 1, "params": SPACE}
    assert api.post("/v1/studies", json=body).status_code == 202
    [claim] = play(app.state.database, app.state.optuna_storage, ["COMPLETE"], study=name)
    answer = api.get(path_of(claim))
    assert answer.status_code == 409
    assert "is COMPLETE" in answer.json()["detail"]

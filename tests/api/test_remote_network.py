"""Remote trials on a network that fails: nothing is lost that the server could still be told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from alphagrad.api import remote_http
from alphagrad.api.settings import ApiSettings
from alphagrad.client import LostTrialError, RemoteTrial
from alphagrad.optim import AlphaGrad
from alphagrad.tuner.metric_buffer import MAX_BATCH
from tests.api.conftest import Ask
from tests.api.gate import Gate, gate
from tests.api.remote_study import RemoteStudy
from tests.api.serving import serving

LEASE = 9.0


@pytest.fixture
def network(tmp_path: Path, migrated_sqlite: Callable[[Path], str], key: str) -> Iterator[Gate]:
    settings = {"home": tmp_path, "api_key": key, "lease_seconds": LEASE}
    settings["database_url"] = migrated_sqlite(tmp_path / "alphagrad.db")
    with serving(ApiSettings.model_validate(settings)) as url, gate(url) as network:
        yield network


@pytest.fixture
def server_url(network: Gate) -> str:
    """Where ``ask`` asks."""
    return network.url


@pytest.fixture
def api(server_url: str, key: str) -> Iterator[httpx.Client]:
    bearer = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=server_url, headers=bearer, timeout=30.0) as client:
        yield client


def test_a_result_waits_for_a_server_that_is_away(
    network: Gate, api: httpx.Client, name: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    RemoteStudy(api, name, n_trials=1)
    trial = ask()
    monkeypatch.setattr(remote_http, "LONGEST_PAUSE", 0.1)
    network.shut()
    time.sleep(LEASE / 2)  # a heartbeat was refused, and is tried again
    threading.Timer(0.5, network.open).start()
    told = trial.tell(0.5)
    assert (told["state"], told["value"], told["attempt"]) == ("COMPLETE", 0.5, 1)


def test_a_line_that_went_silent_costs_no_lease(
    network: Gate, api: httpx.Client, name: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_http, "FIRST_ANSWER_SECONDS", 0.5)
    study = RemoteStudy(api, name, n_trials=1)
    trial = ask()
    network.silence()
    with httpx.Client(base_url=network.url, headers=api.headers, timeout=30.0) as others:
        study.api = others  # the first client's line is as silent
        give_up_at = time.monotonic() + 1.5 * LEASE
        while time.monotonic() < give_up_at:
            assert study.ask("another")["trial"] is None
            time.sleep(0.5)
        assert trial.tell(0.5)["attempt"] == 1


def test_a_result_that_went_into_a_silent_line_is_told_again(
    network: Gate, api: httpx.Client, name: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_http, "FIRST_ANSWER_SECONDS", 0.5)
    RemoteStudy(api, name, n_trials=1)
    trial = ask()
    network.silence()
    assert trial.tell(0.5)["attempt"] == 1


def test_values_of_any_number_of_names_fit_a_batch(api: httpx.Client, name: str, ask: Ask) -> None:
    study = RemoteStudy(api, name, n_trials=1)
    trial = ask()
    for step in range(MAX_BATCH // 3 + 10):
        trial.record({"a": step, "b": -step, "c": 0.5}, step=step)
    trial.tell(0.5)
    found: dict[str, Any] = study.get("/trials/0/metrics?max_steps=20000")
    for metric, sign in (("a", 1), ("b", -1)):
        values = found["metrics"][metric]["values"]
        assert values == [sign * step for step in range(MAX_BATCH // 3 + 10)]


def test_the_latest_command_has_the_last_word_after_a_takeover(
    network: Gate, api: httpx.Client, name: str, ask: Ask
) -> None:
    """The first is asked for again when its step is made anew, which is after the second came."""
    study = RemoteStudy(api, name, n_trials=1)
    first = ask()

    def run(trial: RemoteTrial, turned: Callable[[AlphaGrad], bool]) -> None:
        weight, bias = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
        optimizer = AlphaGrad([("weight", weight), ("bias", bias)], lr=0.1, alpha=50.0)
        trial.watch(optimizer)
        give_up_at = time.monotonic() + 20
        while not turned(optimizer):
            assert time.monotonic() < give_up_at
            weight.grad, bias.grad = torch.ones(2), torch.ones(2)
            optimizer.step()
            time.sleep(0.02)

    def states() -> list[str]:
        return [knob["state"] for knob in study.get("/trials/0/knobs")["items"]]

    path = f"{study.path}/trials/0/alpha"
    api.patch(path, json={"layers": "*", "alpha": 10.0}).raise_for_status()
    run(first, lambda _: states() == ["applied"])
    first._abandon()
    time.sleep(LEASE + 0.5)
    second = ask()
    assert second.attempt == 2
    api.patch(path, json={"layers": "weight", "alpha": 20.0}).raise_for_status()
    wanted = {"weight": 20.0, "bias": 10.0}
    run(second, lambda optimizer: optimizer.alphas() == wanted and states() == ["applied"] * 2)
    second.tell(0.5)


def test_a_trial_that_was_given_up_has_no_end(api: httpx.Client, name: str, ask: Ask) -> None:
    RemoteStudy(api, name, n_trials=1)
    trial = ask()
    trial._abandon()
    with pytest.raises(LostTrialError, match="given up before"):
        trial.tell(0.5)

"""``RemoteTrial``: a training script outside of the service, on a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from alphagrad.client import (
    ApiError,
    LostTrialError,
    RemoteTrial,
    StudyEndedError,
    remote_trials,
    run_remote,
)
from alphagrad.optim import AlphaGrad
from alphagrad.tuner import NonRetryableError, TrialPruned
from tests.api.conftest import Ask, Wait
from tests.api.remote_study import RemoteStudy


def train(trial: RemoteTrial, *, steps: int, until: Callable[[], bool] = lambda: True) -> float:
    """Fit a line with AlphaGrad, at least so many steps."""
    torch.manual_seed(trial.seed)
    model = torch.nn.Linear(4, 1)
    optimizer = AlphaGrad(model.named_parameters(), lr=0.1, alpha=50.0)
    trial.watch(optimizer)
    x = torch.randn(64, 4)
    y = x.sum(dim=1, keepdim=True)
    step, loss = 0, torch.tensor(0.0)
    while step < steps or not until():
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        step += 1
        trial.record({"loss": loss}, step=step)
        trial.report(loss.item(), step)
        if trial.should_prune():
            raise TrialPruned
    return loss.item()


def test_a_script_is_a_trial(api: httpx.Client, name: str, ask: Ask) -> None:
    study = RemoteStudy(api, name, direction="minimize", params={"lr": 0.1})
    with ask(client="host-1") as trial:
        assert (trial.params, trial.number, trial.attempt) == ({"lr": 0.1}, 0, 1)
        knob: dict[str, Any] = {}

        def turned() -> bool:
            if not knob:
                path = f"{study.path}/trials/0/alpha"
                knob.update(api.patch(path, json={"layers": "weight", "alpha": 3}).json())
            return bool(study.get("/trials/0/knobs")["items"][0]["state"] == "applied")

        loss = train(trial, steps=20, until=turned)
        told = trial.tell(loss)
    assert (told["state"], told["value"]) == ("COMPLETE", loss)
    alpha = study.get("/trials/0/alpha")
    assert alpha["layers"] == ["weight", "bias"]
    applied = study.get("/trials/0/knobs")["items"][0]["step"]
    assert alpha["steps"] == sorted(alpha["steps"])
    for step, row in zip(alpha["steps"], alpha["alpha"], strict=True):
        assert row == [3.0 if step >= applied else 50.0, 50.0]
    assert applied in alpha["steps"]
    metrics = study.get("/trials/0/metrics?max_steps=20000")["metrics"]
    steps = metrics["loss"]["steps"]
    assert steps == list(range(1, len(steps) + 1))
    assert metrics["loss"]["values"][-1] == loss
    rows = api.get(f"/v1/studies/{name}/export?what=reports&format=json").json()
    assert [row["step"] for row in rows] == steps
    attempts = study.get("/trials/0/attempts")["items"]
    assert attempts[0]["worker"].startswith("client:host-1/")


def test_ends_of_a_block(api: httpx.Client, name: str, ask: Ask) -> None:
    study = RemoteStudy(api, name, n_trials=5, parallelism=5, retries=1)
    with pytest.raises(RuntimeError, match="diverged"), ask():
        raise RuntimeError("diverged")
    again = ask()
    assert (again.number, again.attempt) == (0, 2)
    with pytest.raises(NonRetryableError), again:
        raise NonRetryableError("bad data")
    with ask() as trial:
        trial.report(0.5, step=3)
        raise TrialPruned
    with ask():
        pass
    with pytest.raises(KeyboardInterrupt), ask():
        raise KeyboardInterrupt
    ended = [study.get(f"/trials/{number}") for number in range(4)]
    assert [trial["state"] for trial in ended] == ["FAIL", "PRUNED", "FAIL", "RUNNING"]
    assert ended[0]["error"] == "NonRetryableError: bad data"
    assert ended[1]["value"] == 0.5
    assert ended[2]["error"] == "the trial was left without a result: call trial.tell"
    with ask() as trial:
        assert trial.tell(float("nan"))["state"] == "FAIL"


def test_a_lost_trial_stops(api: httpx.Client, name: str, ask: Ask) -> None:
    study = RemoteStudy(api, name, parallelism=2)
    with ask() as trial:
        trial.report(0.5, step=1)
        assert not trial.should_prune()
        api.post(f"{study.path}:cancel")
        trial.report(0.6, step=2)
        assert trial.should_prune()
        with pytest.raises(LostTrialError, match="was cancelled"):
            trial.report(0.7, step=3)
        with pytest.raises(LostTrialError):
            trial.tell(1.0)
    with pytest.raises(StudyEndedError, match="CANCELLED"):
        ask()


def test_a_trial_of_a_deleted_study_is_lost(
    api: httpx.Client, name: str, ask: Ask, wait_for: Wait
) -> None:
    study = RemoteStudy(api, name)
    with ask() as trial:
        api.post(f"{study.path}:cancel").raise_for_status()
        wait_for(lambda: api.delete(study.path).is_success)  # the server ends it first
        trial.report(0.5, step=1)
        assert trial.should_prune()
        with pytest.raises(LostTrialError, match="no study is named"):
            trial.tell(1.0)


def test_what_is_said_to_a_study_of_the_same_name_that_came_later_is_refused(
    api: httpx.Client, name: str, ask: Ask, wait_for: Wait
) -> None:
    study = RemoteStudy(api, name)
    old = ask()
    api.post(f"{study.path}:cancel").raise_for_status()
    wait_for(lambda: api.delete(study.path).is_success)
    RemoteStudy(api, name)
    new = ask()
    assert (new.number, new.fence) == (old.number, old.fence)
    with pytest.raises(LostTrialError, match="another client has it"):
        old.tell(999.0)
    assert new.tell(1.0)["value"] == 1.0


def test_what_the_server_refuses_is_raised(
    api: httpx.Client, name: str, server_url: str, key: str, ask: Ask
) -> None:
    RemoteStudy(api, name)
    with pytest.raises(ApiError, match="refused the API key"):
        RemoteTrial.ask(server_url, "wrong", study=name)
    with pytest.raises(ApiError, match="no study is named 'none'"):
        RemoteTrial.ask(server_url, key, study="none")
    with pytest.raises(ApiError, match=r"no answer from .*, for 0\.2 s"):
        RemoteTrial.ask("http://127.0.0.1:9", key, study=name, patience=0.2)
    with pytest.raises(ValueError, match="client must have 1 to 80 characters"):
        ask(client="")
    trial = ask()
    with pytest.raises(TypeError, match="the value must be a number"):
        trial.report("low", step=1)  # type: ignore[arg-type]
    with pytest.raises(NonRetryableError, match="no constraint 'mb'"):
        trial.set_constraint("mb", 1.0)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://[::1"])
def test_an_address_that_is_none_is_refused_at_once(url: str, key: str) -> None:
    began = time.monotonic()
    with pytest.raises(ApiError, match="URL"):
        RemoteTrial.ask(url, key, study="s", patience=20)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("sent", ["sixteen letters!\n", "ключ" * 4])
def test_a_key_that_no_header_can_hold_is_refused_at_once(server_url: str, sent: str) -> None:
    with pytest.raises(ApiError, match="characters that no key has"):
        run_remote(lambda trial: 1.0, server_url, sent, study="s", patience=20)


def test_bad_trials_are_pruned_by_their_median(
    api: httpx.Client, name: str, server_url: str, key: str, tmp_path: Path
) -> None:
    pruner = {"type": "median", "n_startup_trials": 2}
    values = [{"x": x} for x in (0.1, 0.2, 0.9, 0.05)]
    study = RemoteStudy(api, name, n_trials=4, direction="minimize", pruner=pruner, enqueue=values)

    def task(trial: RemoteTrial) -> float:
        for step in range(3):
            trial.report(trial.params["x"], step)
            if trial.should_prune():
                raise TrialPruned
        return float(trial.params["x"])

    assert run_remote(task, server_url, key, study=name, checkpoints=tmp_path) == 4
    found = [study.get(f"/trials/{number}") for number in range(4)]
    assert [trial["state"] for trial in found] == ["COMPLETE", "COMPLETE", "PRUNED", "COMPLETE"]
    assert found[2]["error"] == "by the median pruner at step 0"


def test_saturated_trials_are_pruned(api: httpx.Client, name: str, ask: Ask) -> None:
    pruner = {"type": "saturation", "window": 8, "high": 0.5}
    study = RemoteStudy(api, name, pruner=pruner, params={})
    with ask() as trial:
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.zeros(1000))
        optimizer = AlphaGrad([("w", weight)], lr=0.1, alpha=1e6)
        trial.watch(optimizer)
        for step in range(20):
            weight.grad = torch.randn(1000)
            optimizer.step()
            trial.report(0.0, step)
            if trial.should_prune():
                raise TrialPruned
    ended = study.get("/trials/0")
    assert ended["state"] == "PRUNED"
    assert "1 of 1 layers are stuck in 90% of the last 8 samples: w (saturated)" in ended["error"]
    assert len(study.get("/trials/0/alpha")["steps"]) == 8


def test_eight_clients_share_a_study(
    api: httpx.Client, name: str, server_url: str, key: str, tmp_path: Path, wait_for: Wait
) -> None:
    study = RemoteStudy(api, name, n_trials=24, parallelism=8, sampler={"type": "random"})
    seen: list[int] = []

    def client() -> None:
        for trial in remote_trials(server_url, key, study=name, checkpoints=tmp_path):
            with trial:
                seen.append(trial.number)
                trial.report(trial.params["x"], step=0)
                trial.tell(trial.params["x"])

    clients = [threading.Thread(target=client) for _ in range(8)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert sorted(seen) == list(range(24))
    found = wait_for(lambda: (s := study.get())["state"] == "COMPLETED" and s)
    assert found["trials"] == {"COMPLETE": 24}


DYING = """
import sys, time
from alphagrad.client import RemoteTrial

url, key, study, folder = sys.argv[1:]
trial = RemoteTrial.ask(url, key, study=study, client="dying", checkpoints=folder)
for step in range(1, 4):
    trial.record({"a": step}, step)
    trial.report(step, step)
    trial.save_checkpoint({"step": step})
assert "torch" in sys.modules  # for the checkpoint alone
print(trial.number, flush=True)
time.sleep(60)
"""


def test_a_killed_client_is_taken_over(
    start_service: Callable[..., tuple[subprocess.Popen[str], str]],
    key: str,
    tmp_path: Path,
) -> None:
    server, url = start_service(
        tmp_path / "home", "--no-worker", ALPHAGRAD_API_KEY=key, ALPHAGRAD_LEASE_SECONDS="4"
    )
    try:
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as api:
            study = RemoteStudy(api, "s", n_trials=1, params={})
            folder = str(tmp_path / "checkpoints")
            with subprocess.Popen(
                [sys.executable, "-c", DYING, url, key, "s", folder],
                stdout=subprocess.PIPE,
                text=True,
            ) as dying:
                assert dying.stdout is not None
                assert dying.stdout.readline() == "0\n"
                os.kill(dying.pid, signal.SIGKILL)
            trial = RemoteTrial.ask(url, key, study="s", client="heir", checkpoints=folder)
            assert (trial.number, trial.attempt) == (0, 2)
            assert trial.load_checkpoint() == {"step": 3}
            with trial:
                trial.record({"a": 40}, 4)
                trial.report(4, 4)
                trial.tell(1.0)
            outcomes = [one["outcome"] for one in study.get("/trials/0/attempts")["items"]]
            assert outcomes == ["LOST", "COMPLETE"]
            series = study.get("/trials/0/metrics")["metrics"]["a"]
            assert series == {"steps": [1, 2, 3, 4], "values": [1, 2, 3, 40]}
            assert list(Path(folder).rglob("*.pt")) == []
    finally:
        server.terminate()
        server.communicate(timeout=30)


LIGHT = """
import sys
from alphagrad.client import RemoteTrial
url, key, study, folder = sys.argv[1:]
trial = RemoteTrial.ask(url, key, study=study, checkpoints=folder)
trial.record({"a": 1}, 1)
trial.report(1.0, 1)
assert trial.should_prune() is False
assert "torch" not in sys.modules, "torch"
raise RuntimeError("uncaught")
"""


def test_a_process_without_torch_fails_its_trial_at_its_end(
    api: httpx.Client, name: str, server_url: str, key: str, tmp_path: Path
) -> None:
    study = RemoteStudy(api, name)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIGHT), server_url, key, name, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("RuntimeError: uncaught")
    trial = study.get("/trials/0")
    assert (trial["state"], trial["error"]) == ("FAIL", "RuntimeError: uncaught")

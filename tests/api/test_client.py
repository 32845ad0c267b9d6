"""Both clients on a real service whose worker runs trials."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphagrad.client import ApiError, AsyncClient, Client, Study, Trial
from tests.api.endless import endless

Wait = Callable[..., Any]

SPACE = {"epochs": 1, "alpha": {"type": "float", "low": 1, "high": 100, "log": True}}


def spec(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "task": "digits", "n_trials": 2, "seed": 1, "params": SPACE} | changes


@pytest.fixture(scope="module")
def client(service_url: str, key: str) -> Iterator[Client]:
    with Client(service_url, key) as opened:
        yield opened


@pytest.fixture(scope="module")
def ended(client: Client) -> Study:
    """A study of two trials, at its end."""
    return client.submit(spec("by-client")).wait(timeout=60)


@pytest.fixture(scope="module")
def running(client: Client, service: httpx.Client, wait_for: Wait) -> Iterator[Trial]:
    """A trial that would run for days, with a trace."""
    with endless(service, wait_for, "knobs-by-client", alpha=20.0):
        yield client.study("knobs-by-client").trial(0)


def test_a_study_is_submitted_waited_for_and_read(client: Client, ended: Study) -> None:
    assert (ended.name, ended.state, ended.ended) == ("by-client", "COMPLETED", True)
    assert [warning.split()[0] for warning in ended.warnings] == ["tpe"]
    trials = list(ended.trials())
    assert [(trial.number, trial.state) for trial in trials] == [(0, "COMPLETE"), (1, "COMPLETE")]
    best = ended.best
    assert best is not None
    assert best.value == max(trial.value or 0.0 for trial in trials)
    assert [trial.number for trial in ended.best_trials] == [best.number]
    assert 1 <= best.params["alpha"] <= 100
    assert list(ended.trials(state="FAIL")) == []
    assert [trial.number for trial in ended.trials(limit=1)] == [0]
    assert client.study("by-client").data["trials"] == {"COMPLETE": 2}
    assert "by-client" in {study.name for study in client.studies()}


def test_a_trial_gives_what_it_recorded_as_columns(ended: Study) -> None:
    trial = ended.trial(1)
    columns = trial.alpha()
    assert list(columns) == ["step", "layer", "alpha", "saturation"]
    layers = trial.data["layers"]
    assert layers
    steps = columns["step"]
    assert columns["layer"] == layers * (len(steps) // len(layers))
    assert steps == sorted(steps)
    assert columns["alpha"] == [pytest.approx(trial.params["alpha"])] * len(steps)
    assert all(0 <= value <= 1 for value in columns["saturation"])
    wide = trial.alpha(wide=True)
    assert wide["step"] == steps[:: len(layers)]
    assert wide[f"saturation/{layers[0]}"] == columns["saturation"][:: len(layers)]
    (metric,) = list(trial.metrics())[:1]
    assert set(trial.metrics(names=metric)) == {metric}
    assert len(trial.reports()["values"]) == len(trial.reports()["steps"]) == 1
    assert [attempt["outcome"] for attempt in trial.attempts()] == ["COMPLETE"]
    assert trial.checkpoints() == []
    lines = list(trial.log())
    assert "COMPLETE" in lines[-1]
    assert list(trial.log(whole=True, follow=True)) == lines
    with pytest.raises(ApiError, match="has no trial 2") as refused:
        ended.trial(2)
    assert refused.value.kind == "not-found"


def test_a_study_is_exported_and_understood(ended: Study) -> None:
    header, *rows = b"".join(ended.export()).decode().splitlines()
    assert header.startswith("number,state,value")
    assert len(rows) == 2
    assert b"".join(ended.export(what="alpha", format="parquet")).startswith(b"PAR1")
    found = ended.importance()
    assert (found["n_trials"], list(found["importances"]) or ["alpha"]) == (2, ["alpha"])


def test_a_study_is_steered(client: Client, name: str) -> None:
    study = client.submit(spec(name, n_trials=500))
    assert study.pause().state == "PAUSED"
    assert study.edit(n_trials=600, priority=3).data["n_trials"] == 600
    study.enqueue({"alpha": 42.0})
    assert study.resume().state in ("QUEUED", "RUNNING")
    with pytest.raises(ApiError, match="n_trials"):
        study.edit(n_trials=0)
    with pytest.raises(TimeoutError, match=name):
        study.wait(timeout=0.1, poll=0.05)
    assert study.cancel().state == "CANCELLED"
    assert study.wait(timeout=60) is study
    study.delete()
    with pytest.raises(ApiError, match="no study is named"):
        study.refresh()


def test_studies_are_cloned_and_compared(client: Client, ended: Study, name: str) -> None:
    clone = ended.clone(name, warm_start=True, n_trials=3, seed=5)
    assert (clone.name, clone.data["n_trials"]) == (name, 3)
    assert clone.data["spec"]["warm_start"] == [ended.name]
    assert clone.data["spec"]["params"] == ended.data["spec"]["params"]
    clone.cancel()
    compared = client.compare(ended.name, name)
    assert [one["name"] for one in compared] == [ended.name, name]
    assert compared[0]["best"] == ended.data["best"]
    assert [study.name for study in client.studies(name=f"{name}*")] == [name]
    assert next(client.studies(order="newest")).name == name
    assert ended.name not in [study.name for study in client.studies(state="RUNNING")]


def test_a_spec_may_be_a_file(client: Client, name: str, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(f'name = "{name}"\ntask = "digits"\nn_trials = 1\npriority = -9\n')
    study = client.submit(file)
    assert study.data["spec"]["priority"] == -9
    assert study.stop().name == name
    file.write_text("name = ")
    with pytest.raises(ApiError, match="not TOML"):
        client.submit(str(file))
    with pytest.raises(ApiError, match="No such file"):
        client.submit(tmp_path / "nothing.toml")


def test_the_knob_says_at_which_step_it_was_applied(running: Trial) -> None:
    layers = running.refresh()["layers"]
    assert layers
    command = running.set_alpha(50, layers=layers[0], pin=True)
    assert (command["state"], command["alpha"], command["pin"]) == ("applied", 50.0, True)
    assert command["step"] is not None
    assert running.knobs()[-1] == command
    seen = set()
    give_up_at = time.monotonic() + 30
    while 50.0 not in seen and time.monotonic() < give_up_at:
        columns = running.alpha(wide=True, after_step=command["step"] - 1)
        seen = set(columns[f"alpha/{layers[0]}"])
    assert seen == {50.0}
    assert set(columns[f"alpha/{layers[1]}"]) == {20.0}
    assert min(columns["step"]) >= command["step"]
    counts = running.histogram(layers=layers[0], bins=8)["counts"]
    assert {name: len(bins) for name, bins in counts.items()} == {layers[0]: 8}
    only = running.alpha(layers=layers[1], before_step=command["step"])
    assert set(only["layer"]) == {layers[1]}
    with pytest.raises(ApiError, match="no layer matches") as refused:
        running.set_alpha(50, layers="nothing.*")
    assert refused.value.kind == "knob-rejected"
    with pytest.raises(ApiError) as late:
        running.set_alpha(60, only_after=command["id"])
    assert late.value.status == 412
    assert running.set_alpha(pin=False, wait=False)["state"] == "requested"


def test_events_tell_a_studys_life(client: Client, ended: Study, running: Trial) -> None:
    kinds = []
    for event in ended.events(after=0):
        assert event["study"] == ended.name
        kinds.append(event["kind"])
        if event["kind"] == "study.changed" and event["state"] == "COMPLETED":
            break
    assert kinds[0] == "study.submitted"
    assert kinds.count("trial.started") == kinds.count("trial.ended") == 2
    events = client.events()
    assert next(events)["id"] > 0  # of the trial that runs
    events.close()  # type: ignore[attr-defined]


def test_all_of_it_can_be_awaited(service_url: str, key: str, name: str, running: Trial) -> None:
    async def follow(client: AsyncClient) -> list[str]:
        kinds = []
        async for event in (await client.study(name)).events(after=0):
            kinds.append(event["kind"])
            if event["kind"] == "study.changed" and event["state"] == "COMPLETED":
                break
        return kinds

    async def all_of_it() -> None:
        async with AsyncClient(service_url, key) as client:
            study = await client.submit(spec(name))
            ended, kinds = await asyncio.gather(study.wait(timeout=60), follow(client))
            assert kinds.count("trial.ended") == 2
            assert ended is study
            assert [trial.state async for trial in study.trials()] == ["COMPLETE"] * 2
            trial = await study.trial(0)
            assert set(await trial.alpha()) == {"step", "layer", "alpha", "saturation"}
            assert [line async for line in trial.log()]
            assert b"".join([piece async for piece in study.export()]).startswith(b"number,")
            steered = await (await client.study(running.study)).trial(running.number)
            assert (await steered.set_alpha(33))["state"] == "applied"
            assert name in [one.name async for one in client.studies()]
            assert (await client.task("digits"))["about"]
            await study.delete()
            with pytest.raises(ApiError, match="no study"):
                await client.study(name)

    asyncio.run(all_of_it())


def test_progress_is_a_line_for_each_trial_in_a_log(ended: Study, capfd: Any) -> None:
    ended.wait(progress=True)
    assert "by-client: 2/2 trials  best" in capfd.readouterr().err


def test_the_client_is_imported_quickly_and_alone() -> None:
    code = (
        "import sys, time; started = time.process_time(); import alphagrad.client;"
        "print(time.process_time() - started,"
        " *{'torch', 'optuna', 'sqlalchemy', 'fastapi', 'numpy', 'pydantic'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    said = [subprocess.check_output(command, text=True).split() for _ in range(3)]
    assert all(len(words) == 1 for words in said), said
    assert min(float(words[0]) for words in said) < 0.3


def test_a_wrong_key_is_refused_with_a_hint(service_url: str) -> None:
    wrong = Client(service_url, "not-the-right-key")
    with wrong, pytest.raises(ApiError, match="ALPHAGRAD_API_KEY") as refused:
        list(wrong.studies())
    assert refused.value.status == 401

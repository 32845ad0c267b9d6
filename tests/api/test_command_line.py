"""submit, ls, show and stop against a server (``--url``)."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.remote_study import RemoteStudy

Command = Callable[..., "subprocess.CompletedProcess[str]"]

LONG = """
name = "by-command"
task = "digits"
n_trials = 1000
parallelism = 2
[params]
epochs = 2
alpha = { type = "float", low = 1.0, high = 100.0, log = true }
"""


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert done.stderr.startswith("alphagrad: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_study_is_submitted_watched_and_stopped(
    alphagrad: Command,
    service: httpx.Client,
    service_url: str,
    tmp_path: Path,
    wait_for: Callable[..., Any],
) -> None:
    file = tmp_path / "long.toml"
    file.write_text(LONG)
    assert alphagrad("submit", str(file)).stdout == "by-command QUEUED\n"
    assert "'by-command'" in one_line(alphagrad("submit", str(file)))
    wait_for(lambda: service.get("/v1/studies/by-command").json()["best"])
    listed = alphagrad("ls", "--url", service_url, ALPHAGRAD_URL="")
    assert re.search(
        r"by-command +│ digits +│ RUNNING +│ \d+/1000 +│ 0\.\d+ \(trial \d+\)", listed.stdout
    )
    assert alphagrad("stop", "by-command").stdout == "by-command STOPPING\n"
    wait_for(lambda: service.get("/v1/studies/by-command").json()["state"] == "COMPLETED")
    shown = alphagrad("show", "by-command", "--limit", "1000").stdout
    finished = service.get("/v1/studies/by-command").json()["trials"]["COMPLETE"]
    assert 0 < finished < 1000
    assert f"{finished}/1000" in shown
    assert shown.count("COMPLETE ") == finished
    assert "COMPLETED" in one_line(alphagrad("stop", "by-command"))


@pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)
def test_a_list_longer_than_a_page_is_shown_whole(
    alphagrad: Command, api: httpx.Client, server_url: str
) -> None:
    names = [f"many-{number:03d}" for number in range(101)]
    for name in names:
        spec = {"name": name, "task": "digits", "n_trials": 1}
        assert api.post("/v1/studies", json=spec).status_code == 202
    listed = alphagrad("ls", ALPHAGRAD_URL=server_url).stdout
    assert re.findall(r"many-\d{3}", listed) == names


def test_a_refused_study_names_its_field(alphagrad: Command, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('name = "bad"\ntask = "digits"\nn_trials = 0\n')
    assert "n_trials" in one_line(alphagrad("submit", str(file)))


def test_a_value_that_json_does_not_have_is_named(alphagrad: Command, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    for value, named in (
        ("[1, 1979-05-27]", ".1: JSON has no datetime.date(1979, 5, 27)"),
        ("inf", ": JSON has no inf"),
    ):
        file.write_text(f'name = "bad"\ntask = "digits"\n[params]\nepochs = {value}\n')
        assert f"params.epochs{named}" in one_line(alphagrad("submit", str(file)))


def test_the_fields_of_a_clone_are_judged(alphagrad: Command, tmp_path: Path) -> None:
    file = tmp_path / "cloned.toml"
    file.write_text('name = "cloned"\nengine = "remote"\nn_trials = 1\n')
    assert alphagrad("submit", str(file)).returncode == 0
    for given in ("3", "cloned", "null"):
        assert "warm_start" in one_line(alphagrad("clone", "cloned", "b", f"warm_start={given}"))
    twice = alphagrad("clone", "cloned", "b", "name=c")
    assert twice.returncode == 2
    assert "name=c" in twice.stderr


def test_studies_whose_tasks_are_their_clients_own_are_listed_and_compared(
    alphagrad: Command, service: httpx.Client
) -> None:
    # No task at all, and names that rich would take for markup.
    tasks = {"theirs-none": None, "theirs-tag": "resnet[cifar10]", "theirs-end": "lab/[/vision]"}
    for name, task in tasks.items():
        RemoteStudy(service, name, **({} if task is None else {"task": task}))
    for command in (("ls", "--name", "theirs-*"), ("compare", *tasks)):
        done = alphagrad(*command)
        assert done.returncode == 0, done.stderr
        for shown in (*tasks, "resnet[cifar10]", "lab/[/vision]"):
            assert shown in done.stdout
        assert "None" not in done.stdout
    for name in tasks:
        assert service.post(f"/v1/studies/{name}:cancel").is_success


@pytest.mark.parametrize("command", ["show", "stop"])
def test_a_study_that_is_not_there_is_named(alphagrad: Command, command: str) -> None:
    assert "'nobody'" in one_line(alphagrad(command, "nobody"))


@pytest.mark.parametrize("name", ["", "a/b", "../../healthz", "x?y=1", "x#y"])
def test_a_name_that_no_study_can_have_is_refused(alphagrad: Command, name: str) -> None:
    one_line(alphagrad("show", name))


def test_a_wrong_key_is_refused(alphagrad: Command) -> None:
    line = one_line(alphagrad("ls", ALPHAGRAD_API_KEY="not the right key"))
    assert "API key" in line


def test_an_address_that_is_not_the_services_is_refused(
    alphagrad: Command, service_url: str
) -> None:
    # Its login page answers 200 too, but is no list of studies.
    one_line(alphagrad("ls", "--url", f"{service_url}/login?"))

"""Programs in other languages run trials while the server is killed and started again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import Wait
from tests.api.remote_study import RemoteStudy
from tests.conftest import need

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PROGRAMS = {
    "python": [sys.executable, str(EXAMPLES / "remote_script.py")],
    "sh": ["sh", str(EXAMPLES / "remote.sh")],
    "node": ["node", str(EXAMPLES / "remote.mjs")],
}
Start = Callable[..., "tuple[subprocess.Popen[str], str]"]


@pytest.fixture
def start(
    new_postgres: Callable[[], str], tmp_path: Path, start_service: Start, key: str
) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts ``alphagrad serve --no-worker`` on a port of its own, as often as it is called."""
    environment = {
        "ALPHAGRAD_API_KEY": key,
        "ALPHAGRAD_LEASE_SECONDS": "10",
        "ALPHAGRAD_DATABASE_URL": new_postgres(),
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    started: list[subprocess.Popen[str]] = []

    def run() -> subprocess.Popen[str]:
        (tmp_path / "home" / "serve.json").unlink(missing_ok=True)
        options = ("--no-worker", "--port", port)
        started.append(start_service(tmp_path / "home", *options, **environment)[0])
        return started[-1]

    yield run
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def program(key: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a program that runs trials."""
    for name in ("node", "curl"):
        if shutil.which(name) is None:
            need(name)
    started: list[subprocess.Popen[str]] = []

    def run(language: str, url: str, study: str) -> subprocess.Popen[str]:
        variables = {
            "ALPHAGRAD_URL": url,
            "ALPHAGRAD_API_KEY": key,
            "ALPHAGRAD_HOME": str(tmp_path),
            "STEP_SECONDS": "0.1",
        }
        command = [*PROGRAMS[language], study, f"{language}-1"]
        started.append(
            subprocess.Popen(
                command,
                env=os.environ | variables,
                text=True,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_the_page_shows_the_programs() -> None:
    page = (EXAMPLES.parent / "remote.md").read_text(encoding="utf-8")
    for name in ("remote.sh", "remote.mjs", "remote_script.py"):
        assert (EXAMPLES / name).read_text(encoding="utf-8").rstrip() in page


def test_programs_run_trials_across_a_killed_server(
    start: Callable[[], subprocess.Popen[str]],
    program: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    key: str,
    wait_for: Wait,
) -> None:
    server = start()
    url = f"http://127.0.0.1:{_port(server)}"
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as api:
        fields = {"n_trials": 4, "parallelism": 3, "direction": "minimize"}
        study = RemoteStudy(api, "s", sampler={"type": "random"}, **fields)
        programs: dict[str, subprocess.Popen[str]] = {}

        def running() -> list[dict[str, Any]]:
            found = api.get("/v1/studies/s/trials").json()["items"]
            return [trial for trial in found if trial["state"] == "RUNNING"]

        for language in PROGRAMS:
            programs[language] = program(language, url, "s")
            wait_for(running)
        wait_for(lambda: len(running()) == 3)
        server.kill()
        server.wait()
        start()
        for language, process in programs.items():
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, (language, errors)
        found = wait_for(lambda: (s := study.get())["state"] == "COMPLETED" and s)
        assert found["trials"] == {"COMPLETE": 4}
        rows = api.get("/v1/studies/s/export?what=reports&format=json").json()
        clients = set()
        for trial in api.get("/v1/studies/s/trials").json()["items"]:
            x = trial["params"]["x"]
            losses = [(x - 0.3) ** 2 + 1 / (step + 1) for step in range(20)]
            own = [row for row in rows if row["number"] == trial["number"]]
            assert [row["step"] for row in own] == list(range(20))
            assert [row["value"] for row in own] == pytest.approx(losses, rel=1e-4)
            assert trial["value"] == pytest.approx(losses[-1], rel=1e-4)
            (attempt,) = study.get(f"/trials/{trial['number']}/attempts")["items"]
            clients.add(attempt["worker"].partition(":")[2].partition("-")[0])
        assert clients == set(PROGRAMS)


def _port(server: subprocess.Popen[str]) -> str:
    arguments = list(map(str, server.args))  # type: ignore[arg-type]
    return arguments[len(arguments) - 1 - arguments[::-1].index("--port") + 1]

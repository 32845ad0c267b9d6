"""``alphagrad watch`` against a service: lines, events as JSON, the live table on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphagrad.client import Client, Study

Wait = Callable[..., Any]
SPACE = {"epochs": 3, "alpha": {"type": "float", "low": 1, "high": 100, "log": True}}
CONTROL_C = b"\x03"


@pytest.fixture
def paused(service_url: str, key: str, name: str, wait_for: Wait) -> Iterator[Study]:
    """A study of three trials that waits to be resumed."""
    body = {"name": name, "task": "digits", "n_trials": 3, "params": SPACE}
    with Client(service_url, key) as client:
        study = client.submit(body | {"parallelism": 1})
        study.pause()
        # A trial may have begun before the pause.
        wait_for(lambda: not study.refresh()["trials"].get("RUNNING"))
        yield study
        if study.refresh()["state"] in ("RUNNING", "PAUSED"):
            study.cancel()


@pytest.fixture
def reach(service_url: str, key: str) -> dict[str, str]:
    """The service in the environment of a command."""
    return {"ALPHAGRAD_URL": service_url, "ALPHAGRAD_API_KEY": key}


def watching(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "alphagrad", "watch", *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_line_for_each_thing_that_happens(reach: dict[str, str], paused: Study) -> None:
    with watching(reach, paused.name, "--exit-status") as command:
        assert command.stdout is not None
        assert command.stdout.readline() == f"{paused.name} PAUSED\n"
        paused.resume()
        said, errors = command.communicate(timeout=120)
    assert command.returncode == 0, errors
    # The first trial may have begun before the study was paused.
    for number in (1, 2):
        assert re.search(rf"\d\d:\d\d:\d\d  {paused.name}/{number}  started: .*alpha=", said)
        assert re.search(rf"\d\d:\d\d:\d\d  {paused.name}/{number}  COMPLETE  0\.\d+", said)
    assert said.endswith(f"{paused.name}  COMPLETED\n")


def test_events_as_json_lines(reach: dict[str, str], paused: Study) -> None:
    edited = threading.Event()

    def edit() -> None:
        priority = 0
        while not edited.wait(0.2):
            priority += 1
            paused.edit(priority=priority)

    with watching(reach, paused.name, "--json") as command:
        assert command.stdout is not None
        editor = threading.Thread(target=edit)
        editor.start()
        first = json.loads(command.stdout.readline())
        edited.set()
        editor.join()
        paused.resume()
        rest, errors = command.communicate(timeout=120)
    assert command.returncode == 0, errors
    assert (first["kind"], first["state"]) == ("study.changed", "PAUSED")
    events = [first, *map(json.loads, rest.splitlines())]
    ids = [event["id"] for event in events]
    assert ids == sorted(set(ids))
    assert {event["study"] for event in events} == {paused.name}
    assert events[-1]["state"] == "COMPLETED"


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._screen, inner = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "alphagrad", *arguments],
            env=os.environ | environment | {"COLUMNS": "160", "LINES": "60", "TERM": "xterm"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        os.close(inner)
        self.text = ""

    def read_until(self, pattern: str, *, seconds: float = 60.0) -> None:
        give_up_at = time.monotonic() + seconds
        while not re.search(pattern, self.text, flags=re.DOTALL):
            assert time.monotonic() < give_up_at, self.text[-3000:]
            if select.select([self._screen], [], [], 0.2)[0]:
                drawn = os.read(self._screen, 65536).decode(errors="replace")
                self.text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)

    def press(self, keys: bytes) -> int:
        """Press keys; gives the exit code of the command that ends by it."""
        os.write(self._screen, keys)
        code = self.process.wait(30)
        os.close(self._screen)
        return code


def _own_terminal() -> None:
    import fcntl
    import termios

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a suite in the background may ignore it
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C is a signal to the command


@pytest.mark.parametrize(
    ("option", "keys_pressed", "code"),
    [([], b"\x1b[Aq", 0), (["--exit-status"], b"q", 130), ([], CONTROL_C, 130)],
    ids=["arrow and q", "q before the end", "Ctrl-C"],
)
def test_a_live_table_until_a_key_is_pressed(
    reach: dict[str, str], paused: Study, option: list[str], keys_pressed: bytes, code: int
) -> None:
    paused.edit(n_trials=500)
    paused.resume()
    terminal = Terminal(["watch", paused.name, *option], reach)
    terminal.read_until(rf"{paused.name}\s+RUNNING.*q leaves")
    terminal.read_until(r"RUNNING\s+\d+\s+0\.\d+\s+[▁▂▃▄▅▆▇█]+\s+0\.\d+\s+[▁▂▃▄▅▆▇█]+")
    assert terminal.press(keys_pressed) == code
    assert not paused.ended
    assert paused.refresh()["state"] == "RUNNING"


def test_a_server_that_goes_away_for_good_is_told(
    start_service: Callable[..., Any], tmp_path: Path
) -> None:
    key = "sixteen letters!"
    process, url = start_service(tmp_path / "home", "--no-worker", ALPHAGRAD_API_KEY=key)
    headers = {"Authorization": f"Bearer {key}"}
    body = {"name": "s", "task": "digits", "n_trials": 1}
    assert httpx.post(f"{url}/v1/studies", json=body, headers=headers).status_code == 202
    with watching({"ALPHAGRAD_URL": url, "ALPHAGRAD_API_KEY": key}, "s") as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "s QUEUED\n"
        process.terminate()
        process.communicate(timeout=30)
        _, said = command.communicate(timeout=60)
    assert command.returncode == 4
    assert said.startswith(f"alphagrad: no answer from {url}")
    assert said.count("\n") == 1

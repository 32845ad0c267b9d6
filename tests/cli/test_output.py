"""What the commands print for programs, their exit codes, their help, and what Tab offers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alphagrad import __version__
from alphagrad.api.local import LocalClient
from alphagrad.cli_app import EXIT_CODES, app
from alphagrad.cli_complete import study_names, task_names
from alphagrad.tuner.settings import TunerSettings
from tests.marks import on_postgresql

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def home(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the home in which a study of two trials was run; tests add studies to it."""
    return Path(shutil.copytree(ran, tmp_path_factory.mktemp("copy") / "home"))


@pytest.fixture
def printed(home: Path, alphagrad: Command) -> Callable[..., Any]:
    """Runs a command with ``--json`` and gives the one document that it printed."""

    def run(*arguments: str) -> Any:
        done = alphagrad(*arguments, "--json", "--home", str(home))
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)

    return run


def test_studies_and_trials_as_json(printed: Callable[..., Any]) -> None:
    (study,) = printed("ls", "--state", "completed", "--task", "digits", "--name", "ti*")
    assert (study["name"], study["state"], study["trials"]) == (
        "tiny",
        "COMPLETED",
        {"COMPLETE": 2},
    )
    assert printed("ls", "--state", "FAILED") == []
    shown = printed("show", "tiny", "--limit", "1")
    assert shown["study"] == study
    assert [trial["number"] for trial in shown["trials"]] == [0]
    assert (shown["more_trials"], shown["exploits"]) == (1, [])
    assert printed("best", "tiny") == [study["best"]]
    assert printed("importance", "tiny")["n_trials"] == 2
    assert printed("knobs", "tiny", "0") == []
    metrics = printed("metrics", "tiny", "0")
    assert all(set(series) == {"steps", "values"} for series in metrics.values())
    assert metrics


def test_steering_as_json(printed: Callable[..., Any], tiny: Path) -> None:
    submitted = printed("submit", str(tiny), "--name", "steered")
    assert (submitted["state"], len(submitted["warnings"])) == ("QUEUED", 1)
    states = [printed(verb, "steered")["state"] for verb in ("pause", "resume")]
    assert states == ["PAUSED", "QUEUED"]
    assert printed("edit", "steered", "n_trials=5")["n_trials"] == 5
    assert printed("enqueue", "steered", "alpha=50")["name"] == "steered"
    assert printed("cancel", "steered")["state"] == "CANCELLED"
    assert printed("rm", "steered") == {"name": "steered", "deleted": True}


def test_the_rest_as_json(printed: Callable[..., Any], alphagrad: Command, tmp_path: Path) -> None:
    assert printed("db", "check") == {"faults": []}
    revision = printed("db", "upgrade")
    assert revision["revision"] == revision["newest"]
    copy = tmp_path / "copy.db"
    assert printed("db", "backup", str(copy)) == {"file": str(copy)}
    assert printed("db", "prune")["checkpoints"] == 0
    (digits,) = [
        t for t in json.loads(alphagrad("tasks", "--json").stdout) if t["name"] == "digits"
    ]
    assert digits == json.loads(alphagrad("tasks", "digits", "--json").stdout)


def test_logs_are_lines(home: Path, alphagrad: Command) -> None:
    at = ("--home", str(home))
    text = alphagrad("logs", "tiny", "0", *at)
    assert text.returncode == 0, text.stderr
    assert "COMPLETE" in text.stdout.splitlines()[-1]
    followed = alphagrad("logs", "tiny", "0", "-f", "--all", "--json", *at).stdout.splitlines()
    assert [json.loads(one)["line"] for one in followed] == text.stdout.splitlines()


def test_a_log_that_ends_within_a_character_has_an_end(home: Path, alphagrad: Command) -> None:
    with (home / "logs" / "tiny" / "0.log").open("ab") as file:
        file.write(b"cut \xce")
    done = alphagrad("logs", "tiny", "0", "--home", str(home))
    assert done.stdout.splitlines()[-1] == "cut "


def test_show_says_how_many_more_trials_there_are(home: Path, alphagrad: Command) -> None:
    shown = alphagrad("show", "tiny", "--limit", "1", "--home", str(home)).stdout
    assert shown.count("COMPLETE ") == 1
    assert "1 more trials: --limit shows more" in shown


def test_a_study_is_plotted(home: Path, alphagrad: Command, tmp_path: Path) -> None:
    file = tmp_path / "trial.html"
    done = alphagrad("plot", "tiny", "0", "--out", str(file), "--home", str(home))
    assert (done.returncode, done.stdout) == (0, f"{file} written\n")
    assert "logits.weight" in file.read_text()
    nothing = alphagrad("plot", "tiny", "--home", str(home))
    assert nothing.returncode == 2
    assert "give its number too" in " ".join(nothing.stderr.split())


def test_watch_of_an_ended_study_leaves_at_once(home: Path, alphagrad: Command) -> None:
    done = alphagrad("watch", "tiny", "--exit-status", "--home", str(home))
    assert (done.returncode, done.stdout) == (0, "tiny COMPLETED\n")


@pytest.fixture
def cancelled(home: Path) -> Iterator[str]:
    with LocalClient(TunerSettings(home=home)) as client:
        study = client.submit({"name": "dropped", "task": "digits", "n_trials": 1})
        study.cancel()
        yield study.name
        study.delete()


def test_exit_codes(home: Path, alphagrad: Command, cancelled: str, tmp_path: Path) -> None:
    at = ("--home", str(home))
    codes = {
        0: alphagrad("ls", *at),
        1: alphagrad("show", "tinny", *at),
        2: alphagrad("show", *at),
        3: alphagrad("watch", cancelled, "--exit-status", *at),
        4: alphagrad("ls", "--url", "http://127.0.0.1:1", ALPHAGRAD_API_KEY="x" * 16),
    }
    assert {code: done.returncode for code, done in codes.items()} == dict.fromkeys(codes, 0) | {
        code: code for code in codes
    }
    assert set(EXIT_CODES) == {*codes, 130}
    assert alphagrad("watch", cancelled, *at).returncode == 0
    nothing = alphagrad("best", cancelled, *at)
    said = f"alphagrad: {cancelled} has no complete and feasible trial yet\n"
    assert (nothing.returncode, nothing.stderr) == (1, said)
    assert "did you mean tiny?" in codes[1].stderr
    empty = alphagrad("show", "tinny", "--home", str(tmp_path))
    assert "there are no studies yet: `alphagrad submit FILE`" in empty.stderr
    assert "no studies; `alphagrad submit FILE`" in alphagrad("ls", "--home", str(tmp_path)).stdout


def test_a_study_that_fails_ends_run_with_3(tmp_path: Path, alphagrad: Command) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        'name = "bad"\ntask = "dqn"\nn_trials = 1\nretries = 0\n[params]\nenv_id = "Nothing-v0"\n'
    )
    done = alphagrad("run", str(file), "--home", str(tmp_path), "--json")
    assert (json.loads(done.stdout)["state"], done.returncode) == ("FAILED", 3), done.stderr


def test_the_version_and_no_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alphagrad", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"alphagrad {__version__}\n"


def test_defaults_that_are_told_are_shown(alphagrad: Command) -> None:
    said = " ".join(alphagrad("serve", "--help", COLUMNS="200").stdout.split())
    for default in ("127.0.0.1", "8000", "one a core", "ALPHAGRAD_HOME, or ~/.alphagrad"):
        assert f"[default: ({default})]" in said


def test_every_command_that_prints_data_has_json() -> None:
    without = {"serve", "worker", "demo", "export", "plot"}
    for one in app.registered_commands:
        assert one.callback is not None
        name = one.name or one.callback.__name__
        assert ("as_json" in one.callback.__annotations__) == (name not in without), name


class Context:
    """What a completion is given: the options so far."""

    def __init__(self, **params: Any) -> None:
        self.params = params


def test_tab_offers_studies_and_tasks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert study_names(Context(home=home), "ti") == ["tiny"]
    assert study_names(Context(home=home), "x") == []
    monkeypatch.setenv("ALPHAGRAD_HOME", str(home))
    assert study_names(Context(), "") == ["tiny"]
    monkeypatch.setenv("ALPHAGRAD_HOME", str(home / "nothing"))
    assert study_names(Context(), "") == []
    assert not (home / "nothing").exists()
    assert study_names(Context(url="http://127.0.0.1:1"), "") == []
    assert "digits" in task_names(Context(), "d")


@on_postgresql
def test_tab_offers_studies_of_postgresql(database_url: str, settings: TunerSettings) -> None:
    with LocalClient(settings) as client:
        client.submit({"name": "there", "task": "digits", "n_trials": 1})
    assert study_names(Context(database_url=database_url), "t") == ["there"]


def test_tab_works_in_a_shell(home: Path) -> None:
    script = (
        f'eval "$({sys.executable} -m alphagrad --show-completion bash)"; complete -p | tail -1'
    )
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30).stdout
    assert "alphagrad" in said

"""The service that the demo and `alphagrad paper run` start."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from alphagrad.api.client import Client
from alphagrad.local_service import LocalService, ServiceError


def test_stopping_without_a_service_says_so(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=str(tmp_path)):
        LocalService(tmp_path).stop()


def test_a_service_that_is_gone_is_not_taken_for_running(tmp_path: Path) -> None:
    state = {"pid": 2**22 + 1, "url": "http://127.0.0.1:1"}
    (tmp_path / "serve.json").write_text(json.dumps(state))
    with pytest.raises(ServiceError, match="no service"):
        LocalService(tmp_path).stop()


def test_a_half_written_state_is_not_taken_for_running(tmp_path: Path) -> None:
    (tmp_path / "serve.json").write_text("")
    with pytest.raises(ServiceError, match="no service"):
        LocalService(tmp_path).stop()


@pytest.fixture
def another(tmp_path: Path) -> Iterator[LocalService]:
    """A service of another folder, that runs."""
    service = LocalService(tmp_path / "another")
    service.start()
    yield service
    service.stop()


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours."""
    with subprocess.Popen(["sleep", "300"]) as process:
        yield process
        process.kill()


def announce(home: Path, pid: int, url: str | None) -> LocalService:
    home.mkdir()
    (home / "serve.json").write_text(json.dumps({"pid": pid, "url": url}))
    return LocalService(home)


def test_another_server_is_not_taken_for_the_folders_own(
    tmp_path: Path, another: LocalService, bystander: subprocess.Popen[bytes]
) -> None:
    service = announce(tmp_path / "home", bystander.pid, another.url)
    assert service.url is None
    for refused in (service.start, service.stop):
        with pytest.raises(ServiceError, match=f"answers 401 .*{service.home}/serve.json"):
            refused()
    assert bystander.poll() is None
    assert another.url is not None
    # Where the announced process is gone its file is from before, and the folder's own starts.
    bystander.kill()
    bystander.wait()
    with pytest.raises(ServiceError, match="no service"):
        service.stop()
    url = service.start()
    assert url != another.url
    LocalService(service.home).stop()  # as another process does
    assert service._process is not None
    assert service._process.wait(30) == 0


def test_the_key_is_kept_for_the_next_time_and_for_its_owner_alone(tmp_path: Path) -> None:
    key = LocalService(tmp_path).key
    assert LocalService(tmp_path).key == key
    assert len(key) > 20
    assert (tmp_path / "demo-key").stat().st_mode & 0o777 == 0o600


def test_the_service_that_was_started_is_stopped_whatever_the_folder_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The user's own service is another one, and its proxy knows nothing of this machine.
    monkeypatch.setenv("ALPHAGRAD_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("ALPHAGRAD_HOST", "0.0.0.0")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    service = LocalService(tmp_path)
    url = service.start()
    assert url.startswith("http://127.0.0.1:")
    assert (tmp_path / "alphagrad.db").exists()
    with Client(url, service.key) as client:
        assert list(client.studies()) == []
    monkeypatch.undo()
    (tmp_path / "serve.json").unlink()
    service.stop()
    assert not service.started
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")

"""`alphagrad serve` as a process: its key, its addresses, its end."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphagrad.api.serve import ServeError, serve
from alphagrad.api.settings import ApiSettings

Wait = Callable[..., Any]
Start = Callable[..., tuple[subprocess.Popen[str], str]]
SAID = "API key, shown this once: "


def end(process: subprocess.Popen[str]) -> str:
    """Stop the service; what it printed."""
    process.terminate()
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return printed


def test_the_first_start_prints_a_key_that_works_and_is_nowhere_on_the_disk(
    tmp_path: Path, start_service: Start, wait_for: Wait
) -> None:
    home = tmp_path / "home"
    process, url = start_service(home, "--no-worker")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith(SAID)
    key = line.removeprefix(SAID).strip()
    bearer = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{url}/v1/studies", headers=bearer).json()["items"] == []
    assert httpx.get(f"{url}/v1/studies").status_code == 401
    files = [path for path in home.rglob("*") if path.is_file()] + [tmp_path / "home.log"]
    assert home / "alphagrad.db" in files
    for path in files:
        assert key.encode() not in path.read_bytes(), path
    assert end(process) == ""
    assert not (home / "serve.json").exists()

    again, url = start_service(home, "--no-worker")
    assert httpx.get(f"{url}/v1/studies", headers=bearer).status_code == 200
    # Without its folder the service could only pretend to work.
    shutil.rmtree(home)
    assert again.communicate(timeout=30)[0] == ""
    assert again.returncode == 0


def test_a_second_server_in_the_folder_is_announced_while_it_runs(
    tmp_path: Path, start_service: Start, wait_for: Wait
) -> None:
    home = tmp_path / "home"
    announced = home / "serve.json"
    first, url = start_service(home, "--no-worker")
    alone = announced.read_text()
    second = subprocess.Popen(
        [sys.executable, "-m", "alphagrad", "serve", "--no-worker", "--port", "0", "--home", home]
    )
    wait_for(lambda: str(second.pid) in announced.read_text())
    second.terminate()
    assert second.wait(timeout=30) == 0
    wait_for(lambda: announced.exists() and announced.read_text() == alone)
    assert httpx.get(f"{url}/healthz").status_code == 200
    end(first)
    assert not announced.exists()


def test_with_a_configured_key_any_address_is_served_and_a_kill_takes_the_worker_along(
    tmp_path: Path, start_service: Start, wait_for: Wait, key: str
) -> None:
    process, url = start_service(tmp_path / "home", "--host", "0.0.0.0", ALPHAGRAD_API_KEY=key)
    assert httpx.get(f"{url}/v1/studies").status_code == 401

    def children() -> list[int]:
        tasks = Path(f"/proc/{process.pid}/task").iterdir()
        return [int(c) for task in tasks for c in (task / "children").read_text().split()]

    (worker,) = wait_for(children)
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: not Path(f"/proc/{worker}").exists() or stopped(worker), seconds=30)


def stopped(pid: int) -> bool:
    """Whether a process has ended and only waits for its parent to ask how."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_another_address_than_loopback_needs_a_key(tmp_path: Path, host: str) -> None:
    home = tmp_path / "home"
    with pytest.raises(ServeError, match="ALPHAGRAD_API_KEY"):
        serve(ApiSettings(home=home, host=host, port=0))
    assert not home.exists()


def test_a_refusal_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    command = ["serve", "--home", str(tmp_path), "--port", "0", "--host", "0.0.0.0"]
    done = subprocess.run(
        [sys.executable, "-m", "alphagrad", *command], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "ALPHAGRAD_API_KEY" in done.stderr
    assert done.stdout == ""


def test_a_short_key_is_refused_in_one_line_without_showing_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alphagrad", "serve", "--home", str(tmp_path), "--port", "0"],
        env=os.environ | {"ALPHAGRAD_API_KEY": "hunter2"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "api_key" in done.stderr
    assert "hunter2" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"127.0.0.1:{port}"):
            serve(ApiSettings(home=tmp_path, port=port))


def test_the_sixth_version_of_the_protocol_works(
    tmp_path: Path, start_service: Start, key: str
) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    process, url = start_service(
        tmp_path / "home", "--host", "::1", "--no-worker", ALPHAGRAD_API_KEY=key
    )
    bearer = {"Authorization": f"Bearer {key}"}
    assert url.startswith("http://[::1]:")
    assert httpx.get(f"{url}/v1/studies", headers=bearer).status_code == 200
    end(process)


def test_small_answers_are_not_held_back(tmp_path: Path) -> None:
    # asyncio switches Nagle's algorithm off only on sockets that say they are TCP; with it on,
    # every answer on a kept connection waits 40 ms.
    from alphagrad.api.serve import _listen

    with _listen(ApiSettings(home=tmp_path, port=0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_web_socket_is_refused(service_url: str) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/v1/studies", "/dashboard", "/healthz"):
        status = httpx.get(f"{service_url}{path}", headers=headers).status_code
        assert status in (200 if path == "/healthz" else 401,), (path, status)

"""No key, password or database URL in logs, answers, files or the list of processes."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy.engine import make_url

from alphagrad.hidden_url import without_url

Wait = Callable[..., Any]
Start = Callable[..., tuple[subprocess.Popen[str], str]]

PASSWORD = "hunter2-of-postgres"
WRONG_KEY = "wrong-key-of-somebody"


def descendants(pid: int) -> Iterator[int]:
    """A process and all below it, those that have just ended left out."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from descendants(int(child))
    except OSError:
        return


def command_lines(pid: int) -> dict[int, bytes]:
    found = {}
    for one in descendants(pid):
        try:
            found[one] = Path(f"/proc/{one}/cmdline").read_bytes()
            # The environment is its owner's to read, and nobody else's.
            mode = Path(f"/proc/{one}/environ").stat().st_mode
            assert stat.S_IMODE(mode) == 0o400
        except OSError:
            continue
    return found


def test_a_running_service_shows_no_secret(
    tmp_path: Path, new_postgres: Callable[[], str], start_service: Start, wait_for: Wait, key: str
) -> None:
    plain = make_url(new_postgres())
    url = plain.set(password=PASSWORD).render_as_string(hide_password=False)
    home = tmp_path / "home"
    process, address = start_service(
        home, "--database-url", url, "--slots", "1", ALPHAGRAD_API_KEY=key
    )
    lines: dict[int, bytes] = {}
    bodies: list[str] = []
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}) as client:
        spec = {"name": "s", "task": "digits", "n_trials": 1, "params": {"epochs": 2}}
        assert client.post("/v1/studies", json=spec).status_code == 202

        def ended() -> bool:
            lines.update(command_lines(process.pid))
            bodies.append(client.get("/v1/studies/s").text)
            return '"COMPLETED"' in bodies[-1]

        try:
            wait_for(ended, seconds=180)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        wrong = {"Authorization": f"Bearer {WRONG_KEY}"}
        for answer in (
            client.get("/v1/studies", headers=wrong),
            client.post("/login", data={"key": WRONG_KEY}),
            client.post("/v1/studies", json={"name": "-"}),
            client.post("/v1/studies", content="{"),
            client.get("/v1/studies/s/trials"),
            client.get("/v1/studies/s/export"),
            client.get("/v1/audit"),
            client.get("/openapi.json"),
            client.get("/dashboard"),
        ):
            bodies.append(answer.text)
        server = plain.set(database="postgres", drivername="postgresql")
        with psycopg.connect(server.render_as_string(False), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {plain.database} WITH (FORCE)".encode())
        away = client.get("/v1/studies")
        assert away.status_code == 503
        bodies.append(away.text)
        bodies.append(client.post("/v1/studies/s:stop").text)
    process.terminate()
    printed, _ = process.communicate(timeout=60)
    assert len(lines) >= 3  # the service, its worker, the trials' processes
    log = (tmp_path / "home.log").read_text()
    assert "database" in log
    shown = [*bodies, printed, *(line.decode() for line in lines.values())]
    files = [path for path in home.rglob("*") if path.is_file()]
    assert home / "logs" / "s" / "0.log" in files
    shown += [path.read_bytes().decode("latin-1") for path in files]
    # What it was started with is warned about, by the variable's name.
    shown += [log]
    for text in shown:
        for secret in (PASSWORD, key, WRONG_KEY):
            assert secret not in text
        assert not re.search(r"postgresql(\+\w+)?://", text), text[:500]


def test_the_tasks_do_not_get_the_servers_key(tmp_path: Path) -> None:
    from alphagrad.api.worker_process import WorkerProcess
    from alphagrad.tuner.settings import TunerSettings

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALPHAGRAD_API_KEY", "a key of the server")
        environment = WorkerProcess(TunerSettings(home=tmp_path))._environment
    assert "ALPHAGRAD_API_KEY" not in environment
    assert environment["ALPHAGRAD_HOME"] == str(tmp_path)


SECRET_URL = "postgresql://me:secret@db/x"


@pytest.mark.parametrize(
    ("arguments", "kept", "url"),
    [
        (["ls", "--database-url", SECRET_URL, "--json"], ["ls", "--json"], SECRET_URL),
        (["ls", f"--database-url={SECRET_URL}"], ["ls"], SECRET_URL),
        (["ls", "--database-url", "postgresql://db/x"], None, None),
        (["ls", "--database-url"], None, None),
        (["ls", "--database-url", "mysql://me:secret@db/x"], None, None),
        (["show", SECRET_URL], None, None),
        ([], None, None),
    ],
)
def test_only_a_url_with_a_password_is_taken_out(
    arguments: list[str], kept: list[str] | None, url: str | None
) -> None:
    assert without_url(arguments) == (arguments if kept is None else kept, url)


def test_a_command_whose_url_is_hidden_works_and_keeps_its_exit_code(tmp_path: Path) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/x"
    options = ["--database-url", url, "--home", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "alphagrad", "ls", *options],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4  # nothing answers
    warning, error = done.stderr.splitlines()
    assert "put the URL into ALPHAGRAD_DATABASE_URL" in warning
    assert "does not answer" in error
    assert "secret" not in done.stderr

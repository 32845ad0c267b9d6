"""Real servers: the application in a thread, and ``alphagrad serve`` with its worker."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from alphagrad.api.app import create_app
from alphagrad.api.server import Server
from alphagrad.api.settings import ApiSettings
from alphagrad.client import RemoteTrial
from alphagrad.tuner.database import Database
from tests.api.browsing import ARGS, log_in
from tests.conftest import need
from tests.waiting import until

Ask = Callable[..., RemoteTrial]
Wait = Callable[..., Any]
Command = Callable[..., "subprocess.CompletedProcess[str]"]

PATIENCE = 60.0
"""Seconds for an answer, where a test is not about them: two cores run two tests and more."""
expect.set_options(timeout=PATIENCE * 1000 / 3)
_names = count()


@pytest.fixture(scope="session")
def wait_for() -> Wait:
    """Calls a function until what it gives is true, at most 120 or so many seconds; gives that."""
    return partial(until, seconds=120.0)


@pytest.fixture(scope="session")
def key() -> str:
    """The API key of all servers that have one configured."""
    return "ag_the-key-of-the-tests"


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database for all requests that need no worker, on SQLite and PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("state") / "alphagrad.db"
        url: str = request.getfixturevalue("migrated_sqlite")(path)
    else:
        url = request.getfixturevalue("migrated_postgres")()
    return url


@pytest.fixture(scope="package")
def home(state_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the application's state."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="package")
def app(home: Path, state_url: str, key: str) -> FastAPI:
    """The application."""
    settings = {"home": home, "database_url": state_url, "api_key": key}
    return create_app(ApiSettings.model_validate(settings))


@pytest.fixture(scope="package")
def server_url(app: FastAPI) -> Iterator[str]:
    """The application behind a real socket; no worker."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = Server(uvicorn.Config(app, log_config=None, lifespan="on", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="package")
def api(server_url: str, key: str) -> Iterator[httpx.Client]:
    """A client that has the key."""
    bearer = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=server_url, headers=bearer, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def anonymous(server_url: str) -> Iterator[httpx.Client]:
    """A client without a key, and without cookies."""
    with httpx.Client(base_url=server_url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="package")
def state(app: FastAPI, state_url: str) -> Iterator[Database]:
    """The application's database."""
    opened = Database(state_url)
    yield opened
    opened.dispose()


@pytest.fixture
def name() -> str:
    """The name of a study that no other test has."""
    return f"study-{next(_names)}"


@pytest.fixture
def ask(server_url: str, key: str, name: str, tmp_path: Path) -> Iterator[Ask]:
    """Asks for a trial of the test's study; what was not told is abandoned at the end."""
    asked: list[RemoteTrial] = []

    def ask(**options: Any) -> RemoteTrial:
        given: dict[str, Any] = {"study": name, "checkpoints": tmp_path} | options
        asked.append(RemoteTrial.ask(server_url, key, **given))
        return asked[-1]

    yield ask
    for trial in asked:
        trial._abandon()


@pytest.fixture(scope="session")
def start_service(wait_for: Wait) -> Callable[..., tuple[subprocess.Popen[str], str]]:
    """Starts ``alphagrad serve`` on a free port; gives the process and the URL, once it answers."""

    def start(home: Path, *options: str, **environment: str) -> tuple[subprocess.Popen[str], str]:
        with (home.parent / f"{home.name}.log").open("a") as log:
            place = ("--home", str(home), "--port", "0")
            process = subprocess.Popen(
                [sys.executable, "-m", "alphagrad", "serve", *place, *options],
                env=os.environ | environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

        def answers() -> str | None:
            assert process.poll() is None, Path(log.name).read_text()
            try:
                url: str = json.loads((home / "serve.json").read_text())["url"]
                return url if httpx.get(f"{url}/healthz").is_success else None
            except (OSError, ValueError, httpx.TransportError):
                return None

        try:
            return process, wait_for(answers)
        except BaseException:
            process.kill()
            process.communicate()
            raise

    return start


@pytest.fixture(scope="package")
def service_process(
    tmp_path_factory: pytest.TempPathFactory,
    key: str,
    start_service: Callable[..., tuple[subprocess.Popen[str], str]],
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``alphagrad serve`` with a worker of three slots, on SQLite, for all tests here."""
    home = tmp_path_factory.mktemp("service") / "home"
    process, url = start_service(
        home, "--slots", "3", ALPHAGRAD_API_KEY=key, ALPHAGRAD_LEASE_SECONDS="1"
    )
    yield process, url
    process.terminate()
    assert process.communicate(timeout=30)[0] == ""  # a configured key is not printed
    assert process.returncode == 0
    assert not (home / "serve.json").exists()


@pytest.fixture(scope="package")
def service_url(service_process: tuple[subprocess.Popen[str], str]) -> str:
    """The URL of the service that all tests share."""
    return service_process[1]


@pytest.fixture(scope="package")
def service(service_url: str, key: str) -> Iterator[httpx.Client]:
    """A client of the service that all tests share."""
    bearer = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=service_url, headers=bearer, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="package")
def finished_study(service: httpx.Client, wait_for: Wait) -> dict[str, Any]:
    """A study of four short trials, run by the service to its end."""
    spec = {
        "name": "finished",
        "task": "digits",
        "n_trials": 4,
        "parallelism": 2,
        "seed": 1,
        "params": {"epochs": 1, "alpha": {"type": "float", "low": 1, "high": 100, "log": True}},
    }
    assert service.post("/v1/studies", json=spec).status_code == 202

    def ended() -> dict[str, Any] | None:
        study: dict[str, Any] = service.get("/v1/studies/finished").json()
        return study if study["state"] not in ("QUEUED", "RUNNING") else None

    study: dict[str, Any] = wait_for(ended, seconds=60)
    assert study["state"] == "COMPLETED"
    assert study["trials"] == {"COMPLETE": 4}
    return study


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium; without it the test is skipped, loudly, and in CI fails."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        need("Chromium")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Headless Chromium, for a module: Playwright's loop must not run beside other tests' own."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without cookies."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def context(browser: Browser, service_url: str, key: str) -> Iterator[BrowserContext]:
    """Logged in at the service; its tabs share what was loaded, as Plotly is large."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    log_in(page, service_url, key)
    page.close()
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext, key: str) -> Iterator[Page]:
    """A tab of it; the key is where the login page puts it."""
    page = context.new_page()
    page.add_init_script(f"sessionStorage.setItem('alphagrad-key', {json.dumps(key)})")
    yield page
    page.close()


@pytest.fixture(scope="module")
def alphagrad(service_url: str, key: str, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Runs ``alphagrad …`` against the service; a local home would be an empty one."""
    home = tmp_path_factory.mktemp("empty")

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = {"ALPHAGRAD_API_KEY": key, "ALPHAGRAD_URL": service_url, "COLUMNS": "120"}
        return subprocess.run(
            [sys.executable, "-m", "alphagrad", *arguments],
            env=os.environ | given | {"ALPHAGRAD_HOME": str(home)} | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run

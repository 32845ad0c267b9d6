"""Shared by all tests: real databases, each test with an empty one of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.settings import TunerSettings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in trial processes; two cores are shared

_databases = count()


def need(component: str) -> None:
    """Skip, loudly, a test whose component is not installed; in CI that is a failure."""
    message = f"{component} is not installed: run scripts/test-tools as root, or install it"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def kernel() -> None:
    """The native kernel; without a C compiler at installation there is none."""
    from alphagrad.optim import native

    if not native.is_built():
        message = "the native kernel was not built: install a C compiler, then alphagrad again"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A private PostgreSQL cluster; yields the URL of its server, without a database."""
    initdb = _postgres_program("initdb")
    if initdb is None:
        need("PostgreSQL")
        return
    place = Path(tempfile.mkdtemp(prefix="alphagrad-pg-"))
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_user = {"user": user} if os.geteuid() == 0 else {}
    shutil.chown(place, user)
    port = _free_port()
    control = str(initdb.with_name("pg_ctl"))
    options = f"-p {port} -k {place} -c listen_addresses=127.0.0.1 -c fsync=off"
    data = str(place / "data")
    for command in (
        [str(initdb), "-D", data, "-U", "alphagrad", "--auth=trust", "-E", "UTF8"],
        [control, "-D", data, "-o", options, "-l", str(place / "log"), "-w", "start"],
    ):
        subprocess.run(command, check=True, cwd=place, stdout=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
    try:
        yield f"postgresql://alphagrad@127.0.0.1:{port}"
    finally:
        stop = [control, "-D", data, "-m", "immediate", "-w", "stop"]
        subprocess.run(stop, check=True, cwd=place, stdout=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
        shutil.rmtree(place)


@pytest.fixture(autouse=True, scope="session")
def no_settings_of_the_user() -> Iterator[None]:
    """What the user has in the environment is not part of a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ALPHAGRAD_")]:
            if name != "ALPHAGRAD_SCREENSHOTS":
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def new_postgres(postgres_server: str) -> Callable[[], str]:
    """Makes an empty PostgreSQL database and gives its URL."""

    def create() -> str:
        name = f"test_{next(_databases)}"
        with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"{postgres_server}/{name}"

    return create


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'alphagrad.db'}"
    url: str = request.getfixturevalue("new_postgres")()
    return url


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> TunerSettings:
    """Settings of a worker with two slots on the test's database."""
    return TunerSettings.model_validate(
        {"home": tmp_path, "database_url": database_url, "slots": 2}
    )


@pytest.fixture
def database(settings: TunerSettings) -> Iterator[Database]:
    """The test's database, migrated."""
    opened = Database(settings.url)
    migrate(opened)
    yield opened
    opened.dispose()


def _postgres_program(name: str) -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which(name):
        folders.insert(0, Path(found).parent)
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""Shared by all tests: real databases, each test with an empty one of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest

from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.trial_process import ONLY_TASK
from tests.postgres import PostgresServer, find_program
from tests.ray_nodes import RayNodes

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in trial processes; two cores are shared

_databases = count()
LONGEST = ("test_kills.py", "test_ray.py", "test_worker.py", "test_wheel.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: with two workers the last one of them would run alone."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def need(component: str) -> NoReturn:
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
    if find_program("initdb") is None:
        need("PostgreSQL")
    with PostgresServer() as server:
        yield server.url


@pytest.fixture(autouse=True, scope="session")
def no_settings_of_the_user() -> Iterator[None]:
    """What the user has in the environment is not part of a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ALPHAGRAD_")]:
            if name != "ALPHAGRAD_SCREENSHOTS":
                patch.delenv(name)
        # Workers import torch and this task ahead of their trials, not all tasks: 2 s less each.
        patch.setenv(ONLY_TASK, "digits")
        yield


@pytest.fixture(scope="session")
def new_postgres(postgres_server: str) -> Callable[..., str]:
    """Makes a PostgreSQL database, empty or a copy of another one, and gives its URL."""

    def create(*, template: str = "template1") -> str:
        name = f"test_{next(_databases)}"
        with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return f"{postgres_server}/{name}"

    return create


@pytest.fixture(scope="session")
def migrated_postgres(new_postgres: Callable[..., str]) -> Callable[[], str]:
    """Makes a PostgreSQL database with all tables and gives its URL; migrating happens once."""
    url = new_postgres()
    _migrate(url)
    return lambda: new_postgres(template=url.rpartition("/")[2])


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Makes a SQLite database with all tables and gives its URL; migrating happens once."""
    original = tmp_path_factory.mktemp("migrated") / "alphagrad.db"
    _migrate(f"sqlite:///{original}")
    assert not original.with_name("alphagrad.db-wal").exists()  # all of it is in the one file

    def copy(path: Path) -> str:
        shutil.copy(original, path)
        return f"sqlite:///{path}"

    return copy


def _migrate(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database, once on SQLite and once on PostgreSQL.

    It is empty, but where the test asks for ``database`` too, whose tables are there.
    """
    migrated = "database" in request.fixturenames
    path = tmp_path / "alphagrad.db"
    if request.param == "postgresql":
        create = request.getfixturevalue("migrated_postgres" if migrated else "new_postgres")
        url: str = create()
    elif migrated:
        url = request.getfixturevalue("migrated_sqlite")(path)
    else:
        url = f"sqlite:///{path}"
    return url


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """The address of a Ray cluster with two CPUs, on this machine.

    A module's own: idle, it takes a sixth of a core from whatever comes after.
    """
    with RayNodes(cpus=2) as nodes:
        yield nodes.address


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """The engine of the test's studies: ``optuna``, unless the test is parametrised."""
    return str(getattr(request, "param", "optuna"))


@pytest.fixture
def settings(
    database_url: str, tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> TunerSettings:
    """Settings of a worker with two slots on the test's database."""
    address = request.getfixturevalue("ray_address") if engine == "ray" else None
    return TunerSettings.model_validate(
        {"home": tmp_path, "database_url": database_url, "slots": 2, "ray_address": address}
    )


@pytest.fixture
def database(settings: TunerSettings) -> Iterator[Database]:
    """The test's database, with all tables."""
    opened = Database(settings.url)
    yield opened
    opened.dispose()

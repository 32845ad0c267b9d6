"""`alphagrad keys …`, and what the database has of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alphagrad.api.keys import KeyRing
from alphagrad.api.principal import Principal
from alphagrad.api.settings import ApiSettings
from alphagrad.tuner.database import Database

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def made(done: subprocess.CompletedProcess[str]) -> str:
    """The key that a command printed: alone, so that a script can take it."""
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    assert done.stdout == f"{key}\n"
    assert key not in done.stderr
    return key


def test_a_keys_life_on_the_command_line(
    alphagrad: Command, database_url: str, tmp_path: Path
) -> None:
    place = {"ALPHAGRAD_HOME": str(tmp_path / "home"), "ALPHAGRAD_DATABASE_URL": database_url}

    def whose(key: str) -> Principal | None:
        database = Database(database_url)
        found = KeyRing(database, ApiSettings())(key)
        database.dispose()
        return found

    def listed() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(alphagrad("keys", "ls", "--json", **place).stdout)
        return rows

    options = ("--role", "reader", "--expires-days", "7", "--max-requests", "30")
    key = made(alphagrad("keys", "make", "ci", *options, **place))
    found = whose(key)
    assert found is not None
    assert (found.name, found.role, found.max_requests_per_minute) == ("ci", "reader", 30)
    (row,) = listed()
    assert (row["name"], row["role"], row["state"]) == ("ci", "reader", "valid")
    assert row["max_requests_per_minute"] == 30
    assert row["max_open_studies"] is row["last_used_at"] is None
    assert row["expires_at"] > row["created_at"]

    new = made(alphagrad("keys", "rotate", "ci", "--grace-minutes", "60", **place))
    assert whose(key) == whose(new) == found
    newest = made(alphagrad("keys", "rotate", "ci", **place))
    assert [whose(one) for one in (key, new, newest)] == [None, None, found]

    table = alphagrad("keys", "ls", **place).stdout
    assert " ci " in table
    for secret in (key, new, newest):
        assert secret[:8] not in table
    assert alphagrad("keys", "revoke", "ci", **place).stdout == "ci revoked\n"
    assert whose(newest) is None
    assert listed()[0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("make", "configured"), "is not 'configured'"),
        (("make", "no spaces"), "a name matches"),
        (("rotate", "nobody"), "no key is named 'nobody'"),
        (("revoke", "nobody"), "there are: none"),
    ],
)
def test_a_mistake_is_one_line(
    alphagrad: Command, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = alphagrad("keys", *arguments, "--home", str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


def test_no_other_role_is_known(alphagrad: Command, tmp_path: Path) -> None:
    done = alphagrad("keys", "make", "x", "--role", "owner", "--home", str(tmp_path))
    assert done.returncode == 2
    assert os.listdir(tmp_path) == []

"""The API key: made once, kept as a hash."""

import hmac
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from alphagrad.api.keys import KeyRing, ensure_key
from alphagrad.api.sessions import Sessions
from alphagrad.api.settings import ApiSettings
from alphagrad.tuner.access_models import ApiKeyRow
from alphagrad.tuner.database import Database


@pytest.fixture
def unset(tmp_path: Path) -> ApiSettings:
    """Settings without a key."""
    return ApiSettings(home=tmp_path)


def test_a_key_is_made_once_and_only_its_hash_is_kept(
    database: Database, unset: ApiSettings
) -> None:
    key = ensure_key(database, unset)
    assert key is not None
    assert len(key) > 40
    assert ensure_key(database, unset) is None
    with database.read() as session:
        (row,) = session.scalars(select(ApiKeyRow)).all()
        assert row.hash == sha256(key.encode()).hexdigest()
        assert row.role == "admin"
        assert key not in (row.name, row.hash)
    check = KeyRing(database, unset)
    assert check(key)
    for wrong in ("", key[:-1], key + "x", row.hash):
        assert check(wrong) is None, wrong


def test_a_configured_key_stands_beside_those_in_the_database(
    database: Database, unset: ApiSettings
) -> None:
    made = ensure_key(database, unset)
    assert made is not None
    configured = ApiSettings.model_validate({"home": unset.home, "api_key": "a configured key!"})
    assert ensure_key(database, configured) is None
    check = KeyRing(database, configured)
    found = check("a configured key!")
    assert found is not None
    assert (found.name, found.role, found.key_id) == ("configured", "admin", 0)
    first = check(made)
    assert first is not None
    assert (first.name, first.role) == ("first", "admin")


def test_without_any_key_nobody_enters(database: Database, unset: ApiSettings) -> None:
    assert KeyRing(database, unset)("") is None
    assert KeyRing(database, unset)("anything") is None


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHAGRAD_API_KEY", "a key of sixteen")
    found = ApiSettings().api_key
    assert found is not None
    assert found.get_secret_value() == "a key of sixteen"
    assert "sixteen" not in repr(ApiSettings())


def test_a_key_that_could_be_guessed_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALPHAGRAD_API_KEY", "hunter2")
    with pytest.raises(ValidationError) as refused:
        ApiSettings()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.2", False),
        ("example.org", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, loopback: bool) -> None:
    assert ApiSettings(host=host).is_loopback is loopback


def test_a_secret_lost_in_a_crash_is_not_an_open_door(tmp_path: Path) -> None:
    (tmp_path / "session-secret").touch()  # made, but not written
    body = f"{'0' * 64}.9999999999"
    forged = f"{body}.{hmac.new(b'', body.encode(), 'sha256').hexdigest()}"
    assert Sessions(tmp_path).key_hash(forged) is None

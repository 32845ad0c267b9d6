"""Keys in the database: made, rotated, revoked, expired, and how soon a server knows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from alphagrad.api import key_store, keys
from alphagrad.api.key_store import Quotas
from alphagrad.api.keys import FRESH_SECONDS, KeyRing, has_key
from alphagrad.api.settings import ApiSettings
from alphagrad.tuner.access_models import ApiKeyRow
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import ConflictError, SpecError

Wait = Callable[..., Any]


@pytest.fixture
def ring(database: Database) -> KeyRing:
    return KeyRing(database, ApiSettings())


def end_now(database: Database, name: str) -> None:
    """As if the key's days were over."""
    with database.write() as session:
        session.execute(
            update(ApiKeyRow).where(ApiKeyRow.name == name).values(expires_at=db_now() - 1)
        )


def test_a_made_key_opens_the_door_with_its_role_and_quotas(
    database: Database, ring: KeyRing
) -> None:
    assert ring("x") is None  # memory is filled without it
    quotas = Quotas(open_studies=3, requests_per_minute=7)
    key = key_store.make_key(database, "ci", role="submitter", quotas=quotas)
    found = ring(key)
    assert found is not None
    assert (found.name, found.role) == ("ci", "submitter")
    assert (found.max_open_studies, found.max_requests_per_minute) == (3, 7)
    with database.read() as session:
        row = session.scalars(select(ApiKeyRow)).one()
        assert key not in [getattr(row, column.name) for column in ApiKeyRow.__table__.columns]


def test_quotas_that_a_key_leaves_out_are_the_settings(database: Database) -> None:
    settings = ApiSettings(quota_open_studies=5, requests_per_minute=50)
    ring = KeyRing(database, settings)
    submitter = ring(key_store.make_key(database, "s", role="submitter"))
    admin = ring(key_store.make_key(database, "a", role="admin"))
    assert submitter is not None
    assert admin is not None
    assert (submitter.max_open_studies, submitter.max_requests_per_minute) == (5, 50)
    assert (admin.max_open_studies, admin.max_requests_per_minute) == (None, 50)


@pytest.mark.parametrize("name", ["", "a b", "-x", "ü", "configured", "x" * 101, "a\n"])
def test_a_name_that_is_not_allowed_is_named(database: Database, name: str) -> None:
    with pytest.raises(SpecError, match="a name matches"):
        key_store.make_key(database, name, role="reader")


def test_a_name_is_given_once(database: Database) -> None:
    key_store.make_key(database, "ci", role="reader")
    with pytest.raises(ConflictError, match="'ci' exists"):
        key_store.make_key(database, "ci", role="admin")
    key_store.revoke_key(database, "ci")
    # Else a new holder would own what the old one submitted.
    with pytest.raises(ConflictError, match="'ci' exists"):
        key_store.make_key(database, "ci", role="reader")


def test_rotation_ends_the_old_secret_at_once_or_after_its_grace(database: Database) -> None:
    old = key_store.make_key(database, "ci", role="reader")
    new = key_store.rotate_key(database, "ci")
    ring = KeyRing(database, ApiSettings())
    assert ring(old) is None
    assert ring(new) is not None
    newer = key_store.rotate_key(database, "ci", grace_minutes=1)
    ring = KeyRing(database, ApiSettings())
    assert ring(new) == ring(newer) != None  # noqa: E711
    with database.write() as session:
        session.execute(update(ApiKeyRow).values(previous_until=db_now() - 0.001))
    ring = KeyRing(database, ApiSettings())
    assert ring(new) is None
    assert ring(newer) is not None


def test_an_expired_key_is_refused_and_can_be_rotated_with_a_new_end(database: Database) -> None:
    key = key_store.make_key(database, "ci", role="reader", expires_days=1)
    assert KeyRing(database, ApiSettings())(key) is not None
    assert has_key(database)
    end_now(database, "ci")
    assert KeyRing(database, ApiSettings())(key) is None
    assert not has_key(database)
    with pytest.raises(ConflictError, match="has expired"):
        key_store.rotate_key(database, "ci")
    again = key_store.rotate_key(database, "ci", expires_days=1)
    assert KeyRing(database, ApiSettings())(again) is not None


def test_a_key_that_expires_while_it_is_remembered_is_refused(
    database: Database, ring: KeyRing, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "FRESH_SECONDS", 3600.0)
    key = key_store.make_key(database, "ci", role="reader", expires_days=3 / 86_400)
    assert ring(key) is not None
    wait_for(lambda: ring(key) is None)


def test_a_revoked_key_is_refused_everywhere_within_two_seconds(
    database: Database, ring: KeyRing
) -> None:
    key = key_store.make_key(database, "ci", role="admin")
    other = key_store.make_key(database, "other", role="admin")
    assert ring(key) is not None
    key_store.revoke_key(database, "ci")
    time.sleep(FRESH_SECONDS + 0.05)
    assert ring(key) is None
    assert ring(other) is not None
    for change in (key_store.revoke_key, key_store.rotate_key):
        with pytest.raises(ConflictError, match="'ci' was revoked"):
            change(database, "ci")
        with pytest.raises(ConflictError, match=r"'nobody'.* ci, other"):
            change(database, "nobody")


@pytest.fixture
def browser(anonymous: httpx.Client, state: Database) -> httpx.Client:
    """Logged in with a key of its own."""
    names = [row.name for row in key_store.list_keys(state)]
    key = key_store.make_key(state, f"browser-{len(names)}", role="reader")
    assert anonymous.post("/login", data={"key": key}).status_code == 303
    return anonymous


def last_name(state: Database) -> str:
    return key_store.list_keys(state)[-1].name


@pytest.mark.parametrize("end", ["revoke", "rotate", "expire"])
def test_a_session_ends_with_its_key(browser: httpx.Client, state: Database, end: str) -> None:
    assert browser.get("/v1/studies").status_code == 200
    name = last_name(state)
    if end == "revoke":
        key_store.revoke_key(state, name)
    elif end == "rotate":
        key_store.rotate_key(state, name)
    else:
        end_now(state, name)
    time.sleep(FRESH_SECONDS + 0.05)
    assert browser.get("/v1/studies").status_code == 401


def test_logout_takes_the_cookie_away(browser: httpx.Client) -> None:
    assert browser.get("/v1/studies").status_code == 200
    answer = browser.post("/logout")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login"
    assert not browser.cookies
    assert browser.get("/v1/studies").status_code == 401
    assert browser.post("/logout").status_code == 401
    # A page of ours that was left open goes to the login page.
    again = browser.post("/logout", headers={"Accept": "text/html"})
    assert (again.status_code, again.headers["location"]) == (303, "/login")

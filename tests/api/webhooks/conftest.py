"""Servers that send webhooks, with short pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from alphagrad.api import webhook_sender, webhook_store
from alphagrad.api.settings import ApiSettings
from alphagrad.tuner.database import Database
from tests.api.conftest import PATIENCE
from tests.api.serving import serving

Open = Callable[..., httpx.Client]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without long pauses, and few of them."""
    monkeypatch.setattr(webhook_store, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(webhook_store, "MOST_FAILURES", 3)
    monkeypatch.setattr(webhook_sender, "POLL_SECONDS", 0.05)


@pytest.fixture
def serve(database_url: str, tmp_path: Path, key: str) -> Iterator[Open]:
    """Starts a server on the test's database; gives a client of it."""
    with ExitStack() as stack:

        def start(*, webhooks: bool = True, local: bool = True) -> httpx.Client:
            settings = ApiSettings.model_validate(
                {
                    "home": tmp_path,
                    "database_url": database_url,
                    "api_key": key,
                    "webhooks": webhooks,
                    "webhooks_local": local,
                }
            )
            url = stack.enter_context(serving(settings))
            bearer = {"Authorization": f"Bearer {key}"}
            return stack.enter_context(httpx.Client(base_url=url, headers=bearer, timeout=PATIENCE))

        yield start


@pytest.fixture
def state(database_url: str) -> Iterator[Database]:
    """The server's database."""
    opened = Database(database_url)
    yield opened
    opened.dispose()

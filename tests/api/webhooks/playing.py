"""What the tests of webhooks do: make one, let something happen, look."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.test_events import body


def hook(api: httpx.Client, url: str, **more: Any) -> dict[str, Any]:
    answer = api.post("/v1/webhooks", json={"url": url, "events": ["study.*"]} | more)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/webhooks/{made['id']}"
    return made


def play(api: httpx.Client, name: str) -> None:
    """Four events of a study."""
    assert api.post("/v1/studies", json=body(name)).status_code == 202
    for verb in ("pause", "resume", "cancel"):
        assert api.post(f"/v1/studies/{name}:{verb}").status_code == 202


PLAYED = [
    ("study.submitted", "QUEUED"),
    ("study.changed", "PAUSED"),
    ("study.changed", "QUEUED"),
    ("study.changed", "CANCELLED"),
]


def given_up(api: httpx.Client, number: int) -> dict[str, Any] | None:
    shown: dict[str, Any] = api.get(f"/v1/webhooks/{number}").json()
    return shown if shown["state"] == "disabled" else None

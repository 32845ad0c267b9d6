"""Requests that a page of another site makes a browser send."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from tests.api.walk import DASHBOARD, METHODS, paths_of

pytestmark = pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)

SPEC = {"name": "from-elsewhere", "task": "digits", "n_trials": 1}
FORGED = [
    {"Host": "evil.example"},
    {"Origin": "http://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
]


@pytest.fixture
def browser(anonymous: httpx.Client, key: str) -> Iterator[httpx.Client]:
    """Logged in, and with the key as well."""
    assert anonymous.post("/login", data={"key": key}).status_code == 303
    anonymous.headers["Authorization"] = f"Bearer {key}"
    yield anonymous
    assert anonymous.get("/v1/studies/from-elsewhere").status_code == 404


@pytest.mark.parametrize("forged", FORGED)
def test_nothing_answers_to_a_forged_host_or_origin(
    app: FastAPI, browser: httpx.Client, forged: dict[str, str]
) -> None:
    for path in sorted({*paths_of(app.routes), *DASHBOARD, "/nothing"}):
        for method in METHODS:
            answer = browser.request(method, path, headers=forged, json=SPEC)
            where = (method, path, answer.text)
            assert answer.status_code == (400 if "Host" in forged else 403), where
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1",  # another port is another origin
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "http://127.0.0.1:{port}.evil.example",
        "http://evil.example@127.0.0.1:{port}",
        "http://127.0.0.1:{port}/",
        "http://127.0.0.1:{port} http://evil.example",
        "ftp://127.0.0.1:{port}",
        "127.0.0.1:{port}",
        "null",
        "",
        "http://[",
        "http://127.0.0.1:{port}\xe9",
    ],
)
def test_another_origin_may_not_write(browser: httpx.Client, origin: str) -> None:
    sent = origin.format(port=browser.base_url.port).encode("latin-1")
    answer = browser.post("/v1/studies", json=SPEC, headers={b"Origin": sent})
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:alphagrad:problem:foreign-origin"


def test_of_two_origins_both_are_looked_at(browser: httpx.Client) -> None:
    own = f"http://127.0.0.1:{browser.base_url.port}"
    for origins in ((own, "http://evil.example"), ("http://evil.example", own)):
        headers = [("Origin", origin) for origin in origins]
        assert browser.post("/v1/studies", json=SPEC, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "HTTP://127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost", "Host": "localhost"},
        {"Origin": "http://localhost:80", "Host": "localhost"},
        {"Origin": "https://localhost", "Host": "localhost"},  # a proxy spoke TLS
    ],
)
def test_our_own_pages_may_write(browser: httpx.Client, headers: dict[str, str]) -> None:
    port = browser.base_url.port
    sent = {name: value.format(port=port) for name, value in headers.items()}
    assert browser.post("/v1/studies/nothing:stop", headers=sent).status_code == 404


def test_a_link_from_another_site_is_followed_but_nothing_is_read_by_its_page(
    browser: httpx.Client,
) -> None:
    other = {"Sec-Fetch-Site": "cross-site"}
    navigation = other | {"Sec-Fetch-Mode": "navigate"}
    assert browser.get("/dashboard", headers=navigation).status_code == 200
    assert browser.post("/login", headers=navigation, data={"key": "x"}).status_code == 403
    for mode in ("cors", "no-cors", "websocket"):
        headers = other | {"Sec-Fetch-Mode": mode}
        assert browser.get("/v1/studies", headers=headers).status_code == 403


def test_a_preflight_grants_nothing(browser: httpx.Client) -> None:
    own = f"http://127.0.0.1:{browser.base_url.port}"
    headers = {"Access-Control-Request-Method": "POST", "Origin": own}
    answer = browser.options("/v1/studies", headers=headers)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]

"""What each answer tells a browser."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from alphagrad.api.settings import ApiSettings
from tests.api.serving import serving
from tests.api.walk import DASHBOARD, OPEN, paths_of

pytestmark = pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)


def heads(
    client: httpx.Client, app: FastAPI, headers: dict[str, str]
) -> Iterator[tuple[str, httpx.Response]]:
    """The answer of every path, its body unread."""
    for path in sorted({*paths_of(app.routes), *DASHBOARD, *OPEN, "/nothing"}):
        with client.stream("GET", path, headers=headers) as answer:
            yield path, answer


@pytest.mark.parametrize("who", ["nobody", "admin"])
def test_every_answer_has_its_headers(
    app: FastAPI, anonymous: httpx.Client, key: str, who: str
) -> None:
    headers = {} if who == "nobody" else {"Authorization": f"Bearer {key}"}
    for path, answer in heads(anonymous, app, headers):
        found = answer.headers
        assert found["x-content-type-options"] == "nosniff", path
        assert found["x-frame-options"] == "DENY", path
        assert found["referrer-policy"] == "same-origin", path
        assert found["cross-origin-resource-policy"] == "same-origin", path
        assert "access-control-allow-origin" not in found, path
        policy = found["content-security-policy"]
        assert "frame-ancestors 'none'" in policy, path
        if not found.get("content-type", "").startswith("text/html"):
            assert policy.startswith("default-src 'none'"), path
        if found.get("content-type", "").startswith("text/html"):
            assert found["cache-control"] in ("no-store", "no-cache"), path
        elif answer.status_code >= 400 or not path.startswith(("/static", "/favicon")):
            assert found["cache-control"] == "no-store", path


def test_what_goes_wrong_in_the_server_has_them_too(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("alphagrad.tuner.study_store.get_study", fail)
    answer = api.get("/v1/studies/x")
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_behind_a_proxy_with_tls_the_cookie_is_bound_to_the_host(
    anonymous: httpx.Client, key: str
) -> None:
    # The tests' server trusts this machine's proxies, as uvicorn does by default.
    https = {"X-Forwarded-Proto": "https"}
    answer = anonymous.post("/login", data={"key": key}, headers=https)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-alphagrad_session_")
    flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
    assert {"secure", "httponly", "samesite=strict", "path=/"} <= flags
    assert not [flag for flag in flags if flag.startswith("domain")]
    value = cookie.partition(";")[0]
    plain = value.removeprefix("__Host-")
    anonymous.cookies.clear()
    for sent, headers, status in (
        (value, https, 200),
        (plain, https, 401),  # another host of the domain could have set that one
        (value, {}, 401),
    ):
        got = anonymous.get("/v1/studies", headers={"Cookie": sent, **headers}).status_code
        assert got == status, (sent[:10], headers)


def test_the_cookie_over_http_has_its_plain_name(anonymous: httpx.Client, key: str) -> None:
    cookie = anonymous.post("/login", data={"key": key}).headers["set-cookie"]
    assert cookie.startswith("alphagrad_session_")
    assert "secure" not in cookie.lower()


@pytest.mark.parametrize("trusts", [False, True])
def test_the_clients_address_is_a_proxys_word_only_if_it_is_trusted(
    app: FastAPI, tmp_path_factory: pytest.TempPathFactory, key: str, trusts: bool
) -> None:
    from alphagrad.api.serve import proxy_options

    home = tmp_path_factory.mktemp("proxied")
    trusted = ["127.0.0.1"] if trusts else []
    settings = ApiSettings.model_validate(
        {"home": home, "api_key": key, "trusted_proxies": trusted}
    )
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": "192.0.2.7"}
    with serving(settings, **proxy_options(settings)) as url:
        assert httpx.post(f"{url}/v1/studies/x:stop", headers=headers).status_code == 404
        (row,) = httpx.get(f"{url}/v1/audit", headers=headers).json()["items"]
        assert row["client"] == ("192.0.2.7" if trusts else "127.0.0.1")

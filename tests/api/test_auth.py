"""Who may do what: the key for everything, a cookie for reading, nothing for the rest."""

import hmac
import re
import time
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.api.walk import DASHBOARD, METHODS, OPEN, paths_of

pytestmark = pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)


@pytest.fixture
def cookie_name(app: FastAPI) -> str:
    """The name of the cookie, which other installations on the host do not share."""
    name: str = app.state.sessions.cookie
    assert re.fullmatch("alphagrad_session_[0-9a-f]{8}", name)
    return name


@pytest.fixture(scope="module")
def one_study(api: httpx.Client) -> None:
    spec = {"name": "one", "task": "digits", "n_trials": 1}
    assert api.post("/v1/studies", json=spec).status_code == 202


def is_problem(answer: httpx.Response, status: int) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:alphagrad:problem:")
    return bool(body["title"] and body["detail"])


def test_no_path_answers_without_the_key(app: FastAPI, anonymous: httpx.Client) -> None:
    known = set(paths_of(app.routes))
    documented = {re.sub(r"\{[^}]+\}", "1", path) for path in app.openapi()["paths"]}
    assert (
        documented | {"/", "/login", "/submit", "/openapi.json"} <= known
    )  # the walk misses nothing
    for path in sorted((known | {*DASHBOARD, "/nothing"}) - set(OPEN)):
        for method in METHODS:
            answer = anonymous.request(method, path)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["content-type"] == "application/problem+json", (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
            if method != "HEAD":
                assert is_problem(answer, 401)


@pytest.mark.parametrize(
    "path", ["//v1/studies", "/v1/studies/", "/healthz/", "/healthz/../v1/studies", "/login/x"]
)
def test_a_path_written_otherwise_needs_the_key_as_well(anonymous: httpx.Client, path: str) -> None:
    # As a string, so that the client does not tidy the path.
    url = httpx.URL(str(anonymous.base_url).rstrip("/")).copy_with(raw_path=path.encode())
    assert anonymous.get(url).status_code == 401


def test_health_and_login_need_no_key(anonymous: httpx.Client) -> None:
    assert anonymous.get("/healthz").json() == {"status": "ok"}
    assert anonymous.get("/login").status_code == 200


@pytest.mark.parametrize("path", ["/v1/studies", "/openapi.json", *DASHBOARD[:3], "/csv/1"])
def test_the_key_opens_every_door(api: httpx.Client, one_study: None, path: str) -> None:
    assert api.get(path).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer wrong",
        "Bearer",
        "Basic {key}",
        "{key}",
        "Bearer {key}x",
        "Bearer x{key}",
        "Bearer é",
    ],
)
def test_a_wrong_key_is_refused(anonymous: httpx.Client, key: str, authorization: str) -> None:
    header = authorization.format(key=key).encode()
    assert is_problem(anonymous.get("/v1/studies", headers={b"Authorization": header}), 401)


def test_a_browser_without_a_key_is_sent_to_the_login_page(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/dashboard/studies/1", headers={"Accept": "text/html,*/*"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/dashboard/studies/1"


def test_a_login_reads_but_never_writes(anonymous: httpx.Client, key: str) -> None:
    answer = anonymous.post("/login", data={"key": f" {key} ", "next": "/dashboard/studies/1"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/dashboard/studies/1"
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    assert key not in answer.headers["set-cookie"]
    for path in ("/dashboard", "/api/studies", "/v1/studies", "/static/bundle.js"):
        assert anonymous.get(path).status_code == 200, path
    spec = {"name": "x", "task": "digits", "n_trials": 1}
    assert is_problem(anonymous.post("/v1/studies", json=spec), 401)
    assert is_problem(anonymous.post("/v1/studies/x:stop"), 401)
    assert is_problem(anonymous.patch("/v1/studies/x/trials/0/alpha", json={"alpha": 1.0}), 401)
    assert is_problem(anonymous.delete("/api/studies/1"), 401)


def test_a_wrong_key_beside_a_good_cookie_is_refused(anonymous: httpx.Client, key: str) -> None:
    anonymous.post("/login", data={"key": key})
    wrong = anonymous.get("/v1/studies", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401


def signed(home: Path, body: bytes) -> bytes:
    secret = (home / "session-secret").read_bytes()
    return body + b"." + hmac.new(secret, body, "sha256").hexdigest().encode()


def test_a_cookie_of_our_own_making_works_until_it_expires(
    anonymous: httpx.Client, cookie_name: str, key: str, home: Path
) -> None:
    hashed = sha256(key.encode()).hexdigest()
    for seconds, status in ((60, 200), (-1, 401)):
        value = signed(home, f"{hashed}.{int(time.time()) + seconds}".encode())
        answer = anonymous.get(
            "/v1/studies", headers={b"Cookie": cookie_name.encode() + b"=" + value}
        )
        assert answer.status_code == status


@pytest.mark.parametrize(
    "body",
    [b"{other}.9999999999", b"{key}.soon", b"{key}.", b"{key}", b"", b".", b"\xe9.9999999999"],
)
def test_a_signed_cookie_of_another_shape_is_refused(
    anonymous: httpx.Client, cookie_name: str, key: str, home: Path, body: bytes
) -> None:
    body = body.replace(b"{key}", sha256(key.encode()).hexdigest().encode())
    body = body.replace(b"{other}", sha256(b"a key of earlier days").hexdigest().encode())
    cookie = cookie_name.encode() + b"=" + signed(home, body)
    assert is_problem(anonymous.get("/v1/studies", headers={b"Cookie": cookie}), 401)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b".",
        b"..",
        b"...",
        b"x",
        b"{key}.9999999999",
        b"{key}.9999999999.",
        b"{key}.soon." + b"0" * 64,
        b"{key}.9999999999." + b"0" * 64,
        b"\xff\xfe.\xe9.\xe9",
        "ключ.9999999999.подпись".encode(),
        b'"\\351"',
        b"." * 4000,
    ],
)
def test_a_forged_cookie_is_refused(
    anonymous: httpx.Client, cookie_name: str, key: str, value: bytes
) -> None:
    value = value.replace(b"{key}", sha256(key.encode()).hexdigest().encode())
    cookie = cookie_name.encode() + b"=" + value
    assert is_problem(anonymous.get("/v1/studies", headers={b"Cookie": cookie}), 401)


def test_a_cookie_of_another_installation_is_refused(
    anonymous: httpx.Client, cookie_name: str, key: str, home: Path
) -> None:
    body = f"{sha256(key.encode()).hexdigest()}.{int(time.time()) + 60}"
    for secret in (b"", b"0" * 32):
        assert secret != (home / "session-secret").read_bytes()
        value = f"{body}.{hmac.new(secret, body.encode(), 'sha256').hexdigest()}"
        answer = anonymous.get("/v1/studies", headers={"Cookie": f"{cookie_name}={value}"})
        assert answer.status_code == 401


def test_the_secret_is_long_and_its_owners_alone(app: FastAPI, home: Path) -> None:
    secret = home / "session-secret"
    assert len(secret.read_bytes()) == 32
    assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("path", ["/healthz", "/login", "/v1/studies", "/dashboard"])
def test_another_host_name_is_refused(api: httpx.Client, path: str) -> None:
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example"):
        assert api.get(path, headers={"Host": host}).status_code == 400, host


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "localhost:1", "[::1]:8000"])
def test_this_machines_own_names_are_answered(anonymous: httpx.Client, host: str) -> None:
    assert anonymous.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("target", "landing"),
    [
        ("/v1/studies", "/v1/studies"),
        ("/dashboard/studies/1", "/dashboard/studies/1"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        (" //evil.example", "/"),
    ],
)
def test_login_goes_on_to_this_site_alone(
    anonymous: httpx.Client, key: str, target: str, landing: str
) -> None:
    answer = anonymous.post("/login", data={"key": key, "next": target})
    assert answer.status_code == 303
    assert answer.headers["location"] == landing


@pytest.mark.parametrize("target", ["/\t/evil.example", "/\n/evil.example", "/x\r\nX-Y: 1"])
def test_a_control_character_does_not_lead_away(
    anonymous: httpx.Client, key: str, target: str
) -> None:
    answer = anonymous.post("/login", data={"key": key, "next": target})
    assert answer.status_code == 303
    assert "x-y" not in answer.headers
    landing = answer.headers["location"]
    assert not re.search(r"[\t\r\n]", landing)
    # What a browser would make of it.
    assert str(httpx.URL("http://here/login").join(landing)).startswith("http://here/")


def test_a_wrong_key_at_login_sets_no_cookie(anonymous: httpx.Client) -> None:
    answer = anonymous.post("/login", data={"key": "wrong", "next": '/"><script>'})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "This is not the key." in answer.text
    assert "<script>" not in answer.text
    assert "wrong" not in answer.text


@pytest.mark.parametrize("form", [{}, {"next": "/x"}, {"key": "k" * 501}])
def test_login_without_a_proper_key_is_refused(
    anonymous: httpx.Client, form: dict[str, str]
) -> None:
    answer = anonymous.post("/login", data=form)
    assert is_problem(answer, 422)
    assert [error["field"] for error in answer.json()["errors"]] == ["key"]


def test_the_login_page_escapes_what_it_was_given(anonymous: httpx.Client) -> None:
    page = anonymous.get("/login", params={"next": "/\"><script>alert(1)</script>&'"})
    assert page.status_code == 200
    assert 'value="/&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;"' in page.text
    assert "<script>" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_dashboard_is_read_only_even_with_the_key(
    api: httpx.Client, one_study: None, method: str
) -> None:
    before = api.get("/api/studies").json()
    for path in ("/api/studies", "/api/studies/1", "/api/studies/1/note", "/dashboard"):
        answer = api.request(method, path)
        assert is_problem(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD"
    assert api.get("/api/studies").json() == before
    assert before["study_summaries"]


def test_a_path_out_of_the_dashboards_files_is_refused(api: httpx.Client) -> None:
    for path in ("/static/%2e%2e/app.py", "/static/..%2f..%2fapp.py", "/static//etc/passwd"):
        url = httpx.URL(str(api.base_url).rstrip("/")).copy_with(raw_path=path.encode())
        assert api.get(url).status_code in (403, 404)

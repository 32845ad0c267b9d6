"""What is refused because there is too much of it: requests, wrong keys, bytes, studies."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import ValidationError

from alphagrad.api import key_store
from alphagrad.api.key_store import Quotas
from alphagrad.api.settings import ApiSettings
from alphagrad.tuner.database import Database
from tests.api.serving import serving

MOST_BYTES = 2000


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ApiSettings:
    """Settings with tight limits: one wrong key a minute, which is 60 on loopback."""
    home = tmp_path_factory.mktemp("limits")
    url = f"sqlite:///{home}/a.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_postgres")()
    given = {"home": home, "database_url": url, "api_key": "the configured key"}
    limits = {"max_body_bytes": MOST_BYTES, "wrong_keys_per_minute": 1, "quota_open_studies": 2}
    return ApiSettings.model_validate(given | limits)


@pytest.fixture(scope="module")
def url(place: ApiSettings) -> Iterator[str]:
    with serving(place) as url:
        yield url


@pytest.fixture(scope="module")
def database(place: ApiSettings, url: str) -> Iterator[Database]:
    opened = Database(place.url)
    yield opened
    opened.dispose()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


CONFIGURED = bearer("the configured key")
JSON = {"Content-Type": "application/json"}


def test_a_key_may_make_so_many_requests_and_no_other_key_suffers(
    url: str, database: Database
) -> None:
    quota = Quotas(requests_per_minute=5)
    busy = bearer(key_store.make_key(database, "busy", role="reader", quotas=quota))
    with httpx.Client(base_url=url) as client:
        codes = [client.get("/v1/tasks/digits", headers=busy).status_code for _ in range(5)]
        assert codes == [200] * 5
        refused = client.get("/v1/tasks/digits", headers=busy)
        assert refused.status_code == 429
        assert refused.json()["type"] == "urn:alphagrad:problem:rate-limited"
        assert "key 'busy' made more than 5 requests a minute" in refused.json()["detail"]
        assert 1 <= int(refused.headers["retry-after"]) <= 12
        assert client.post("/v1/studies", headers=busy).status_code == 429
        assert client.get("/v1/tasks/digits", headers=CONFIGURED).status_code == 200
        assert client.get("/healthz").status_code == 200


def from_address(url: str, address: str) -> httpx.Client:
    """A client on another address; all of 127.0.0.0/8 is this machine."""
    return httpx.Client(base_url=url, transport=httpx.HTTPTransport(local_address=address))


def use_up(guess: Callable[[str], httpx.Response]) -> None:
    """Guess keys until one is refused unheard; 60 are free, and one more comes back each second."""
    start = time.monotonic()
    for guesses in count(1):
        answer = guess(f"guess-{guesses}")
        if answer.status_code == 429:
            break
        assert answer.status_code == 401
        assert guesses <= 60 + time.monotonic() - start
    assert guesses > 60


def refused(
    guess: Callable[[str], httpx.Response], ask: Callable[[], httpx.Response]
) -> httpx.Response:
    """What the right key gets just after a guess, before another one is free: that may take two."""
    for number in range(10):
        guess(f"again-{number}")
        if (answer := ask()).status_code == 429:
            break
    assert answer.status_code == 429  # else a right guess could be told from a wrong one
    return answer


def test_who_guesses_keys_is_refused_and_nobody_else(url: str) -> None:
    with from_address(url, "127.0.0.2") as guesser, from_address(url, "127.0.0.3") as other:
        assert guesser.post("/login", data={"key": "the configured key"}).status_code == 303

        def guess(key: str) -> httpx.Response:
            return guesser.get("/v1/studies", headers=bearer(key))

        use_up(guess)
        right = refused(guess, lambda: guess("the configured key"))
        assert right.headers["retry-after"] == "1"
        assert "wrong keys from 127.0.0.2" in right.json()["detail"]
        form = {"key": "the configured key"}
        login = refused(guess, lambda: guesser.post("/login", data=form))
        assert "Too many wrong keys" in login.text
        assert "set-cookie" not in login.headers
        assert guesser.get("/v1/studies").status_code == 200  # its session goes on
        assert other.get("/v1/studies", headers=CONFIGURED).status_code == 200
        assert other.post("/login", data={"key": "the configured key"}).status_code == 303


def test_a_program_with_an_old_key_locks_nobody_out(url: str) -> None:
    with from_address(url, "127.0.0.4") as client:
        for _ in range(100):
            assert client.get("/v1/studies", headers=bearer("an old key")).status_code == 401
        assert client.get("/v1/studies", headers=CONFIGURED).status_code == 200


def test_guesses_at_the_login_page_count(url: str) -> None:
    with from_address(url, "127.0.0.5") as client:

        def guess(key: str) -> httpx.Response:
            return client.post("/login", data={"key": key})

        use_up(guess)
        refused(guess, lambda: client.get("/v1/studies", headers=CONFIGURED))


def body(size: int) -> bytes:
    """Of a study that is not valid, in so many bytes."""
    empty = json.dumps({"name": ""})
    return json.dumps({"name": "-" * (size - len(empty))}).encode()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_be_so_long(url: str, chunked: bool) -> None:
    for size, status in ((MOST_BYTES, 422), (MOST_BYTES + 1, 413), (50 * MOST_BYTES, 413)):
        content = body(size)
        pieces = iter([content[:500], content[500:]]) if chunked else content
        answer = httpx.post(f"{url}/v1/studies", headers=CONFIGURED | JSON, content=pieces)
        assert answer.status_code == status, size
        assert ("content-length" in answer.request.headers) is not chunked
        if status == 413:
            assert answer.json()["type"] == "urn:alphagrad:problem:body-too-large"
            assert f"{MOST_BYTES} bytes" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/login", "/v1/studies", "/nothing", "/dashboard"])
def test_a_body_that_never_ends_is_not_read_to_its_end(url: str, path: str) -> None:
    target = urlsplit(url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {target.netloc}\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        "Authorization: Bearer the configured key\r\n\r\n"
    )
    chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    with socket.create_connection((target.hostname, target.port), timeout=20) as connection:
        connection.sendall(head.encode() + chunk * (MOST_BYTES // 1000 + 2))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_was_cut_is_not_executed(url: str, chunked: bool) -> None:
    target = urlsplit(url)
    name = f"cut-{chunked}"
    spec = json.dumps({"name": name, "engine": "remote", "n_trials": 1}).encode()
    once = CONFIGURED | JSON | {"Idempotency-Key": name}
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(spec)}"
    lines = [f"{field}: {value}" for field, value in once.items()]
    head = "\r\n".join(["POST /v1/studies HTTP/1.1", f"Host: {target.netloc}", length, *lines])
    half = spec[: len(spec) // 2]
    begun = f"{len(half):x}\r\n".encode() + half + b"\r\n" if chunked else half
    with socket.create_connection((target.hostname, target.port), timeout=20) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + begun)
        time.sleep(0.3)  # so that the server reads on before the end
    time.sleep(0.3)  # were it executed, it would be before the next one
    answer = httpx.post(f"{url}/v1/studies", headers=once, content=spec)
    assert answer.status_code == 202, answer.text
    assert "idempotency-replayed" not in answer.headers
    assert httpx.post(f"{url}/v1/studies/{name}:cancel", headers=CONFIGURED).is_success


def test_a_submitter_may_have_so_many_open_studies(url: str, database: Database) -> None:
    default = bearer(key_store.make_key(database, "default", role="submitter"))
    own = Quotas(open_studies=1)
    tight = bearer(key_store.make_key(database, "tight", role="submitter", quotas=own))
    with httpx.Client(base_url=url) as client:

        def submit(name: str, headers: dict[str, str]) -> httpx.Response:
            spec = {"name": name, "task": "digits", "n_trials": 1}
            return client.post("/v1/studies", json=spec, headers=headers)

        for holder, headers, most in (("default", default, 2), ("tight", tight, 1)):
            for number in range(most):
                assert submit(f"{holder}-{number}", headers).status_code == 202
            refused = submit(f"{holder}-more", headers)
            assert refused.status_code == 409
            assert refused.json()["type"] == "urn:alphagrad:problem:quota-exceeded"
            assert refused.json()["detail"].startswith(
                f"key '{holder}' has {most} open studies of {most} that it may have"
            )
        assert client.post("/v1/studies/tight-0:cancel", headers=tight).status_code == 202
        assert submit("tight-more", tight).status_code == 202
        for number in range(4):  # an admin has no such quota
            assert submit(f"configured-{number}", CONFIGURED).status_code == 202


def test_quotas_of_the_settings_are_numbers(tmp_path: Path) -> None:
    assert ApiSettings(home=tmp_path).request_limit == 60_000
    assert ApiSettings(home=tmp_path, host="0.0.0.0").request_limit == 6_000
    assert ApiSettings(home=tmp_path, requests_per_minute=7).request_limit == 7


@pytest.mark.parametrize("name", ["lab.example.org:8443", "*", "https://lab", "*.lab", ""])
def test_a_host_that_no_request_could_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="without scheme, port or"):
        ApiSettings(home=tmp_path, allowed_hosts=[name])
    known = ["lab.example.org", "::1", "[fe80::1]", "10.0.0.1"]
    assert ApiSettings(home=tmp_path, allowed_hosts=known).allowed_hosts == known

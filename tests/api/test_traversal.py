"""No string in a path leads out of the folders of the service."""

from __future__ import annotations

import http.client
import re
import string
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute

from alphagrad.api.app import create_app
from alphagrad.api.settings import ApiSettings
from tests.api.serving import serving_app
from tests.api.traversal import corpus

KEY = "the key of the traversal"
CANARY = "canary-4b1d"
STATIC = ("/static/", "/static-ui/", "/artifacts/", "/csv/", "/dashboard/", "/api/studies/", "/")
AS_IT_IS = "".join(set(string.printable) - set(string.whitespace) - set("?#"))
KNOWN = {"name": "one", "number": "0"}
SECRETS = (CANARY.encode(), b"root:x:", b"SQLite format 3", b"ALPHAGRAD_", KEY.encode())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the state, with a file beside it that nobody may read, and some within."""
    home = tmp_path_factory.mktemp("traversal") / "home"
    for place in (home.parent, home, home / "logs", home / "logs" / "one", home / "checkpoints"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "canary.txt").write_text(CANARY)
    return home


@pytest.fixture(scope="module")
def app(home: Path) -> FastAPI:
    return create_app(ApiSettings.model_validate({"home": home, "api_key": KEY}))


class Caller:
    """Sends paths as they are; other clients tidy them."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)

    def close(self) -> None:
        self._connection.close()

    def __call__(self, method: str, path: str, body: str = "{}") -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        sent = None if method == "GET" else body
        self._connection.request(method, quote(path, safe=AS_IT_IS), body=sent, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture(scope="module")
def call(app: FastAPI) -> Iterator[Caller]:
    with serving_app(app) as url, closing(Caller(url)) as caller:
        spec = '{"name": "one", "task": "digits", "n_trials": 1}'
        assert caller("POST", "/v1/studies", spec)[0] == 202
        yield caller


def places(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and path of each parameter of each route, the parameter written ``{}``."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from places(included.routes)
            continue
        path: str = getattr(route, "path", "")
        for parameter in re.findall(r"\{(\w+)(?::\w+)?\}", path):
            with_hole = re.sub(rf"\{{{parameter}(:\w+)?\}}", "{}", path)
            filled = re.sub(
                r"\{(\w+)(?::\w+)?\}", lambda found: KNOWN.get(found[1], "1"), with_hole
            )
            for method in getattr(route, "methods", None) or ():
                yield method, filled


def check(call: Caller, method: str, template: str, texts: list[str]) -> None:
    for text in texts:
        path = template.replace("{}", text)
        status, body = call(method, path)
        assert status < 500, (method, path, body)
        assert not [secret for secret in SECRETS if secret in body], (method, path)


def test_there_are_enough_strings(home: Path) -> None:
    texts = corpus(home.parent / "canary.txt")
    assert len(texts[::2]) >= 200
    # They would work: each way of writing is undone by somebody's server.
    assert any((home / "logs" / text).resolve().exists() for text in texts)


def test_no_parameter_of_a_path_reads_a_file(app: FastAPI, call: Caller, home: Path) -> None:
    found = sorted(set(places(app.routes)))
    assert len(found) > 20
    texts = corpus(home.parent / "canary.txt")
    for number, (method, template) in enumerate(found):
        check(call, method, template, texts[number % 2 :: 2][:200])


@pytest.mark.parametrize("prefix", STATIC)
def test_no_static_path_reads_a_file(call: Caller, home: Path, prefix: str) -> None:
    texts = corpus(home.parent / "canary.txt")
    # Each of the dashboard's pages is the same one, and takes a while.
    check(call, "GET", prefix + "{}", texts[::30] if prefix == "/dashboard/" else texts[::2])


def test_a_file_that_may_be_read_is_read(call: Caller) -> None:
    status, body = call("GET", "/static/bundle.js")
    assert (status, len(body) > 100_000) == (200, True)

"""What the pages are made of: their files, their headers, and what leads to them."""

import gzip
import re
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)

WEB = Path(__file__).parents[2] / "api" / "web"
PAGES = (
    *("/", "/compare", "/compare/studies", "/submit"),
    *("/studies/nothing", "/studies/nothing/trials/0"),
)


@pytest.fixture(scope="module")
def edition(api: httpx.Client) -> str:
    """The folder of the files, as a page names it."""
    found = re.search(r'href="(/static-ui/[0-9a-f]+)/base\.css"', api.get("/").text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_allows_nothing_inline_and_no_other_host(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == (404 if "nothing" in path else 200)
    policy = dict(
        part.strip().split(" ", 1)
        for part in answer.headers["content-security-policy"].split(";")
        if " " in part.strip()
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert re.findall(r"<script(?![^>]* src=)|<style|\bon\w+=|style=", answer.text) == []
    for target in re.findall(r'(?:src|href|action)="([^"]*)"', answer.text):
        assert target.startswith(("/", "#")), target
        assert not target.startswith("//")


def test_a_page_that_is_not_there_says_so_in_words(api: httpx.Client) -> None:
    answer = api.get("/studies/<img src=x>")
    assert answer.status_code == 404
    assert "&lt;img src=x&gt;" in answer.text
    assert "<img" not in answer.text


def test_login_goes_on_to_the_query_as_well(anonymous: httpx.Client, key: str) -> None:
    path = "/compare?trial=a/0&trial=b/1"
    sent = anonymous.get(path, headers={"Accept": "text/html"})
    form = anonymous.get(sent.headers["location"])
    assert f'value="{path.replace("&", "&amp;")}"' in form.text
    landed = anonymous.post("/login", data={"key": key, "next": path})
    assert landed.headers["location"] == path


def test_files_are_kept_for_good_under_their_edition(api: httpx.Client, edition: str) -> None:
    answer = api.get(f"{edition}/trial.js")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.text == (WEB / "trial.js").read_text("utf-8")
    # Under a plain name, or that of another edition, a browser asks each time.
    for path in ("/static-ui/trial.js", "/static-ui/000000000000/trial.js"):
        asked = api.get(path)
        assert asked.text == answer.text
        assert asked.headers["cache-control"] == "private, no-cache"
        tag = {"If-None-Match": asked.headers["etag"]}
        again = api.get(path, headers=tag)
        assert (again.status_code, again.content) == (304, b"")


def test_plotly_comes_from_the_package_and_is_compressed(api: httpx.Client) -> None:
    found = re.search(r'src="(/static-ui/plotly[^"]+)"', api.get("/compare").text)
    assert found is not None
    with api.stream("GET", found[1], headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    plain = api.get(found[1], headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2
    assert b"plotly.js v" in plain.content[:200]


@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2fapp.py", "%2e%2e/app.py", "a/..%2f..%2fapp.py", "web_files.py"]
)
def test_no_other_file_is_given_out(api: httpx.Client, name: str) -> None:
    url = httpx.URL(str(api.base_url).rstrip("/")).copy_with(raw_path=f"/static-ui/{name}".encode())
    assert api.get(url).status_code == 404


def test_a_study_is_checked_without_being_submitted(api: httpx.Client, name: str) -> None:
    spec = {"name": name, "task": "digits", "n_trials": 20_000, "params": {"epochs": 1}}
    good = api.post("/v1/studies:check", json=spec)
    assert good.status_code == 200
    assert good.json()["errors"] == []
    assert good.json()["warnings"]
    wrong = spec | {"n_trials": 0, "params": {"alpha": {"type": "float", "low": 9, "high": 1}}}
    errors = {
        error["field"] for error in api.post("/v1/studies:check", json=wrong).json()["errors"]
    }
    assert errors == {"n_trials", "params.alpha"}
    assert api.get(f"/v1/studies/{name}").status_code == 404
    assert api.post("/v1/studies", json=spec).status_code == 202
    (taken,) = api.post("/v1/studies:check", json=spec).json()["errors"]
    assert (taken["field"], taken["value"]) == ("name", name)
    warm = spec | {"name": f"{name}-b", "warm_start": ["nothing"]}
    (missing,) = api.post("/v1/studies:check", json=warm).json()["errors"]
    assert (missing["field"], missing["value"]) == ("warm_start.0", "nothing")
    assert api.post(f"/v1/studies/{name}:cancel").status_code == 202


def test_the_optuna_dashboard_and_our_pages_lead_to_each_other(
    api: httpx.Client, name: str
) -> None:
    spec = {"name": name, "task": "digits", "n_trials": 1}
    assert api.post("/v1/studies", json=spec).status_code == 202
    there = api.get(f"/studies/{name}/dashboard").headers["location"]
    assert re.fullmatch(r"/dashboard/studies/\d+", there)
    back = api.get(there.replace("/dashboard/studies/", "/optuna/"))
    assert (back.status_code, back.headers["location"]) == (303, f"/studies/{name}")
    assert api.get("/optuna/1000000").headers["location"] == "/"
    page = api.get(there, headers={"Accept-Encoding": "gzip"})
    assert page.headers["content-type"].startswith("text/html")
    assert int(page.headers["content-length"]) == len(page.content)
    assert 'src="/static-ui/back.js"' in page.text
    api.post(f"/v1/studies/{name}:cancel")

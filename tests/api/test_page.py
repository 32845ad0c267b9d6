"""The pages in a real browser, with a real service behind them."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.browsing import Watched, log_in, until
from tests.api.endless import endless

Wait = Callable[..., Any]
Scheme = Literal["dark", "light"]
PAPER: dict[Scheme, str] = {"dark": "rgb(16, 20, 23)", "light": "rgb(246, 246, 243)"}


@pytest.fixture(scope="module")
def running(service: httpx.Client, wait_for: Wait) -> Iterator[str]:
    """The path of a trial that runs until the module's end."""
    with endless(service, wait_for, "page-live", alpha=20.0) as path:
        yield path


@pytest.fixture(scope="module")
def failed(service: httpx.Client, wait_for: Wait) -> str:
    """A study whose parameter and error are markup."""
    markup = "<img src=x onerror=alert(1)>"
    spec = {"name": "page-markup", "task": "dqn", "n_trials": 1, "params": {"env_id": markup}}
    assert service.post("/v1/studies", json=spec).status_code == 202
    wait_for(lambda: service.get("/v1/studies/page-markup").json()["state"] == "FAILED")
    assert markup in service.get("/v1/studies/page-markup/trials/0").json()["error"]
    return markup


def test_a_study_is_submitted_by_the_form_and_followed(
    page: Page, service: httpx.Client, service_url: str, key: str
) -> None:
    watched = Watched(page)
    log_in(page, service_url, key, "/submit")
    page.locator("#form[data-ready]").wait_for()
    page.get_by_label("task", exact=True).select_option("digits")
    page.get_by_label("name", exact=True).fill("page-digits")
    # What the server does not like stands beside the field.
    trials = page.get_by_label("trials", exact=True)
    trials.fill("0")
    expect(page.locator(".field", has=trials).get_by_role("alert")).to_contain_text("greater than")
    expect(trials).to_have_attribute("aria-invalid", "true")
    trials.fill("3")
    alpha = page.locator('[data-field="params.alpha"]')
    alpha.get_by_label("low").fill("900")
    expect(alpha).to_contain_text("low must not exceed high")
    alpha.get_by_label("low").fill("2")
    page.get_by_label("Add a parameter").fill("epochs")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("epochs, fixed").fill("1")
    expect(page.locator("#verdict")).to_contain_text("the server would take this")
    expect(page.locator("#preview")).to_contain_text("epochs = 1")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url(f"{service_url}/studies/page-digits")
    # Trials arrive by themselves.
    rows = page.locator(".trials tbody tr", has=page.locator("a"))
    expect(rows).to_have_count(3, timeout=30_000)
    expect(page.locator("#state")).to_contain_text("completed", timeout=30_000)
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("#facts")).to_contain_text("3 of 3")
    stored = service.get("/v1/studies/page-digits").json()
    assert stored["spec"]["params"]["alpha"]["low"] == 2
    assert stored["spec"]["params"]["epochs"] == 1
    best = f"{stored['best']['value']:.4g}"
    expect(page.locator("#best")).to_contain_text(best)
    assert best in page.locator("#history .plot-words").inner_text()
    expect(page).to_have_title(re.compile(r"3/3 · page-digits"))
    # Sorted by value the best is first, or last, and a row leads to its trial.
    page.get_by_role("button", name="value", exact=True).click()
    page.get_by_role("button", name="value", exact=True).click()
    expect(rows.first.locator("a")).to_have_text(str(stored["best"]["number"]))
    rows.first.locator("td").last.click()
    page.wait_for_url(re.compile(r"/studies/page-digits/trials/\d$"))
    expect(page.locator("#facts")).to_contain_text(best)
    expect(page.locator("#log")).to_contain_text("attempt 1 of page-digits")
    watched.expect_clean(service_url)


def test_seeds_of_one_setting_are_shown_by_their_spread(
    tab: Page, service: httpx.Client, service_url: str, wait_for: Wait
) -> None:
    spec = {"name": "page-seeds", "task": "digits", "n_trials": 3, "params": {"epochs": 1}}
    assert service.post("/v1/studies", json=spec).status_code == 202
    wait_for(lambda: service.get("/v1/studies/page-seeds").json()["state"] == "COMPLETED")
    (study,) = service.get("/v1/compare", params={"study": "page-seeds"}).json()["studies"]
    watched = Watched(tab)
    tab.goto(f"{service_url}/studies/page-seeds")
    words = tab.locator("#history .plot-words")
    expect(words).to_contain_text(f"median {study['spread']['median']:.4g}")
    expect(tab.locator("#history")).to_contain_text("median")
    expect(tab.locator("#values")).to_be_visible()
    for card in ("contour", "slice", "parallel", "importance"):  # of what is searched: nothing
        expect(tab.locator(f"#{card}-card")).to_be_hidden()

    # Beside another study, which the page adds.
    other = spec | {"name": "page-seeds-slow", "params": {"epochs": 1, "learning_rate": 1e-6}}
    assert service.post("/v1/studies", json=other).status_code == 202
    tab.get_by_role("link", name="Compare", exact=True).last.click()
    tab.wait_for_url(f"{service_url}/compare/studies?study=page-seeds")
    expect(tab.locator("#table")).to_contain_text(f"median{study['spread']['median']:.4g}")
    tab.get_by_label("Study").select_option("page-seeds-slow")
    tab.get_by_role("button", name="Add", exact=True).click()
    expect(tab.locator("#table")).to_contain_text("1e-6")
    # It ends while one looks.
    expect(tab.locator("#values .plot-words")).to_contain_text(
        "page-seeds: 3 complete trials; page-seeds-slow: 3 complete trials", timeout=30_000
    )
    tab.get_by_label("x axis").select_option("by time")
    expect(tab.locator("#best .plot-words")).to_contain_text("page-seeds-slow: ")
    tab.get_by_role("button", name="Remove page-seeds", exact=True).click()
    tab.wait_for_url(f"{service_url}/compare/studies?study=page-seeds-slow")
    expect(tab.locator("#table thead a")).to_have_text(["page-seeds-slow"])
    watched.expect_clean(service_url)


def test_no_page_is_wider_than_a_phone(
    browser: Browser, service_url: str, key: str, running: str, failed: str
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    watched = Watched(page)
    log_in(page, service_url, key)
    expect(page.locator(".study").first).to_be_visible()
    compare = "/compare?trial=page-live/0&trial=page-markup/0"
    studies = "/compare/studies?study=page-live&study=page-markup"
    pages = ("/", "/studies/page-live", running, compare, studies, "/submit", "/studies/nothing")
    for path in pages:
        page.goto(f"{service_url}{path}")
        expect(page.locator("h1")).to_be_visible()
        until(page, "!document.querySelector('.skeleton')")
        for scheme, paper in PAPER.items():
            page.emulate_media(color_scheme=scheme)
            shown = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert shown == paper
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, (path, scheme)
        page.emulate_media(color_scheme="dark")
    watched.errors = [error for error in watched.errors if "404" not in error]  # the last page is
    watched.expect_clean(service_url)
    context.close()


def test_markup_in_parameters_and_errors_is_text(tab: Page, service_url: str, failed: str) -> None:
    watched = Watched(tab)
    tab.on("dialog", lambda dialog: pytest.fail(dialog.message))
    tab.goto(f"{service_url}/studies/page-markup/trials/0")
    expect(tab.locator("#trial-error")).to_contain_text(failed)
    expect(tab.locator("#params")).to_contain_text(failed)
    expect(tab.locator("#log")).to_contain_text(failed)
    tab.goto(f"{service_url}/studies/page-markup")
    expect(tab.locator("#trials")).to_contain_text(failed)
    expect(tab.locator("#spec")).to_contain_text(failed)
    tab.goto(f"{service_url}/compare?trial=page-markup/0")
    expect(tab.locator("#table")).to_contain_text(failed)
    assert tab.locator("img").count() == 0
    watched.expect_clean(service_url)


def test_the_verbs_of_a_study(
    tab: Page, service: httpx.Client, service_url: str, wait_for: Wait
) -> None:
    watched = Watched(tab)
    alpha = {"type": "float", "low": 1, "high": 100, "log": True}
    # So long that the first page of trials is not full before the study is paused.
    params = {"epochs": 30, "batch_size": 256, "hidden_sizes": [8], "alpha": alpha}
    spec = {"name": "page-verbs", "task": "digits", "n_trials": 900, "params": params}
    assert service.post("/v1/studies", json=spec).status_code == 202
    url = "/v1/studies/page-verbs"

    def stored() -> Any:
        return service.get(url).json()

    def press(name: str) -> None:
        tab.get_by_role("button", name=name, exact=True).click()

    def confirm(name: str) -> None:
        tab.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()

    tab.goto(f"{service_url}/studies/page-verbs")
    state, toasts = tab.locator("#state"), tab.locator("#toasts")
    press("Pause")
    expect(state).to_contain_text("paused")
    assert stored()["state"] == "PAUSED"
    # What cannot be is refused by name, and changes nothing.
    trials = tab.get_by_label("trials in all")
    for number, said in (("0", "n_trials: "), ("950", "Saved.")):
        press("Edit")
        trials.fill(number)
        confirm("Save")
        expect(toasts).to_contain_text(said)
    expect(tab.locator("#facts")).to_contain_text("of 950")
    assert stored()["n_trials"] == 950
    for value, said in (("1000", "params"), ("42", "The next trial tries it.")):
        press("Enqueue")
        tab.get_by_role("textbox", name=re.compile("^alpha")).fill(value)
        confirm("Enqueue")
        expect(toasts).to_contain_text(said)
    press("Resume")
    expect(state).to_contain_text(re.compile("queued|running"))
    tried = tab.locator(".trials tbody tr", has=tab.get_by_role("cell", name="42", exact=True))
    expect(tried).to_contain_text("complete", timeout=30_000)
    press("Export")
    with tab.expect_download() as download:
        confirm("Download")
    with download.value.path().open(newline="") as file:
        assert "42" in [row["params.alpha"] for row in csv.DictReader(file)]
    press("Stop")
    confirm("Keep")
    assert stored()["state"] == "RUNNING"
    press("Stop")
    confirm("Stop")
    expect(state).to_contain_text("completed", timeout=30_000)
    assert stored()["state"] == "COMPLETED"
    press("Delete")
    confirm("Keep")
    assert service.get(url).status_code == 200
    press("Delete")
    confirm("Delete")
    tab.wait_for_url(f"{service_url}/")
    assert service.get(url).status_code == 404
    # What was refused; and the page may look once more at what is just being deleted.
    watched.errors = [e for e in watched.errors if "422" not in e and "404" not in e]
    watched.expect_clean(service_url)


@pytest.mark.parametrize(
    "spec",
    [
        {
            "engine": "remote",
            "task": "their-own",
            "params": {"size": "3", "eps": 0.5, "x": [1, "1"], "cap": None},
        },
        {
            "task": "dqn",
            "resources": {"cpu": 2, "gpu": 0},
            "priority": -3,
            "params": {
                "env_id": {"type": "categorical", "choices": ["CartPole-v1", "a, b", "1"]},
                "hidden_sizes": [8, 8],
                "alpha[*.bias]": {"type": "float", "low": 1, "high": 2},
            },
        },
        {
            "engine": "remote",
            "directions": ["minimize", "maximize"],
            "params": {"kind": {"type": "categorical", "choices": [1, "1", True, "true", "yes"]}},
        },
    ],
    ids=lambda spec: spec.get("task", "no-task"),
)
def test_a_clone_has_all_that_its_model_has(
    tab: Page, service: httpx.Client, service_url: str, spec: dict[str, Any]
) -> None:
    name = f"page-model-{spec.get('task', 'no-task')}"
    answer = service.post("/v1/studies", json=spec | {"name": name, "n_trials": 7})
    assert answer.status_code == 202, answer.text
    watched = Watched(tab)
    tab.goto(f"{service_url}/submit?like={name}")
    tab.locator("#form[data-ready]").wait_for()
    tab.get_by_text("JSON", exact=True).click()
    shown = json.loads(tab.locator("#preview").inner_text())
    assert shown == shown | spec
    general = {"name", "n_trials", "parallelism", "direction", "sampler"}
    assert shown.keys() - spec.keys() <= general  # nothing that only repeats a default
    assert (shown["name"], shown["n_trials"]) == (f"{name}-2", 7)
    watched.expect_clean(service_url)
    assert service.post(f"/v1/studies/{name}:cancel").is_success


def test_a_tab_without_the_key_asks_for_it_and_the_study_is_cancelled(
    page: Page, service: httpx.Client, service_url: str, key: str, running: str
) -> None:
    log_in(page, service_url, key, "/studies/page-live")
    assert page.evaluate("Object.values(localStorage)") == []
    page.evaluate("sessionStorage.clear()")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Keep").click()
    assert service.get("/v1/studies/page-live").json()["state"] == "RUNNING"
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the study").click()
    page.get_by_label("Key", exact=True).fill(f"{key}-not")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("dialog")).to_contain_text("This is not the key.")
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#state")).to_contain_text("cancelled", timeout=15_000)
    assert service.get("/v1/studies/page-live").json()["state"] == "CANCELLED"
    assert key not in page.url
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{service_url}/login")
    assert page.evaluate("sessionStorage.length") == 0

"""Pages while something happens: what is typed stays, and what is shown is the latest."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from alphagrad.api.settings import ApiSettings
from tests.api.browsing import ARGS, log_in, until
from tests.api.remote_study import RemoteStudy
from tests.api.serving import serving

LAYERS = ["actor.0.weight", "actor.0.bias", "critic.0.weight"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, key: str) -> ApiSettings:
    """Of a server without a worker: clients run its trials."""
    home = tmp_path_factory.mktemp("live")
    return ApiSettings.model_validate({"home": home, "api_key": key})


@pytest.fixture(scope="module")
def url(settings: ApiSettings) -> Iterator[str]:
    with serving(settings) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str, key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


@pytest.fixture
def running(client: httpx.Client, name: str) -> Iterator[str]:
    """The path of a trial whose client says something three times a second."""
    study = RemoteStudy(client, name)
    trial = study.trial()
    ended = threading.Event()

    def report() -> None:
        row = 0
        while not ended.wait(0.3):
            trace = {
                "first": row,
                "steps": [row + 1],
                "alpha": [[20.0] * 3],
                "saturation": [[0.1] * 3],
            }
            first = {} if row else {"layers": LAYERS}
            study.say(
                "report", trial, reports=[{"step": row + 1, "value": 1.0}], trace=trace, **first
            )
            row += 1

    thread = threading.Thread(target=report)
    thread.start()
    yield f"/studies/{name}/trials/0"
    ended.set()
    thread.join()
    study.say("tell", trial, state="COMPLETE", value=1.0)  # no event of its lease in other tests


def test_what_is_typed_into_layers_stays_while_the_trial_runs(
    page: Page, url: str, key: str, running: str
) -> None:
    log_in(page, url, key, running)
    page.locator(".layer-list input").first.wait_for()
    layers = page.locator("#layers-glob")
    layers.click()
    page.keyboard.type("*tor.0.w*", delay=200)
    expect(layers).to_have_value("*tor.0.w*")
    expect(page.locator("#layers-chosen")).to_contain_text("1 of 3")
    # What it comes to is said once the field is left.
    page.keyboard.press("Tab")
    expect(layers).to_have_value("actor.0.weight")


def test_a_page_that_one_comes_back_to_is_live_again(
    browser: Browser, chromium: str, url: str, key: str, running: str
) -> None:
    # Playwright turns the back/forward cache off.
    cached = browser.browser_type.launch(
        executable_path=chromium, args=ARGS, ignore_default_args=["--disable-back-forward-cache"]
    )
    page = cached.new_page()
    log_in(page, url, key, running)
    until(page, "window.alphagrad && document.getElementById('connection').textContent === 'live'")
    page.evaluate("window.kept = true")
    page.get_by_role("link", name="Studies").first.click()
    page.wait_for_url(f"{url}/")
    page.evaluate("setTimeout(() => history.back(), 0)")
    page.wait_for_url(f"{url}{running}", wait_until="commit")  # nothing loads
    assert page.evaluate("window.kept")  # else it was loaded anew
    page.wait_for_timeout(1500)  # what was on its way has arrived
    steps = page.evaluate("alphagrad.trace.last")
    until(page, f"alphagrad.trace.last > {steps + 2}")
    expect(page.locator("#connection")).to_have_text("live")
    cached.close()


@pytest.mark.parametrize("lines", [2_000, 6_000])  # more than is read at once; than is kept
def test_the_end_of_a_log_is_shown_however_much_came_at_once(
    page: Page,
    url: str,
    key: str,
    client: httpx.Client,
    settings: ApiSettings,
    name: str,
    lines: int,
) -> None:
    study = RemoteStudy(client, name)
    trial = study.trial()
    log = settings.log_path(name, 0)
    log.parent.mkdir(parents=True)
    log.write_text("begun\n")
    log_in(page, url, key, f"/studies/{name}/trials/0")
    shown = page.locator("#log")
    expect(shown).to_have_text("begun\n")
    with log.open("a") as file:
        file.writelines(f"line {i} of what a trial says in one go\n" for i in range(lines))
        file.write("RuntimeError: what one looks for\n")
    study.say("tell", trial, state="FAIL", error="RuntimeError", retryable=False)
    expect(shown).to_contain_text("RuntimeError: what one looks for")
    text = shown.inner_text()
    assert f"line {lines - 1} of" in text
    assert len(text) <= 200_000
    assert ("line 0 of" in text) is (lines == 2_000)


class Held:
    """The first answer to a request of a page; what is asked later is answered at once."""

    def __init__(self, page: Page, pattern: str) -> None:
        self.page = page
        self.held: list[tuple[Route, APIResponse]] = []
        page.route(pattern, self._take)

    def _take(self, route: Route) -> None:
        if self.held:
            route.continue_()
        else:
            self.held.append((route, route.fetch()))

    def wait(self) -> None:
        """Wait until it is held, and then as long as the next one may take."""
        while not self.held:
            self.page.wait_for_timeout(50)
        self.page.wait_for_timeout(1500)

    def let_go(self) -> None:
        """Let it arrive, and the page show what it makes of it."""
        [(route, answer)] = self.held
        route.fulfill(response=answer)
        self.page.wait_for_timeout(1500)


def test_an_older_list_of_studies_does_not_replace_a_newer_one(
    page: Page, url: str, key: str, client: httpx.Client, name: str
) -> None:
    log_in(page, url, key)
    held = Held(page, "**/v1/studies?*")
    page.reload()
    expect(page.locator("#connection")).to_have_text("live")
    held.wait()
    RemoteStudy(client, name)
    page.wait_for_timeout(1500)
    held.let_go()
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def test_an_older_comparison_does_not_replace_a_newer_one(
    page: Page, url: str, key: str, client: httpx.Client, name: str
) -> None:
    names = [f"{name}-{letter}" for letter in "abc"]
    for one in names:
        RemoteStudy(client, one)
    log_in(page, url, key)
    page.goto(f"{url}/compare/studies?{'&'.join(f'study={one}' for one in names)}")
    heads = page.locator("#table thead a")
    expect(heads).to_have_text(names)
    expect(page.locator("#table")).to_contain_text("remote")  # their task has no name
    held = Held(page, "**/v1/compare?*")
    page.get_by_role("button", name=f"Remove {names[2]}").click()
    held.wait()
    page.get_by_role("button", name=f"Remove {names[1]}").click()
    page.wait_for_timeout(1500)
    held.let_go()
    expect(heads).to_have_text(names[:1])

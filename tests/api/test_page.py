"""The pages in a real browser, with a real service behind them."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.browsing import Watched, log_in, until

Wait = Callable[..., Any]
# It would run for days; it is cancelled when its tests are through.
ENDLESS = {
    "total_timesteps": 10**9,
    "learning_starts": 200,
    "train_frequency": 2,
    "batch_size": 16,
    "eval_interval": 2000,
    "learning_rate": 1e-4,
    "alpha": 20.0,
}
# α of a layer in the first rows and in the last one, as the page holds it.
ENDS = """name => {
  const { trace } = window.alphagrad;
  const layer = trace.layers.indexOf(name);
  return [trace.alpha[0][layer], trace.alphaNow(layer)];
}"""


@pytest.fixture(scope="module")
def running(service: httpx.Client, wait_for: Wait) -> Iterator[str]:
    """The path of a trial that runs until the module's end."""
    spec = {"name": "page-live", "task": "dqn", "n_trials": 1, "seed": 1, "params": ENDLESS}
    assert service.post("/v1/studies", json=spec).status_code == 202
    path = "/v1/studies/page-live/trials/0"
    wait_for(lambda: service.get(f"{path}/alpha").json().get("steps"))
    yield "/studies/page-live/trials/0"
    service.post("/v1/studies/page-live:cancel")


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
    trials.fill("4")
    alpha = page.locator('[data-field="params.alpha"]')
    alpha.get_by_label("low").fill("900")
    expect(alpha).to_contain_text("low must not exceed high")
    alpha.get_by_label("low").fill("2")
    page.get_by_label("Add a parameter").fill("epochs")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("epochs, fixed").fill("2")
    expect(page.locator("#verdict")).to_contain_text("the server would take this")
    expect(page.locator("#preview")).to_contain_text("epochs = 2")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url(f"{service_url}/studies/page-digits")
    # Trials arrive by themselves.
    rows = page.locator(".trials tbody tr", has=page.locator("a"))
    expect(rows).to_have_count(4, timeout=30_000)
    expect(page.locator("#state")).to_contain_text("completed", timeout=30_000)
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("#facts")).to_contain_text("4 of 4")
    stored = service.get("/v1/studies/page-digits").json()
    assert stored["spec"]["params"]["alpha"]["low"] == 2
    assert stored["spec"]["params"]["epochs"] == 2
    best = f"{stored['best']['value']:.4g}"
    expect(page.locator("#best")).to_contain_text(best)
    assert best in page.locator("#history .plot-words").inner_text()
    expect(page).to_have_title(re.compile(r"4/4 · page-digits"))
    # Sorted by value the best is first, or last, and a row leads to its trial.
    page.get_by_role("button", name="value", exact=True).click()
    page.get_by_role("button", name="value", exact=True).click()
    expect(rows.first.locator("a")).to_have_text(str(stored["best"]["number"]))
    rows.first.locator("td").last.click()
    page.wait_for_url(re.compile(r"/studies/page-digits/trials/\d$"))
    expect(page.locator("#facts")).to_contain_text(best)
    expect(page.locator("#log")).to_contain_text("attempt 1 of page-digits")
    watched.expect_clean(service_url)


def drag(page: Page, share: float) -> None:
    """Drag the slider of α to a share of its way."""
    box = page.locator("#alpha-slider").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    here = float(page.locator("#alpha-slider").input_value())
    thumb = box["x"] + 8 + (here + 2) / 7 * (box["width"] - 16)
    page.mouse.move(thumb, y)
    page.mouse.down()
    page.mouse.move(box["x"] + share * box["width"], y, steps=5)
    page.mouse.up()


def test_the_knob_turns_one_layer_of_a_running_trial(
    page: Page, service: httpx.Client, service_url: str, key: str, running: str
) -> None:
    watched = Watched(page)
    log_in(page, service_url, key, running)
    layer = "q.hidden1.weight"
    box = page.get_by_label(layer, exact=True)
    box.check()
    expect(page.locator("#layers-glob")).to_have_value(layer)
    drag(page, 0.8)
    alpha = float(page.locator("#alpha-exact").input_value())
    assert alpha > 1000
    page.locator("[data-action=set]").click()
    command = page.locator("#knobs li").first
    expect(command).to_contain_text(layer)
    expect(command).to_contain_text(re.compile(r"applied at step [\d,]+"), timeout=15_000)
    (knob,) = service.get(f"/v1{running}/knobs").json()["items"]
    assert (knob["layers"], knob["state"]) == (layer, "applied")
    assert knob["alpha"] == pytest.approx(alpha)
    expect(command).to_contain_text(f"applied at step {knob['step']:,}")
    # The line bends where the command says, that of no other layer does, and saturation answers.
    until(page, f"alphagrad.trace.last > {knob['step']}")
    first, last = page.evaluate(ENDS, layer)
    assert (first, last) == (20.0, pytest.approx(alpha, rel=1e-6))
    assert page.evaluate(ENDS, "q.hidden1.bias") == [20.0, 20.0]
    marks = page.evaluate("alphagrad.instrument.marks")
    assert marks == [{"step": knob["step"], "label": "1", "applied": True}]
    expect(command).to_contain_text(re.compile(r"saturation \S+ % → \S+ %"), timeout=15_000)
    before, after = re.findall(r"([\d.]+) %", command.inner_text())
    assert float(after) > float(before)
    # It grows without being asked to.
    steps = page.evaluate("alphagrad.trace.last")
    until(page, f"alphagrad.trace.last > {steps}")
    expect(page.locator("#connection")).to_have_text("live")
    watched.expect_clean(service_url)


def test_the_keyboard_alone_is_enough(
    page: Page, service: httpx.Client, service_url: str, running: str, key: str
) -> None:
    watched = Watched(page)
    page.goto(f"{service_url}{running}")
    page.keyboard.type(key)  # the field has the focus
    page.keyboard.press("Enter")
    page.wait_for_url(f"{service_url}{running}")
    page.locator(".layer-list input").first.wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    reach(page, ".stage")
    for press in ("ArrowDown", "ArrowDown", "ArrowLeft", " "):
        page.keyboard.press(press)
    expect(page.locator("#layers-glob")).to_have_value("q.hidden2.weight")
    expect(page.locator("#instrument [aria-live]")).to_contain_text("q.hidden2.weight")
    reach(page, "#alpha-slider")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    reach(page, "[data-action=set]")
    page.keyboard.press("Enter")
    command = page.locator("#knobs li").first
    expect(command).to_contain_text("q.hidden2.weight")
    expect(command).to_contain_text("applied at step", timeout=15_000)
    knob = service.get(f"/v1{running}/knobs").json()["items"][-1]
    assert knob["layers"] == "q.hidden2.weight"
    assert knob["alpha"] == pytest.approx(20 * 10**0.05, rel=0.01)
    watched.expect_clean(service_url)


def reach(page: Page, selector: str) -> None:
    """Tab on until an element has the focus, and is seen to have it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(outline) != "none"
            return
    pytest.fail(f"{selector} cannot be reached")


def test_a_hundred_layers_are_drawn_in_time(
    page: Page, service_url: str, key: str, running: str
) -> None:
    log_in(page, service_url, key, running)
    until(page, "window.alphagrad")
    times = page.evaluate(
        """async () => {
          const base = document.querySelector('link[rel=stylesheet]').href.replace(/[^/]+$/, '');
          const [{ Trace }, { Instrument }] = await Promise.all(
            [import(`${base}trace.js`), import(`${base}instrument.js`)]);
          const layers = Array.from({ length: 100 }, (_, i) => `layer${i}`);
          const steps = Array.from({ length: 2000 }, (_, i) => 5 * i);
          const wave = step => layers.map((_, i) => 0.5 + 0.4 * Math.sin(i + step / 900));
          const rows = steps.map(wave);
          const trace = new Trace();
          trace.take({ layers, steps, alpha: rows, saturation: rows });
          const host = document.createElement('div');
          document.getElementById('trial').append(host);
          const tools = document.createElement('div');
          const options = { onChoose() {}, band: [0.05, 0.25] };
          const figure = new Instrument(host, tools, trace, options);
          return Array.from({ length: 7 }, () => { figure.draw(); return figure.drawn; });
        }"""
    )
    assert min(times) < 100, times


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(
    browser: Browser, service_url: str, key: str, running: str, failed: str, scheme: Any
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = context.new_page()
    watched = Watched(page)
    log_in(page, service_url, key)
    expect(page.locator(".study").first).to_be_visible()
    compare = "/compare?trial=page-live/0&trial=page-markup/0"
    for path in ("/", "/studies/page-live", running, compare, "/submit", "/studies/nothing"):
        page.goto(f"{service_url}{path}")
        page.wait_for_load_state("load")
        expect(page.locator("h1")).to_be_visible()
        until(page, "!document.querySelector('.skeleton')")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    watched.errors = [error for error in watched.errors if "404" not in error]  # the last page is
    watched.expect_clean(service_url)
    context.close()


def test_markup_in_parameters_and_errors_is_text(
    page: Page, service_url: str, key: str, failed: str
) -> None:
    watched = Watched(page)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    log_in(page, service_url, key, "/studies/page-markup/trials/0")
    expect(page.locator("#trial-error")).to_contain_text(failed)
    expect(page.locator("#params")).to_contain_text(failed)
    expect(page.locator("#log")).to_contain_text(failed)
    page.goto(f"{service_url}/studies/page-markup")
    expect(page.locator("#trials")).to_contain_text(failed)
    expect(page.locator("#spec")).to_contain_text(failed)
    page.goto(f"{service_url}/compare?trial=page-markup/0")
    expect(page.locator("#table")).to_contain_text(failed)
    assert page.locator("img").count() == 0
    watched.expect_clean(service_url)


def test_a_server_that_is_gone_is_said_calmly(
    page: Page, service_url: str, key: str, running: str
) -> None:
    log_in(page, service_url, key, running)
    expect(page.locator("#connection")).to_have_text("live")
    until(page, "window.alphagrad")
    page.context.set_offline(True)
    page.evaluate("window.dispatchEvent(new Event('offline'))")
    expect(page.locator("#banner")).to_contain_text("does not answer", timeout=15_000)
    page.context.set_offline(False)
    expect(page.locator("#banner")).to_be_hidden(timeout=15_000)
    steps = page.evaluate("alphagrad.trace.last")
    until(page, f"alphagrad.trace.last > {steps}")


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

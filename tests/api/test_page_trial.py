"""A trial's page in a real browser: the instrument, the knob, a look at a running trial."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.api.browsing import Watched, until
from tests.api.endless import ENDLESS, endless

Wait = Callable[..., Any]
# α of a layer in the first rows and in the last one, as the page holds it.
ENDS = """name => {
  const { trace } = window.alphagrad;
  const layer = trace.layers.indexOf(name);
  return [trace.alpha[0][layer], trace.alphaNow(layer)];
}"""
# Whether a pixel at the threshold of the first histogram has the colour of marks.
MARKED = """([tau, low, high]) => {
  const canvas = document.querySelector('#look canvas');
  const ratio = canvas.width / canvas.clientWidth;
  const share = Math.log(tau / low) / Math.log(high / low);
  const x = Math.round(ratio * (12 + share * (canvas.clientWidth - 24)));
  const pixels = canvas.getContext('2d').getImageData(x - 1, 0, 3, canvas.height).data;
  const found = [];
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i] > 2 * pixels[i + 2] && pixels[i + 3] > 100) found.push(i);
  }
  return found.length > 15;
}"""


@pytest.fixture(scope="module")
def running(service: httpx.Client, wait_for: Wait) -> Iterator[str]:
    """The path of a trial that runs until the module's end."""
    with endless(service, wait_for, "page-trial", alpha=20.0) as path:
        yield path


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
    tab: Page, service: httpx.Client, service_url: str, running: str
) -> None:
    watched = Watched(tab)
    tab.goto(f"{service_url}{running}")
    layer = "q.hidden1.weight"
    box = tab.get_by_label(layer, exact=True)
    box.check()
    expect(tab.locator("#layers-glob")).to_have_value(layer)
    drag(tab, 0.8)
    alpha = float(tab.locator("#alpha-exact").input_value())
    assert alpha > 1000
    tab.locator("[data-action=set]").click()
    command = tab.locator("#knobs li").first
    expect(command).to_contain_text(layer)
    expect(command).to_contain_text(re.compile(r"applied at step [\d,]+"), timeout=15_000)
    (knob,) = service.get(f"/v1{running}/knobs").json()["items"]
    assert (knob["layers"], knob["state"]) == (layer, "applied")
    assert knob["alpha"] == pytest.approx(alpha)
    expect(command).to_contain_text(f"applied at step {knob['step']:,}")
    # The line bends where the command says, that of no other layer does, and saturation answers.
    until(tab, f"alphagrad.trace.last > {knob['step']}")
    first, last = tab.evaluate(ENDS, layer)
    assert (first, last) == (20.0, pytest.approx(alpha, rel=1e-6))
    assert tab.evaluate(ENDS, "q.hidden1.bias") == [20.0, 20.0]
    marks = tab.evaluate("alphagrad.instrument.marks")
    assert marks == [{"step": knob["step"], "label": "1", "applied": True}]
    expect(command).to_contain_text(re.compile(r"saturation \S+ % → \S+ %"), timeout=15_000)
    before, after = re.findall(r"([\d.]+) %", command.inner_text())
    assert float(after) > float(before)
    # It grows without being asked to.
    steps = tab.evaluate("alphagrad.trace.last")
    until(tab, f"alphagrad.trace.last > {steps}")
    expect(tab.locator("#connection")).to_have_text("live")
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


def test_a_hundred_layers_are_drawn_in_time(tab: Page, service_url: str, running: str) -> None:
    tab.goto(f"{service_url}{running}")
    until(tab, "window.alphagrad")
    times = tab.evaluate(
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


def test_somebody_else_turned_the_knob_meanwhile(
    tab: Page, service: httpx.Client, service_url: str, running: str
) -> None:
    url = f"/v1{running}"
    tab.goto(f"{service_url}{running}")
    tab.get_by_label("q.output.weight", exact=True).check()
    tab.get_by_label("α, exactly").fill("30")
    # The page's next look at the commands is held on its way, so that it knows none of the turn
    # that a second client makes.
    held: list[Route] = []
    holding = True
    tab.route("**/knobs", lambda route: held.append(route) if holding else route.continue_())
    with tab.expect_request("**/knobs"):
        pass
    before = service.get(f"{url}/knobs")
    theirs = service.patch(f"{url}/alpha", json={"layers": "q.output.*", "alpha": 77.0})
    assert theirs.status_code == 202
    set_alpha = tab.locator("[data-action=set]")
    with tab.expect_response(lambda answer: answer.request.method == "PATCH") as refused:
        set_alpha.click()
    assert refused.value.status == 412
    assert refused.value.request.headers["if-match"] == before.headers["etag"]
    holding = False
    for route in held:
        route.continue_()
    conflict = tab.locator("#knob-conflict")
    expect(conflict).to_contain_text("Somebody else turned the knob meanwhile")
    expect(conflict).to_contain_text("q.output.* α = 77")
    expect(conflict).to_contain_text("Yours was not sent.")
    expect(tab.locator("#knobs li").first).to_contain_text("q.output.*")
    assert len(service.get(f"{url}/knobs").json()["items"]) == len(before.json()["items"]) + 1
    # Whoever has seen it may send again.
    with tab.expect_response(lambda answer: answer.request.method == "PATCH") as taken:
        set_alpha.click()
    assert taken.value.status == 202
    assert taken.value.request.headers["if-match"] == theirs.headers["etag"]
    expect(conflict).to_be_hidden()
    expect(tab.locator("#knobs li").first).to_contain_text("q.output.weight α = 30")
    tab.unroute_all(behavior="ignoreErrors")


def test_a_look_at_what_the_tanh_receives(
    tab: Page, service: httpx.Client, service_url: str, running: str
) -> None:
    watched = Watched(tab)
    tab.goto(f"{service_url}{running}")
    for layer in ("q.hidden1.weight", "q.output.bias"):
        tab.get_by_label(layer, exact=True).check()
    expect(tab.locator("#look")).to_contain_text("at 2 layers")
    button = tab.get_by_role("button", name="look now")
    button.focus()
    with tab.expect_response("**/alpha/histogram?*") as asked:
        tab.keyboard.press("Enter")
    answer = asked.value.json()
    expect(tab.locator("#look")).to_contain_text(f"Taken at step {answer['step']:,}")
    expect(button).to_be_focused()
    figures = tab.locator("#look figure")
    expect(figures).to_have_count(2)
    figure = tab.locator("#look figure[data-layer='q.hidden1.weight']")
    zeros = answer["zeros"]["q.hidden1.weight"]
    # CartPole has 4 inputs, the first layer 120 units.
    expect(figure).to_contain_text(f"{zeros} of 480 entries" if zeros else "none of 480 entries")
    assert answer["tau"]["q.hidden1.weight"] == 2.5
    expect(figure).to_contain_text("above 2.5")
    assert tab.evaluate(MARKED, [2.5, answer["edges"][0], answer["edges"][-1]])
    watched.expect_clean(service_url)


def test_why_there_is_nothing_to_look_at_is_said(
    tab: Page, service: httpx.Client, service_url: str, wait_for: Wait
) -> None:
    # It learns nothing for days, so its optimizer makes no step.
    params = ENDLESS | {"learning_starts": 10**9 - 1}
    spec = {"name": "page-silent", "task": "dqn", "n_trials": 1, "seed": 1, "params": params}
    assert service.post("/v1/studies", json=spec).status_code == 202
    url = "/v1/studies/page-silent/trials/0"
    wait_for(lambda: service.get(f"{url}/alpha").json().get("layers"))
    tab.goto(f"{service_url}/studies/page-silent/trials/0")
    look = tab.get_by_role("button", name="look now")
    look.click()
    said = tab.locator("#look [role=alert]")
    expect(said).to_contain_text("did not answer within 5 s", timeout=15_000)
    # It ends while the page does not know yet.
    tab.route("**/trials/0", lambda route: None)
    assert service.post("/v1/studies/page-silent:cancel").status_code == 202
    wait_for(lambda: service.get(url).json()["state"] != "RUNNING")
    look.click()
    expect(said).to_contain_text("only a RUNNING trial has gradients to look at")
    tab.unroute_all(behavior="ignoreErrors")


def test_a_server_that_is_gone_is_said_calmly(tab: Page, service_url: str, running: str) -> None:
    tab.goto(f"{service_url}{running}")
    expect(tab.locator("#connection")).to_have_text("live")
    until(tab, "window.alphagrad")
    tab.context.set_offline(True)
    tab.evaluate("window.dispatchEvent(new Event('offline'))")
    expect(tab.locator("#banner")).to_contain_text("does not answer", timeout=15_000)
    tab.context.set_offline(False)
    expect(tab.locator("#banner")).to_be_hidden(timeout=15_000)
    steps = tab.evaluate("alphagrad.trace.last")
    until(tab, f"alphagrad.trace.last > {steps}")

"""The Optuna dashboard in a real browser."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Page, expect

# What Plotly holds of the history plot.
HISTORY = """() => document.getElementById('plot-history').data.map(
  trace => ({mode: trace.mode, name: trace.name, y: Array.from(trace.y)})
)"""


def optuna_id(service: httpx.Client, name: str) -> int:
    studies = service.get("/api/studies").json()["study_summaries"]
    number: int = next(study["study_id"] for study in studies if study["study_name"] == name)
    return number


def test_the_history_plot_shows_every_trial(
    page: Page,
    service: httpx.Client,
    service_url: str,
    key: str,
    finished_study: dict[str, Any],
    tmp_path: Path,
) -> None:
    errors: list[str] = []
    hosts: set[str] = set()
    refused: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on(
        "response",
        lambda answer: (
            refused.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
        ),
    )
    path = f"/dashboard/studies/{optuna_id(service, 'finished')}"
    page.goto(f"{service_url}{path}")
    assert urlsplit(page.url).path == "/login"
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    assert urlsplit(page.url).path == path
    points = page.locator("#plot-history .scatterlayer .point")
    expect(points).to_have_count(4, timeout=30_000)
    traces = page.evaluate(HISTORY)
    trials = service.get("/v1/studies/finished/trials").json()["items"]
    values = [trial["value"] for trial in trials]
    (shown,) = [trace["y"] for trace in traces if trace["mode"] == "markers" and trace["y"]]
    assert shown == values
    assert len(set(values)) > 1
    page.screenshot(path=tmp_path / "dashboard.png")
    assert (tmp_path / "dashboard.png").stat().st_size > 10_000
    if folder := os.environ.get("ALPHAGRAD_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "dashboard.png")
    assert errors == []
    assert refused == []
    assert {host for host in hosts if host} == {urlsplit(service_url).netloc}
    # A write by the page itself, with its cookie, gets nowhere.
    status = page.evaluate("fetch('/api/studies/1', {method: 'DELETE'}).then(a => a.status)")
    assert status == 401
    assert optuna_id(service, "finished")


def test_a_wrong_key_stays_at_the_login_page(page: Page, service_url: str, key: str) -> None:
    page.goto(f"{service_url}/dashboard")
    page.get_by_label("API key").fill(f"{key}-not")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the key.")
    # The page remembers where it was to go.
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{service_url}/dashboard")
    expect(page.get_by_role("button", name="Reload")).to_be_visible(timeout=30_000)


def test_writing_through_the_dashboard_is_refused(
    service: httpx.Client, finished_study: dict[str, Any]
) -> None:
    number = optuna_id(service, "finished")
    for method, path in (
        ("POST", "/api/studies"),
        ("DELETE", f"/api/studies/{number}"),
        ("POST", f"/api/studies/{number}/rename"),
        ("PUT", f"/api/studies/{number}/note"),
        ("POST", "/api/trials/1/tell"),
    ):
        assert service.request(method, path, json={}).status_code == 405
    assert optuna_id(service, "finished") == number

"""Chromium for the tests of pages: what goes wrong in a page is written down."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from playwright.sync_api import Page

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Watched:
    """What a page's console said, where it asked, and what was refused to it.

    A violation of the Content-Security-Policy is an error of the console.

    Args:
        page: the page, before it goes anywhere.
    """

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.dialogs = 0
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self._console(line.type, line.text))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)

    def expect_clean(self, url: str) -> None:
        """No error, and no request to another host (data: URLs have none)."""
        assert self.errors == []
        assert self.hosts - {""} == {urlsplit(url).netloc}


def log_in(page: Page, url: str, key: str, path: str = "/") -> None:
    """Go to a path by way of the login page."""
    page.goto(f"{url}{path}")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{url}{path}")


def until(page: Page, expression: str, *, seconds: float = 15.0) -> None:
    """Wait until JavaScript gives something true.

    Playwright's own ``wait_for_function`` evaluates a string in the page, which ours forbid.
    """
    give_up_at = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < give_up_at, f"not within {seconds} s: {expression}"
        page.wait_for_timeout(50)

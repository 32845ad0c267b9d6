"""The documentation as a site: it builds without a warning, and asks nobody else for anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs_pages import DOCS, PAGES, ROOT


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=source,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_built_and_in_the_navigation(site: Path) -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    for page in PAGES:
        assert (site / f"{page.stem}.html").exists()
        assert len(re.findall(rf": {re.escape(page.name)}$", navigation, flags=re.M)) == 1, page


def test_what_is_broken_fails_the_build(tmp_path: Path) -> None:
    for name in ("docs", "examples", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    docs = tmp_path / "docs"
    (docs / "python.md").write_text("# Python\n", encoding="utf-8")  # it takes half of the time
    (docs / "alone.md").write_text("# In no navigation\n", encoding="utf-8")
    with (docs / "faq.md").open("a", encoding="utf-8") as page:
        page.write("\n[to no page](nowhere.md), [to no heading](api.md#nowhere)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "'nowhere.md', but the target is not found" in done.stderr
    assert "'api.md#nowhere', but the doc 'api.md' does not contain an anchor" in done.stderr
    assert 'not included in the "nav" configuration' in done.stderr
    assert "Aborted with 3 warnings in strict mode" in done.stdout + done.stderr


class Loaded(HTMLParser):
    """The addresses that a browser fetches for a page by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        wanted = ["src", "srcset", "data", "poster"] + (["href"] if tag == "link" else [])
        self.found += [value for name in wanted if (value := given.get(name))]
        self.found += re.findall(r"url\(([^)]+)\)", given.get("style") or "")


def test_a_page_fetches_nothing_from_other_hosts(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    fetched: set[str] = set()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = Loaded()
        loaded.feed(text)
        styles = re.findall(r"<style>(.*?)</style>", text, flags=re.DOTALL)
        fetched |= {*loaded.found, *re.findall(r"url\(([^)]+)\)", "".join(styles))}
    for sheet in site.rglob("*.css"):
        fetched |= set(
            re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")]+)", sheet.read_text("utf-8"))
        )
    assert any(address.endswith(".css") for address in fetched)
    assert "figures/page_trial.png" in fetched
    foreign = {one for one in fetched if urlsplit(one).netloc and urlsplit(one).scheme != "data"}
    assert foreign == set()


def test_the_pictures_are_whole_in_themselves(site: Path) -> None:
    for picture in site.rglob("*.svg"):
        text = picture.read_text(encoding="utf-8")
        assert not re.search(r"(href|src)=\"(https?:)?//|@import|url\(['\"]?http", text), picture


def test_the_examples_are_shown_whole(site: Path) -> None:
    page = (site / "examples.html").read_text(encoding="utf-8")
    shown = unescape(re.sub(r"<[^>]+>", "", page))
    source = (DOCS / "examples.md").read_text(encoding="utf-8")
    scripts = sorted(path.name for path in (ROOT / "examples").iterdir() if path.suffix == ".py")
    assert len(scripts) >= 4
    for name in scripts:
        assert f"| [`{name}`](#" in source
        assert (ROOT / "examples" / name).read_text(encoding="utf-8").strip() in shown

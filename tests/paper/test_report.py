"""The committed report is what the committed results give, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from alphagrad.paper.plan import load_plan, plan_files
from alphagrad.paper.report import write_report
from alphagrad.paper.results import Results

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "paper.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report, made anew."""
    page = tmp_path_factory.mktemp("docs") / "paper.md"
    (page.parent / "figures").mkdir()
    measured = page.parent / "figures" / "rl.json"
    measured.write_bytes((ROOT / "docs" / "figures" / "rl.json").read_bytes())
    plans = {name: load_plan(path) for name, path in plan_files().items()}
    write_report(plans, Results(ROOT / "studies" / "paper" / "results"), page)
    return page


def test_the_page_is_remade(made: Path) -> None:
    assert made.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_every_figure_is_remade_and_shown(made: Path) -> None:
    fresh = {path.name: path.read_bytes() for path in (made.parent / "figures/paper").iterdir()}
    kept = {path.name: path.read_bytes() for path in (ROOT / "docs/figures/paper").iterdir()}
    assert fresh == kept
    page = made.read_text(encoding="utf-8")
    assert all(f"(figures/paper/{name})" in page for name in fresh)

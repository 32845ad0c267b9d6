"""The pages of the documentation, and what is in their blocks of code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def read(name: str) -> str:
    """The text of a page."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The blocks of code in one language, in the order of the page."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", read(name), flags=re.MULTILINE | re.DOTALL)
    return [code for kind, code in found if kind == language]

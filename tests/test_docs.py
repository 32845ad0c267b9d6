"""Nothing a user can set, call or type is undocumented."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

import alphagrad.scheduler
from alphagrad.api import studies, tasks, trials
from alphagrad.api.settings import ApiSettings
from alphagrad.cli import app
from alphagrad.optim import AlphaGrad
from alphagrad.tuner import StudySpec, task_names

ROOT = Path(__file__).parent.parent


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", ApiSettings.model_fields)
def test_settings_are_documented(setting: str) -> None:
    assert f"| `ALPHAGRAD_{setting.upper()}` |" in text("docs/settings.md")


@pytest.mark.parametrize("field", StudySpec.model_fields)
def test_study_fields_are_documented(field: str) -> None:
    assert f"| `{field}` |" in text("docs/api.md")


def test_routes_are_documented() -> None:
    page = text("docs/api.md")
    routers = (tasks.router, studies.router, trials.router)
    routes = [r for router in routers for r in router.routes if isinstance(r, APIRoute)]
    assert len(routes) == 18
    for route in routes:
        method = next(iter(route.methods or ()))
        assert f"| `{method} {route.path}` |" in page


def test_commands_are_documented() -> None:
    pages = text("README.md") + text("CHANGELOG.md")
    names = [c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands]
    assert len(names) == 16
    for name in names:
        assert re.search(rf"(alphagrad |`){name}\b", pages), name


@pytest.mark.parametrize("name", task_names())
def test_tasks_are_documented(name: str) -> None:
    assert f"| `{name}` |" in text("docs/tasks.md")


@pytest.mark.parametrize("argument", list(inspect.signature(AlphaGrad).parameters))
def test_the_optimizers_arguments_are_documented(argument: str) -> None:
    assert f"| `{argument}` |" in text("docs/optimizer.md")


@pytest.mark.parametrize("name", alphagrad.scheduler.__all__)
def test_schedulers_are_documented(name: str) -> None:
    assert f"`{name}`" in text("docs/schedulers.md") or f"{name}(" in text("docs/schedulers.md")


EXAMPLES = [
    pytest.param(code, id=f"{page.name}-{i}")
    for page in sorted((ROOT / "docs").glob("*.md"))
    for i, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), flags=re.M | re.S)
    )
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_examples_in_the_docs_run(code: str, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"

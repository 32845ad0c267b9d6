"""Nothing a user can set, call or type is undocumented."""

from __future__ import annotations

import inspect
import json
import re
import runpy
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

import alphagrad.scheduler
from alphagrad.api.app import create_app
from alphagrad.api.settings import ApiSettings
from alphagrad.cli import app as command_line
from alphagrad.cli_app import EXIT_CODES
from alphagrad.cli_data import db
from alphagrad.optim import AlphaGrad
from alphagrad.tuner import StudySpec, parse_spec, task_names
from alphagrad.tuner.advice import spec_warnings
from alphagrad.tuner.events import KINDS
from alphagrad.tuner.pruners import PrunerSpec
from alphagrad.tuner.samplers import SamplerSpec
from alphagrad.tuner.space import CategoricalDimension, FloatDimension, IntDimension

ROOT = Path(__file__).parent.parent


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", ApiSettings.model_fields)
def test_settings_are_documented(setting: str) -> None:
    assert f"| `ALPHAGRAD_{setting.upper()}` |" in text("docs/settings.md")


@pytest.mark.parametrize("field", StudySpec.model_fields)
def test_study_fields_are_documented(field: str) -> None:
    assert f"| `{field}` |" in text("docs/studies.md")


@pytest.mark.parametrize(
    "kind", [*get_args(get_args(SamplerSpec)[0]), *get_args(get_args(PrunerSpec)[0])]
)
def test_samplers_and_pruners_are_documented(kind: type[BaseModel]) -> None:
    page = text("docs/studies.md")
    fields = dict(kind.model_fields)
    (name,) = get_args(fields.pop("type").annotation)
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    section = page.partition("### Saturation")[2].partition("\n## ")[0]
    for option, field in fields.items():
        if name == "saturation":
            row = next(line for line in section.splitlines() if line.startswith(f"| `{option}` |"))
        assert f"`{option}`" in row
        if isinstance(field.default, int | float):
            shown = json.dumps(field.default).removesuffix(".0")
            assert re.search(rf"`{option}`[^`]*(\(|\| ){re.escape(shown)}\b", row), (row, shown)


@pytest.mark.parametrize("kind", [FloatDimension, IntDimension, CategoricalDimension])
def test_dimensions_are_documented(kind: type[BaseModel]) -> None:
    section = text("docs/studies.md").partition("## Dimensions")[2].partition("\n## ")[0]
    (name,) = get_args(kind.model_fields["type"].annotation)
    row = next(line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
    for field in set(kind.model_fields) - {"type", "when"}:
        assert f"`{field}`" in row
    assert "`when = " in section


def test_study_files_in_the_docs_are_valid() -> None:
    (study,) = re.findall(r"^```toml\n(.*?)^```", text("docs/studies.md"), flags=re.M | re.S)
    spec = parse_spec(tomllib.loads(study))
    assert spec_warnings(spec) == []


def test_routes_are_documented(tmp_path: Path) -> None:
    page = text("docs/api.md")
    app = create_app(ApiSettings(home=tmp_path))
    paths = app.openapi()["paths"]
    routes = [f"{method.upper()} {path}" for path, item in paths.items() for method in item]
    assert len(routes) > 20
    undocumented = [route for route in routes if f"| `{route}` |" not in page]
    assert undocumented == []


def test_events_are_documented() -> None:
    section = text("docs/events.md").partition("## Kinds")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    documented = {row[0].strip("| `"): tuple(re.findall(r"`(\w+)`", row[1])) for row in rows}
    assert documented == KINDS


def test_the_page_of_the_commands_is_what_they_say() -> None:
    """``make docs-cli`` writes it."""
    page = runpy.run_path(str(ROOT / "scripts" / "docs_cli.py"))["page"]()
    assert text("docs/cli.md") == page
    names = [
        c.name or getattr(c.callback, "__name__", "") for c in command_line.registered_commands
    ]
    for name in names:
        assert f"### `alphagrad {name}`" in page
    for code in EXIT_CODES:
        assert f"| {code} |" in page


def test_commands_of_the_database_are_documented() -> None:
    names = [c.name or getattr(c.callback, "__name__", "") for c in db.registered_commands]
    assert len(names) == 5
    for name in names:
        assert f"alphagrad db {name}" in text("docs/storage.md")


@pytest.mark.parametrize("name", task_names())
def test_tasks_are_documented(name: str) -> None:
    assert f"| `{name}` |" in text("docs/tasks.md")


@pytest.mark.parametrize("argument", list(inspect.signature(AlphaGrad).parameters))
def test_the_optimizers_arguments_are_documented(argument: str) -> None:
    assert f"| `{argument}` |" in text("docs/optimizer.md")


@pytest.mark.parametrize("name", alphagrad.scheduler.__all__)
def test_schedulers_are_documented(name: str) -> None:
    assert f"`{name}`" in text("docs/schedulers.md") or f"{name}(" in text("docs/schedulers.md")


@pytest.mark.parametrize(
    "package", ["alphagrad.optim", "alphagrad.scheduler", "alphagrad.tuner", "alphagrad.client"]
)
def test_what_can_be_imported_is_documented(package: str) -> None:
    page = text("docs/python.md")
    shown = {*re.findall(rf"^::: {re.escape(package)}\.(\w+)$", page, flags=re.MULTILINE)}
    public = set(import_module(package).__all__)
    assert shown <= public
    in_words = {*re.findall(r"`(\w+)`", page), *re.findall(r"`(Async\w+)`", text("docs/client.md"))}
    named = {"SKIP_REASONS", "AsyncStudy", "AsyncTrial"}  # of `skipped()`; as Study and Trial
    assert public - shown - in_words - named == set()


def test_callbacks_are_documented() -> None:
    modules = sorted(path.stem for path in (ROOT / "scheduler").glob("callbacks_*.py"))
    assert len(modules) == 4
    for module in modules:
        assert f"::: alphagrad.scheduler.{module}." in text("docs/python.md")
        assert f"from alphagrad.scheduler.{module} import" in text("docs/schedulers.md")


def test_metrics_for_prometheus_are_documented() -> None:
    code = text("api/prometheus.py")
    names = set(re.findall(r'"(alphagrad_[a-z_]*[a-z])"', code))
    assert len(names) > 7
    assert {name for name in names if f"`{name}`" not in text("docs/api.md")} == set()


EXAMPLES = [
    pytest.param(code, id=f"{page.name}-{i}")
    for page in sorted((ROOT / "docs").glob("*.md"))
    if page.name not in ("client.md", "tutorial.md")  # these need a server: tests of their own
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

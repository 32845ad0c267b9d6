"""`alphagrad plot`: from a trace in CSV to heat maps."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from alphagrad.cli import app
from alphagrad.optim import AlphaGrad
from alphagrad.plot import MOST_STEPS, draw, draw_columns, read_trace
from alphagrad.scheduler import SaturationScheduler
from alphagrad.scheduler.trace_writer import AlphaTraceWriter
from tests.conftest import need


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A real trace of 40 steps on two layers, one of them skipped at step 3."""
    torch.manual_seed(0)
    params = {"w": torch.zeros(400, requires_grad=True), "b": torch.zeros(9, requires_grad=True)}
    optimizer = AlphaGrad(params.items(), alpha=900.0)
    SaturationScheduler(optimizer, start="keep").attach()
    path = tmp_path / "trace.csv"
    AlphaTraceWriter(optimizer, path).attach()
    for step in range(1, 41):
        for p in params.values():
            p.grad = torch.randn_like(p)
        if step == 3:
            params["b"].grad = torch.zeros(9)
        optimizer.step()
    return path


def test_the_heat_maps_hold_what_was_measured(trace: Path) -> None:
    steps, layers, alphas, saturations = read_trace(trace)
    assert steps == list(range(1, 41))
    assert layers == ["w", "b"]
    assert alphas[0][0] == 900.0
    assert alphas[0][-1] < 100.0
    assert math.isnan(saturations[1][2])
    assert 0 <= saturations[0][-1] <= 0.3
    above, below = draw(trace).data
    assert [10**value for value in above.z[0]] == pytest.approx(alphas[0])
    assert list(below.z[0]) == saturations[0]


@pytest.mark.parametrize("suffix", [".html", ".png", ".svg"])
def test_the_command_writes_a_picture(trace: Path, suffix: str) -> None:
    if suffix != ".html" and not any(map(shutil.which, ("chromium", "google-chrome"))):
        need("Chromium")
    target = trace.with_suffix(suffix)
    done = CliRunner().invoke(app, ["plot", str(trace), "--out", str(target)])
    assert done.exit_code == 0, done.output
    content = target.read_bytes()
    assert len(content) > 10_000
    if suffix == ".html":
        assert re.search(rb"optimizer step", content)
    if suffix == ".png":
        assert content.startswith(b"\x89PNG")


def test_a_trace_without_any_alpha_is_drawn_by_its_saturation() -> None:
    columns: dict[str, list[Any]] = {"step": [1, 2], "alpha/w": [None] * 2}
    columns["saturation/w"] = [0.25, 0.5]
    above, below = draw_columns(columns, title="s, trial 0").data
    assert all(math.isnan(value) for value in above.z[0])
    assert list(below.z[0]) == [0.25, 0.5]


def test_a_long_trace_is_thinned_evenly(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    rows = [f"{step},w,{step + 1},0.1" for step in range(10_000)]
    path.write_text("\n".join(["step,layer,alpha,saturation", *rows]), encoding="utf-8")
    steps = read_trace(path)[0]
    assert len(steps) == MOST_STEPS
    assert steps[:3] == [0, 5, 10]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "must have"),
        ("step,layer,alpha,saturation\n", "no lines"),
        ("step,layer,alpha,saturation\n1,w,much,0.1\n", "line 2: could not convert"),
    ],
)
def test_a_bad_trace_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=f"Invalid trace .*bad.csv.*{message}"):
        read_trace(path)
    done = CliRunner().invoke(app, ["plot", str(path)])
    assert done.exit_code == 2
    assert "Invalid trace" in done.output


def test_without_chrome_an_html_file_is_proposed(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nonexistent")
    done = CliRunner().invoke(app, ["plot", str(trace), "--out", str(trace.with_suffix(".svg"))])
    assert done.exit_code == 2
    assert "Chromium" in done.output


@pytest.mark.parametrize("name", [".", "/", ""])
def test_what_is_no_file_is_said_to_be_none(name: str) -> None:
    done = CliRunner().invoke(app, ["plot", name])
    assert done.exit_code == 2
    assert "there is no file" in done.output


def test_an_unknown_kind_of_picture_is_refused(trace: Path) -> None:
    done = CliRunner().invoke(app, ["plot", str(trace), "--out", "x.gif"])
    assert done.exit_code == 2
    assert ".html, .png, .svg" in done.output

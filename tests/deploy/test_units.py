"""systemd's units, the scripts, and what of the repository an image is built from."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import ray.autoscaler
from jsonschema import Draft202012Validator

from alphagrad.api.settings import ApiSettings
from alphagrad.secret import SUFFIX
from tests.deploy.files import ROOT, load, program, run

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
SCRIPTS = [
    *(ROOT / "deploy" / "ray" / name for name in ("head", "node")),
    ROOT / "deploy" / "make-secrets",
    ROOT / "deploy" / "slurm" / "workers.sbatch",
    ROOT / "scripts" / "check-image",
]
INSTALLED = "/opt/alphagrad/venv/bin/alphagrad"


def verify(unit: Path, folder: Path, old: str = INSTALLED, new: str = INSTALLED) -> tuple[int, str]:
    """What systemd says of a unit, its program found here and one thing replaced in it."""
    text = unit.read_text(encoding="utf-8")
    assert old in text
    copy = folder / unit.name
    copy.write_text(text.replace(old, new, 1).replace(INSTALLED, sys.executable))
    done = run(program("systemd-analyze"), "verify", copy)
    return done.returncode, done.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_a_unit(unit: Path, tmp_path: Path) -> None:
    assert verify(unit, tmp_path) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_a_planted_error(unit: Path, tmp_path: Path) -> None:
    _, said = verify(unit, tmp_path, "ProtectHome=", "ProtectHouse=")
    assert "ProtectHouse" in said
    code, said = verify(unit, tmp_path, INSTALLED, "/nowhere/alphagrad")
    assert code != 0
    assert "/nowhere/alphagrad" in said


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_as_hardened_as_it_was(unit: Path) -> None:
    done = run(
        program("systemd-analyze"),
        "security",
        "--offline=true",
        "--no-pager",
        "--threshold=20",
        unit,
    )
    assert done.returncode == 0, done.stdout[-300:]  # exposure 2.0 of 10 at most


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_units_variables_are_settings(unit: Path) -> None:
    known = {f"ALPHAGRAD_{name.upper()}" for name in ApiSettings.model_fields}
    found = set(re.findall(r"\b(ALPHAGRAD_\w+)=", unit.read_text(encoding="utf-8")))
    assert found
    assert {name.removesuffix(SUFFIX) for name in found} <= known


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound(script: Path) -> None:
    done = run(program("shellcheck"), script)
    assert done.returncode == 0, done.stdout
    if script.suffix != ".sbatch":
        assert script.stat().st_mode & stat.S_IXUSR


def test_secrets_are_made_once_and_are_not_for_others(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    maker = ROOT / "deploy" / "make-secrets"
    first = run(maker, folder)
    assert first.returncode == 0, first.stdout
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    made = {path.name: path.read_text().strip() for path in folder.iterdir()}
    wanted = set(load(ROOT / "docker-compose.yml")["secrets"]) - {"metrics_key"}
    assert made.keys() == wanted
    assert len({len(value) for value in made.values()}) == 2
    assert made["postgres_password"] in made["database_url"]
    assert len(set(made.values())) == len(made)
    second = run(maker, folder)
    assert "made /" in first.stdout
    assert "made /" not in second.stdout
    assert made == {path.name: path.read_text().strip() for path in folder.iterdir()}


@pytest.mark.parametrize("script", ["head", "node"])
def test_ray_does_not_start_without_tokens(script: str) -> None:
    done = run(ROOT / "deploy" / "ray" / script, RAY_AUTH_MODE="disabled", RAY_HEAD="localhost:1")
    assert done.returncode == 2
    assert "RAY_AUTH_MODE must be 'token'" in done.stdout


def test_rays_cluster_file_keeps_rays_schema() -> None:
    schema = json.loads((Path(ray.autoscaler.__path__[0]) / "ray-schema.json").read_text())
    cluster = load(ROOT / "deploy" / "ray" / "cluster.yaml")
    validator = Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(cluster)] == []
    assert list(validator.iter_errors(cluster | {"head_start_ray_command": []}))
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert "RAY_AUTH_MODE=token" in cluster[key][1]


def test_the_image_is_built_from_all_that_the_package_needs(tmp_path: Path) -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = set(project["tool"]["setuptools"]["package-dir"].values())
    assert folders | {"pyproject.toml", "constraints.txt", project["project"]["readme"]} <= kept
    # What the ignore file lets through is enough for the package to be made of.
    for name in kept:
        for path in ROOT.glob(name):
            if path.is_dir():
                shutil.copytree(path, tmp_path / path.name, symlinks=True)
            else:
                shutil.copy2(path, tmp_path)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import setuptools; setuptools.setup()",
            "--quiet",
            "build_py",
            "--build-lib=lib",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lib" / "alphagrad" / "api" / "templates" / "login.html").exists()


def test_the_dockerfile_is_locked_and_without_rights() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert len(installs) == 3
    assert all("--constraint constraints.txt" in one or "--no-deps" in one for one in installs)
    assert re.findall("^USER (.*)$", text, re.MULTILINE) == ["1000:1000"]
    assert "HEALTHCHECK" in text

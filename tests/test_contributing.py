"""What the pages for contributors and the forms name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.* ## ", MAKEFILE, flags=re.MULTILINE))


def test_every_file_that_contributors_are_sent_to_exists() -> None:
    named = re.findall(r"`((?:[\w.]+/)+[\w.]*|[\w.]+\.(?:md|toml|txt))`", PAGE)
    assert len(named) > 20
    for name in named:
        assert "NNNN" in name or (ROOT / name).exists(), name


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", "docs/reliability.md"])
def test_every_make_target_that_is_named_exists(page: str) -> None:
    named = re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert named
    assert set(named) <= TARGETS


def test_every_command_of_make_is_phony_and_listed() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)
    assert set(phony.split()) >= TARGETS


def test_the_hooks_are_programs_of_the_environment_and_no_second_list_of_versions() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (repository,) = config["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        command = hook["entry"].removeprefix(".venv/bin/").replace(" --force-exclude", "")
        assert f"/{command}" in MAKEFILE or f"/{hook['name']} --check" in MAKEFILE, hook["entry"]


def test_issue_forms_have_fields_and_the_workflow_runs_what_ci_runs() -> None:
    forms = [f for f in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if f.stem != "config"]
    assert {form.stem for form in forms} == {"bug", "feature", "question"}
    for form in forms:
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        ids = [field["id"] for field in content["body"]]
        assert len(set(ids)) == len(ids) > 0
    workflow = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["check"]["steps"][-1] == {"run": ".ci/run"}

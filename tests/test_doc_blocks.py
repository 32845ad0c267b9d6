"""Blocks of code in the documentation: commands are ours as they stand there, files are valid."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from alphagrad.cli import app
from alphagrad.tuner import parse_spec
from alphagrad.tuner.advice import spec_warnings
from tests.docs_pages import PAGES, ROOT, blocks, read

COMMAND = re.compile(r"(?:^|[$&;(!] ?|until |while )\balphagrad ([^|&;)#\n]*)", re.MULTILINE)
SHELL = [page.name for page in PAGES if blocks(page.name, "sh") or blocks(page.name, "console")]


def commands(page: str) -> list[list[str]]:
    """The arguments of every command of ours on a page."""
    shown = "\n".join([*blocks(page, "sh"), *blocks(page, "console")])
    return [shlex.split(re.sub(r" >.*", "", found)) for found in COMMAND.findall(shown)]


def parse(arguments: list[str]) -> None:
    """Let the command line read the arguments, and do nothing."""
    command = typer.main.get_command(app)
    context = command.context_class(command, info_name="alphagrad")
    while isinstance(command, TyperGroup):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command, context = found, found.context_class(found, parent=context, info_name=name)
    command.make_context(context.info_name, list(arguments), parent=context.parent)


@pytest.mark.parametrize("page", SHELL)
def test_commands_are_as_they_are_shown(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in commands(page):
        for argument in arguments:
            if argument.endswith((".toml", ".csv")):
                (tmp_path / argument).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / argument).touch()  # a file of the reader's
        parse(arguments)


def test_a_wrong_option_would_be_found() -> None:
    assert ["worker", "--slots", "4"] in commands("many-machines.md")
    assert sum(len(commands(page)) for page in SHELL) >= 30
    with pytest.raises(Exception, match="No such option"):
        parse(["worker", "--slot", "4"])
    with pytest.raises(Exception, match="No such command"):
        parse(["db", "upgrad"])


@pytest.mark.parametrize("page", [page.name for page in PAGES if blocks(page.name, "sh")])
def test_shell_blocks_can_be_read_by_a_shell(page: str) -> None:
    for code in blocks(page, "sh"):
        done = subprocess.run(["bash", "-n"], input=code, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), code


@pytest.mark.parametrize("page", [page.name for page in PAGES if blocks(page.name, "py")])
def test_python_that_is_not_run_can_be_read(page: str) -> None:
    for code in blocks(page, "py"):
        if not code.startswith("--8<--"):
            compile(code, page, "exec")
            for module in re.findall(r"^from (alphagrad\S*) import", code, flags=re.MULTILINE):
                import_module(module)


@pytest.mark.parametrize("page", [page.name for page in PAGES if blocks(page.name, "toml")])
def test_tables_can_be_read_and_studies_are_valid(page: str) -> None:
    for text in blocks(page, "toml"):
        table = tomllib.loads(text)
        if "name" in table:
            assert spec_warnings(parse_spec(table)) == []


def test_upgrading_does_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHAGRAD_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shown = ""
    for arguments in [["db", "upgrade"], *commands("upgrade.md")]:
        done = subprocess.run(
            [sys.executable, "-m", "alphagrad", *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        shown += done.stdout
    assert (tmp_path / "copy.db").stat().st_size > 0
    assert shown.endswith("nothing is wrong\n")


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_tests_that_are_named_exist(page: str) -> None:
    for path, name in re.findall(r"`(tests(?:_gpu)?/[\w/.]+\.py)(?:::(\w+))?`", read(page)):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not name or f"\ndef {name}(" in text, (path, name)


def test_the_faq_names_issue_and_test_in_every_answer() -> None:
    answers = read("faq.md").split("\n## ")[1:]
    about_others = [answer for answer in answers if "https://github.com/" in answer]
    assert len(about_others) > 10
    for answer in about_others:
        assert re.search(r"\* Tests?: `tests/", answer), answer.partition("\n")[0]
    for label, kind, number in re.findall(
        r"\[[\w./-]*#(\d+)\]\(https://github.com/[\w.-]+/[\w.-]+/(issues|pull)/(\d+)\)",
        read("faq.md"),
    ):
        assert label == number, kind
    assert read("faq.md").count("](https://github.com/") > 30
    short = re.findall(r"([\w./-]+)#\d+\]\((https://github.com/([\w.-]+/[\w.-]+)/)", read("faq.md"))
    assert all(name == repository for name, _, repository in short)

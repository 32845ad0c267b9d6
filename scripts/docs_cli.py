#!/usr/bin/env python3
"""Writes docs/cli.md from the commands themselves; a test compares the two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import typer.main

from alphagrad.cli import app
from alphagrad.cli_app import EXIT_CODES, SERVICE, STEERING, STUDIES, TRIALS

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
INTRODUCTION = Path(__file__).parent / "docs_cli.md"
SHARED = ("url", "home", "database_url", "as_json")
"""Options that most commands have; they are explained once."""


def page() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(app)
    commands = dict(_commands(root, "alphagrad"))
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    shared = {o.name: o for c in commands.values() for o in c.params if _is_shared(o)}
    parts = [
        INTRODUCTION.read_text("utf-8").rstrip(),
        f"## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}",
        "## Options that most commands have\n\n"
        + _table(["option", "meaning"], [_option(shared[name]) for name in SHARED]),
    ]
    for panel in (STUDIES, STEERING, TRIALS, SERVICE):
        parts.append(f"## {panel}")
        parts += [_section(name, c) for name, c in commands.items() if _panel(root, name) == panel]
    return "\n\n".join(parts) + "\n"


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


def _panel(root: Any, name: str) -> Any:
    return root.commands[name.split()[1]].rich_help_panel


def _is_shared(option: Any) -> bool:
    """Whether it is one of those; a folder that has a default is a command's own."""
    return option.name in SHARED and not (option.name == "home" and option.default)


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [
        p
        for p in command.params
        if p.param_type_name == "option" and not (p.hidden or p.name == "help" or _is_shared(p))
    ]
    has = [p.opts[0] for p in command.params if _is_shared(p)]
    usage = " ".join([name, *(_place(a) for a in arguments), "[OPTIONS]"])
    text = [f"### `{name}`", f"    {usage}", _words(command.help)]
    rows = [(f"`{_place(a)}`", _meaning(a)) for a in arguments if a.help]
    rows += [_option(option) for option in options]
    if rows:
        text.append(_table(["argument or option", "meaning"], rows))
    if has:
        text.append("Also " + ", ".join(f"`{flag}`" for flag in has) + ".")
    return "\n\n".join(text)


def _place(argument: Any) -> str:
    word = argument.metavar or argument.name.upper()
    word += "..." if argument.nargs == -1 and not argument.metavar else ""
    return word if argument.required or word.startswith("[") else f"[{word}]"


def _option(option: Any) -> tuple[str, str]:
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    return flags, _meaning(option)


def _meaning(option: Any) -> str:
    context = typer.Context(typer.main.get_command(app))
    notes = [_words(option.help)]
    if choices := option.type_descriptor.choices:
        notes.append("One of " + ", ".join(f"`{choice}`" for choice in choices) + ".")
    default = option.get_default(context)
    if isinstance(option.show_default, str):
        notes.append(f"Default: {option.show_default}.")
    elif default is not None and default is not False and default != ():
        notes.append(f"Default: `{str(default).lower() if default is True else default}`.")
    return " ".join(notes)


def _words(text: str | None) -> str:
    """A help text as Markdown: one line, a single backquote for code."""
    return re.sub(r"\s+", " ", text or "").replace("``", "`").replace("|", "\\|").strip()


def _table(head: list[str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

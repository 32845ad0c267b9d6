"""docs/security.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphagrad.api import key_store
from alphagrad.api.auth import OPEN_PATHS
from alphagrad.api.body_limit import BODY_SECONDS
from alphagrad.api.principal import ROLES
from alphagrad.api.roles import ADMINS
from alphagrad.api.settings import ApiSettings
from alphagrad.cli_keys import keys
from alphagrad.tuner.database import Database

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of a section's table, its head first."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    cells = [row.strip("|").split("|") for row in rows if "---" not in row]
    return [[cell.strip() for cell in row] for row in cells]


EXAMPLES: dict[str, list[tuple[str, str]]] = {
    "`GET`, `HEAD`": [("GET", "/v1/studies"), ("HEAD", "/dashboard"), ("GET", "/openapi.json")],
    "any other method": [
        ("POST", "/v1/studies"),
        ("PATCH", "/v1/studies/none"),
        ("DELETE", "/v1/studies/none"),
        ("PUT", "/nothing"),
        ("POST", "/v1/studies/none/trials:ask"),
    ],
    "any other method on a study that another key submitted": [
        ("PATCH", "/v1/studies/of-another-key"),
        ("DELETE", "/v1/studies/of-another-key"),
        ("POST", "/v1/studies/of-another-key/trials/0:tell"),
    ],
    "anything below `/v1/webhooks` and `/v1/audit`": [
        (method, path) for method in ("GET", "POST", "DELETE") for path in ADMINS
    ],
    "`POST /logout`": [("POST", "/logout")],
}


@pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)
def test_the_table_of_roles_is_what_happens(
    api: httpx.Client, anonymous: httpx.Client, state: Database
) -> None:
    head, *rows = table("Roles")
    assert tuple(head[1:]) == ROLES
    spec = {"name": "of-another-key", "task": "digits", "n_trials": 1}
    assert api.post("/v1/studies", json=spec).status_code == 202
    assert [row[0] for row in rows] == list(EXAMPLES)
    holders = {role: key_store.make_key(state, f"docs-{role}", role=role) for role in ROLES}
    for what, *words in rows:
        for method, path in EXAMPLES[what]:
            for role, word in zip(ROLES, words, strict=True):
                headers = {"Authorization": f"Bearer {holders[role]}"}
                refused = anonymous.request(method, path, headers=headers).status_code == 403
                assert refused == {"yes": False, "no": True}[word], (method, path, role)


def test_open_paths_and_admins_paths_are_named() -> None:
    first = PAGE.partition("\n## Keys")[0]
    for path in OPEN_PATHS:
        assert f"`{path}`" in first
    for path in ADMINS:
        assert f"`{path}`" in table("Roles")[4][0]


def default(setting: str) -> Any:
    return ApiSettings.model_fields[setting].default


def test_limits_are_the_settings() -> None:
    rows = {row[0]: " | ".join(row[1:]) for row in table("Quotas and limits")[1:]}
    assert f"_STUDIES`, {default('quota_open_studies')};" in rows["open studies"]
    assert default("quota_running_trials") is None
    other = ApiSettings(host="0.0.0.0").request_limit
    assert f"{other:,}; {ApiSettings().request_limit:,} on loopback" in rows["requests a minute"]
    wrong = default("wrong_keys_per_minute")
    assert f"{wrong}; loopback {wrong * 60}" in rows["different wrong keys a minute"]
    assert default("max_body_bytes") == 1 << 20
    assert "1 MiB" in rows["bytes of a body"]
    assert f"| {BODY_SECONDS:.0f} |" in rows["seconds for a body to come"]
    assert f"{default('audit_days'):.0f} days by default" in PAGE.replace("\n", " ")


def test_every_command_and_its_options_are_named() -> None:
    pages = PAGE
    for command in keys.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "")
        assert f"alphagrad keys {name}" in pages


@pytest.mark.parametrize("kind", sorted(set(re.findall(r"\d{3} `([a-z-]+)`", PAGE))))
def test_every_kind_of_problem_is_one_of_the_codes(kind: str) -> None:
    sources = (Path(__file__).parents[2] / "api").glob("*.py")
    assert any(f'"{kind}"' in source.read_text(encoding="utf-8") for source in sources)

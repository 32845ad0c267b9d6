"""docs/own-script.md: the script that asks for trials runs a study of the page to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

from tests.docs_pages import blocks


@pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)
def test_a_remote_trial_as_the_page_shows_it(
    api: httpx.Client, server_url: str, key: str, tmp_path: Path
) -> None:
    (study,) = (text for text in blocks("own-script.md", "toml") if "by-hand" in text)
    (script,) = blocks("own-script.md", "py")
    assert api.post("/v1/studies", json=tomllib.loads(study)).status_code == 202
    file = tmp_path / "script.py"
    file.write_text(script, encoding="utf-8")
    subprocess.run(
        [sys.executable, str(file)],
        env=os.environ | {"ALPHAGRAD_URL": server_url, "ALPHAGRAD_API_KEY": key},
        cwd=tmp_path,
        timeout=120,
        check=True,
    )
    found = api.get("/v1/studies/by-hand").json()
    assert (found["state"], found["trials"]) == ("COMPLETED", {"COMPLETE": 4})

"""Secrets of the settings, from files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from alphagrad.api.settings import ApiSettings
from alphagrad.secret import SUFFIX
from alphagrad.tuner.errors import SettingsError
from alphagrad.tuner.secret_files import is_secret
from alphagrad.tuner.settings import TunerSettings

ROOT = Path(__file__).parent.parent.parent
URL = "postgresql://alphagrad:hunter2-of-postgres@db/alphagrad"


@pytest.fixture(autouse=True)
def no_secrets_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in secrets():
        monkeypatch.delenv(f"ALPHAGRAD_{name.upper()}", raising=False)
        monkeypatch.delenv(f"ALPHAGRAD_{name.upper()}{SUFFIX}", raising=False)


def secrets() -> list[str]:
    fields = ApiSettings.model_fields.items()
    return [name for name, field in fields if is_secret(field.annotation)]


def test_every_secret_may_come_from_a_file_and_is_documented() -> None:
    assert secrets() == ["database_url", "api_key"]
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in secrets():
        assert f"`ALPHAGRAD_{name.upper()}{SUFFIX}`" in page


def test_a_secret_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text(f"{URL}\n")
    (tmp_path / "key").write_text("  sixteen letters!\r\n")
    monkeypatch.setenv("ALPHAGRAD_DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("ALPHAGRAD_API_KEY_FILE", str(tmp_path / "key"))
    settings = ApiSettings()
    assert settings.url == URL
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "sixteen letters!"
    assert "hunter2" not in repr(settings)
    assert TunerSettings().url == URL


def test_what_is_given_comes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPHAGRAD_DATABASE_URL_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("ALPHAGRAD_DATABASE_URL", "postgresql://of-the-environment/x")
    assert TunerSettings().url == "postgresql://of-the-environment/x"
    monkeypatch.delenv("ALPHAGRAD_DATABASE_URL")
    assert TunerSettings.model_validate({"database_url": URL}).url == URL


def test_a_file_that_holds_no_secret_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "url"
    monkeypatch.setenv("ALPHAGRAD_DATABASE_URL_FILE", str(secret))
    with pytest.raises(SettingsError, match=r"_URL_FILE names a file that cannot be read: .*such"):
        TunerSettings()
    secret.write_text(" \n")
    with pytest.raises(SettingsError, match="ALPHAGRAD_DATABASE_URL_FILE names a file that is em"):
        TunerSettings()
    secret.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="it is not text in UTF-8"):
        TunerSettings()


def test_a_short_key_in_a_file_is_refused_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("hunter2")
    monkeypatch.setenv("ALPHAGRAD_API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(ValueError, match=r"api_key\n.* at least 16") as raised:
        ApiSettings()
    assert "hunter2" not in str(raised.value)


def test_the_command_line_says_which_file_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alphagrad", "ls", "--home", str(tmp_path)],
        env={"ALPHAGRAD_DATABASE_URL_FILE": "/nowhere/url", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "alphagrad: ALPHAGRAD_DATABASE_URL_FILE names a file that cannot be read: "
        "'/nowhere/url': No such file or directory"
    ]

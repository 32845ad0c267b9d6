"""schemathesis against the real service: no error of its own, no answer that is not declared.

``make fuzz`` gives it more time. Streams of events are left out, since they do not end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

SECONDS = int(os.environ.get("FUZZ_SECONDS", "5"))
# `make fuzz` makes up new requests each time; with all tests they are the same ones.
SEED = () if "FUZZ_SECONDS" in os.environ else ("--seed", "1")
CONFIG = Path(__file__).with_name("schemathesis.toml")
PHASES = "coverage,fuzzing"
ENDLESS = "/events$"
# A body may keep all of its schema's rules and break one between its fields: 422 then.
BEYOND_SCHEMAS = "positive_data_acceptance"
SPEC = {
    "name": "bar",
    "engine": "remote",
    "n_trials": 500,
    "parallelism": 50,
    "params": {"alpha": {"type": "float", "low": 1.0, "high": 100.0, "log": True}},
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fuzzed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    key: str,
    start_service: Callable[..., Any],
) -> Iterator[str]:
    """The URL of a service of its own, with a study ``bar`` of which one trial runs."""
    home = tmp_path_factory.mktemp("fuzzed") / "home"
    environment = {
        "ALPHAGRAD_API_KEY": key,
        "ALPHAGRAD_LEASE_SECONDS": "3600",
        "ALPHAGRAD_REQUESTS_PER_MINUTE": "1000000",
        "ALPHAGRAD_WRONG_KEYS_PER_MINUTE": "1000000",
        "ALPHAGRAD_QUOTA_OPEN_STUDIES": "100000",
    }
    if request.param == "postgresql":
        environment["ALPHAGRAD_DATABASE_URL"] = request.getfixturevalue("new_postgres")()
    process, url = start_service(home, "--no-worker", **environment)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as api:
        assert api.post("/v1/studies", json=SPEC).status_code == 202
        for client in ("one", "two"):
            asked = api.post("/v1/studies/bar/trials:ask", json={"client": client})
            assert asked.status_code == 200, asked.text
            fence = asked.json()["trial"]["fence"]
            reports = [{"step": 1, "value": 0.5}]
            path = f"/v1/studies/bar/trials/{asked.json()['trial']['number']}"
            said = api.post(f"{path}:report", json={"fence": fence, "reports": reports})
            assert said.status_code == 200, said.text
        told = {"fence": fence, "state": "COMPLETE", "value": 0.5}
        assert api.post(f"{path}:tell", json=told).status_code == 200
    yield url
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture
def fuzz(fuzzed: str, key: str, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs schemathesis against the service; gives its report."""
    headers = {"Authorization": f"Bearer {key}"}
    document, report = tmp_path / "openapi.json", tmp_path / "report.json"
    document.write_bytes(httpx.get(f"{fuzzed}/openapi.json", headers=headers).content)

    def run(*options: str) -> dict[str, Any]:
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(CONFIG), "--no-color", "run", str(document), "--url", fuzzed),
            *("--exclude-path-regex", ENDLESS, "--continue-on-failure", "--warnings", "off"),
            *("--exclude-checks", BEYOND_SCHEMAS),
            *("--report", "json", "--report-json-path", str(report)),
            *SEED,
            *options,
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3600)
        assert done.returncode == 0, done.stdout + done.stderr
        print(done.stdout)  # noqa: T201  (make fuzz shows it)
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return found

    return run


def test_every_answer_is_declared(
    fuzz: Callable[..., dict[str, Any]], fuzzed: str, key: str
) -> None:
    bearer = f"Authorization: Bearer {key}"
    report = fuzz("--header", bearer, "--max-time", str(SECONDS), "--phases", PHASES)
    assert cases(report) > 10
    assert httpx.get(f"{fuzzed}/readyz").status_code == 200


def test_every_answer_is_declared_where_one_request_follows_another(
    fuzz: Callable[..., dict[str, Any]], key: str
) -> None:
    bearer = f"Authorization: Bearer {key}"
    report = fuzz("--header", bearer, "--max-time", str(SECONDS), "--phases", "stateful")
    assert cases(report) > 10


@pytest.mark.parametrize("fuzzed", ["sqlite"], indirect=True)  # no request comes to the database
def test_every_answer_without_a_key_is_declared(fuzz: Callable[..., dict[str, Any]]) -> None:
    report = fuzz("--max-time", str(max(10, SECONDS // 2)), "--phases", PHASES)
    assert cases(report) > 10


def cases(report: dict[str, Any]) -> int:
    """How many requests were made."""
    return int(report["test_cases"]["generated"])

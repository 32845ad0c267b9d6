"""docker-compose.yml: two validators, and what the services may do."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from alphagrad.api.settings import ApiSettings
from alphagrad.secret import SUFFIX
from alphagrad.tuner.secret_files import is_secret
from tests.deploy.files import COMPOSE, OURS, ROOT, program, run, services

TEXT = COMPOSE.read_text(encoding="utf-8")
OVERRIDE = ROOT / "deploy" / "compose.gpu.yaml"
PUBLISHED = {"api", "grafana"}


def check_schema(path: Path) -> tuple[int, str]:
    schema = ("--builtin-schema", "vendor.compose-spec")
    done = run(sys.executable, "-m", "check_jsonschema", *schema, path)
    return done.returncode, done.stdout


def config(*paths: Path, **variables: str) -> tuple[int, str]:
    files = [word for path in paths for word in ("--file", str(path))]
    folder = {"ALPHAGRAD_SECRETS": "./nowhere"} | variables
    command = [program("docker-compose"), *files, "--project-directory", str(ROOT), "config"]
    done = run(*command, **folder)
    return done.returncode, done.stdout


def planted(folder: Path, old: str, new: str) -> Path:
    assert old in TEXT
    path = folder / "docker-compose.yml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", [COMPOSE, OVERRIDE], ids=lambda path: path.name)
def test_the_schema_of_the_compose_specification_is_kept(path: Path) -> None:
    assert check_schema(path)[0] == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pids_limit: 1024", "pids_limit: [1024]"),
        ("cap_drop: [ALL]", "cap_dropp: [ALL]"),
        ("condition: service_healthy", "condition: service_hale"),
    ],
)
def test_the_schema_finds_a_planted_error(tmp_path: Path, old: str, new: str) -> None:
    code, said = check_schema(planted(tmp_path, old, new))
    assert code == 1
    assert "services" in said


def test_compose_takes_the_file_and_fills_in_what_is_given() -> None:
    code, said = config(COMPOSE, ALPHAGRAD_BIND="192.0.2.7", ALPHAGRAD_SLOTS="3")
    assert code == 0, said
    found: dict[str, Any] = yaml.safe_load(said)["services"]
    assert "192.0.2.7" in json.dumps(found["api"]["ports"])
    assert float(found["worker"]["cpus"]) == 3
    assert found["worker"]["environment"]["ALPHAGRAD_SLOTS"] in (3, "3")
    hosts = found["api"]["environment"]["ALPHAGRAD_ALLOWED_HOSTS"]
    assert json.loads(hosts) == ["api"]
    assert config(COMPOSE, OVERRIDE)[0] == 0


def test_how_many_there_are_is_a_setting_but_for_the_worker_that_has_the_gpus() -> None:
    wanted = {"ALPHAGRAD_WORKERS": "4", "RAY_WORKERS": "3", "COMPOSE_PROFILES": "ray"}
    code, said = config(COMPOSE, **wanted)
    assert code == 0, said
    found = yaml.safe_load(said)["services"]
    assert [found[name]["scale"] for name in ("worker", "ray-worker")] == [4, 3]
    with_gpus = yaml.safe_load(config(COMPOSE, OVERRIDE, **wanted)[1])["services"]
    assert with_gpus["worker"]["scale"] == 1


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (":-8000}:8000", ":-8000}:http", "port"),
        ('volumes: ["database:/var', 'volumes: ["data-base:/var', "data-base"),
        ("    migrate: {", "    migration: {", "migration"),
        ("${API_MEMORY:-2g}", "${API_MEMORY-2g", "API_MEMORY"),
    ],
)
def test_compose_finds_a_planted_error_that_no_schema_can(
    tmp_path: Path, old: str, new: str, word: str
) -> None:
    path = planted(tmp_path, old, new)
    assert check_schema(path)[0] == 0
    code, said = config(path)
    assert code != 0
    assert word in said


def test_what_a_service_names_is_there() -> None:
    """Not every release of Compose looks at these."""
    whole = yaml.safe_load(TEXT)
    for kind in ("networks", "secrets"):
        used = {one for service in services().values() for one in service.get(kind, [])}
        assert used == whole[kind].keys()
    for service in services().values():
        assert set(service.get("depends_on", [])) <= services().keys()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in whole["volumes"] or (ROOT / source).is_dir(), volume


def test_without_secrets_compose_says_how_to_make_them() -> None:
    code, said = config(COMPOSE, ALPHAGRAD_SECRETS="")
    assert code != 0
    assert "deploy/make-secrets" in said


def test_no_secret_has_a_default_or_stands_in_the_file() -> None:
    for secret in yaml.safe_load(TEXT)["secrets"].values():
        assert secret["file"].startswith("${ALPHAGRAD_SECRETS:?")
    hidden = re.compile("password|token|_key|database_url", re.IGNORECASE)
    for name, service in services().items():
        for variable, value in service.get("environment", {}).items():
            if hidden.search(variable):
                assert str(value).startswith("/run/secrets/"), (name, variable)
                assert value.removeprefix("/run/secrets/") in service["secrets"]
    for variable, default in re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT):
        assert not hidden.search(variable), default


def test_every_variable_of_our_services_is_a_setting() -> None:
    fields = ApiSettings.model_fields
    known = {f"ALPHAGRAD_{name.upper()}" for name in fields}
    known |= {
        f"ALPHAGRAD_{n.upper()}{SUFFIX}" for n, f in fields.items() if is_secret(f.annotation)
    }
    of_ray = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"}
    scripts = "".join((ROOT / "deploy" / "ray" / name).read_text() for name in ("head", "node"))
    for name in OURS:
        for variable in services()[name]["environment"]:
            used = variable in known or variable in of_ray or f"${{{variable}:" in scripts
            assert used, (name, variable)


def test_what_a_user_may_set_is_documented() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    variables = set(re.findall(r"\$\{(\w+)", TEXT))
    assert len(variables) > 10
    assert [name for name in sorted(variables) if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("name", services())
def test_a_service_may_do_little(name: str) -> None:
    service = services()[name]
    assert int(service["user"].split(":")[0]) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert "network_mode" not in service
    assert not [one for one in service.get("volumes", []) if "docker.sock" in one]


def test_what_is_published_is_so_on_loopback() -> None:
    assert {name for name, one in services().items() if "ports" in one} == PUBLISHED
    for name in PUBLISHED:
        for port in services()[name]["ports"]:
            assert re.match(r"\$\{\w+:-127\.0\.0\.1\}:", port), port
    assert services()["grafana"]["profiles"] == ["monitoring"]


def test_the_database_can_be_reached_from_inside_alone() -> None:
    networks = yaml.safe_load(TEXT)["networks"]
    assert networks["inside"]["internal"] is True
    assert services()["postgres"]["networks"] == ["inside"]
    for name in ("prometheus", "grafana"):
        assert services()[name]["networks"] == ["outside"]


def test_nodes_that_run_tasks_of_ray_have_no_way_into_the_database() -> None:
    node = services()["ray-worker"]
    assert node["secrets"] == ["ray_token"]
    for name in ("ray-head", "ray-worker"):
        assert services()[name]["environment"]["RAY_AUTH_MODE"] == "token"
        assert services()[name]["profiles"] == ["ray"]

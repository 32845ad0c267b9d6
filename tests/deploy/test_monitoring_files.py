"""Prometheus' configuration and Grafana's dashboard speak of metrics that /metrics has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alphagrad.api.prometheus import Monitor
from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate
from tests.deploy.files import ROOT, load, program, run, services

PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "alphagrad.json").read_text())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """The samples' names of a server, with their labels, as far as these show in one at rest."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('metrics') / 'a.db'}")
    migrate(database)
    monitor = Monitor(database)
    monitor.requests.labels("GET", "/healthz", "200").observe(0.001)
    names: dict[str, set[str]] = {}
    for family in monitor.registry.collect():
        ends = ("_bucket", "_count", "_sum") if family.type == "histogram" else ("",)
        for end in ends:
            names[family.name + end] = set()
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    yield names
    database.dispose()


def expressions() -> list[str]:
    targets = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
    rules = load(PROMETHEUS / "alerts.yml")["groups"][0]["rules"]
    return [target["expr"] for target in targets] + [rule["expr"] for rule in rules]


def metrics(expression: str) -> set[str]:
    return set(re.findall(r"\balphagrad_\w+", expression))


def test_every_metric_that_is_shown_or_watched_is_exported(exported: dict[str, set[str]]) -> None:
    used = {name for one in expressions() for name in metrics(one)}
    assert used <= exported.keys()
    families = {re.sub("_(bucket|count|sum|created)$", "", name) for name in exported}
    shown = {re.sub("_(bucket|count|sum)$", "", name) for name in used}
    assert families - shown == set(), "a metric that nobody looks at"


def test_a_metric_that_is_not_there_would_be_found(exported: dict[str, set[str]]) -> None:
    assert not metrics("rate(alphagrad_api_requests_total[5m])") <= exported.keys()


def test_the_dashboard_fits_its_provisioning() -> None:
    (source,) = load(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    (provider,) = load(GRAFANA / "provisioning" / "dashboards" / "alphagrad.yml")["providers"]
    folder = provider["options"]["path"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in services()["grafana"]["volumes"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_prometheus_asks_the_api_with_the_key_that_compose_lays_there() -> None:
    (job,) = load(PROMETHEUS / "prometheus.yml")["scrape_configs"]
    file = job["authorization"]["credentials_file"]
    assert file.removeprefix("/run/secrets/") in services()["prometheus"]["secrets"]
    (target,) = job["static_configs"][0]["targets"]
    name, port = target.split(":")
    assert services()["api"]["ports"][0].endswith(f":{port}")
    # The Host header of its requests is one that the API answers to.
    assert f'"{name}"' in services()["api"]["environment"]["ALPHAGRAD_ALLOWED_HOSTS"]


def check_prometheus(folder: Path) -> tuple[int, str]:
    # The key's file is in the container.
    done = run(program("promtool"), "check", "config", "--syntax-only", folder / "prometheus.yml")
    rules = run(program("promtool"), "check", "rules", folder / "alerts.yml")
    return done.returncode or rules.returncode, done.stdout + rules.stdout


def test_prometheus_takes_its_configuration() -> None:
    code, said = check_prometheus(PROMETHEUS)
    assert code == 0, said


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("prometheus.yml", "credentials_file", "credential_file"),
        ("alerts.yml", "alphagrad_database_up == 0", "alphagrad_database_up = 0"),
    ],
)
def test_prometheus_finds_a_planted_error(tmp_path: Path, file: str, old: str, new: str) -> None:
    for path in PROMETHEUS.iterdir():
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(text.replace(old, new) if path.name == file else text)
    assert check_prometheus(tmp_path)[0] != 0

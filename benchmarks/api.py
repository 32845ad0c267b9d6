"""The server under load: GETs at a steady rate, open streams of events, submissions sent again.

    python benchmarks/api.py [--seconds 60] [--rate 100] [--dashboard-rate 10] [--streams 200]
                             [--keys 60] [--databases sqlite postgresql] [--json FILE]

`alphagrad serve` with two slots runs trials of studies/cartpole_dqn.toml all the while; a second
process asks. First come GETs: of the study, of the Optuna dashboard's JSON of the same study from
the same server, which the next database has in the other order, and of /healthz, which shows what
the framework and the machine take without us. The dashboard is asked a tenth as often: it computes
for 13 ms and more each time, and requests that are due faster than they are answered wait ever
longer. Then streams of /v1/events are held open while studies are submitted, each with an
Idempotency-Key by ten requests at once; what each stream was sent is compared with the table of
events, row by row.

The GETs are an open loop: request n is due at n / rate whether those before it were answered or
not, and its latency counts from when it was due. wrk 4 and Locust are closed loops: while the
server halts, each of their connections waits, sends nothing, and so leaves out the very requests
that would have been slow. wrk2 does not, but is not packaged. The loader is asyncio and httpx;
"sent late" is what it adds itself where the machine is too busy to let it send in time, and is part
of the latency.

Without ``--postgresql URL`` (of a server, without a database) a server is started for the run, with
PostgreSQL's defaults: a commit waits for the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import time
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psycopg
from places import DATABASES, FIGURES, HERE, KEY, Places, child, service
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from tuner_tables import TITLES

STUDIES = HERE.parent / "studies"
PACKAGES = (
    "fastapi",
    "uvicorn",
    "starlette",
    "pydantic",
    "sqlalchemy",
    "optuna",
    "optuna-dashboard",
    "httpx",
)
TARGET_MS = 50.0
START_SECONDS = 120.0


def study(name: str, file: str, **changes: Any) -> dict[str, Any]:
    """A study of the repository, changed."""
    spec = tomllib.loads((STUDIES / file).read_text(encoding="utf-8"))
    return spec | {"name": name} | changes


def begin(address: str) -> str:
    """Submit the study, wait until two of its trials run, and find the dashboard's path of it."""
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=address, headers=headers, timeout=START_SECONDS) as client:
        body = study("load", "cartpole_dqn.toml", n_trials=100_000)
        client.post("/v1/studies", json=body).raise_for_status()
        give_up_at = time.monotonic() + START_SECONDS
        # One that ended, so that there is a best trial to tell of.
        while not (at := client.get("/v1/studies/load").json()["trials"]).get("COMPLETE") or (
            at.get("RUNNING") != 2
        ):
            if time.monotonic() > give_up_at:
                raise SystemExit(f"two trials do not run: {at}")
            time.sleep(0.1)
        known = client.get("/api/studies").json()["study_summaries"]
        (id_,) = (one["study_id"] for one in known if one["study_name"] == "load")
    return f"/api/studies/{id_}"


def measure(kind: str, place: dict[str, str], options: argparse.Namespace) -> dict[str, Any]:
    """All kinds of load on one database."""
    limit = {"ALPHAGRAD_REQUESTS_PER_MINUTE": "1000000"}
    with service(place, "--slots", "2", **limit) as (pid, address):
        dashboard = begin(address)
        job = {"pid": pid, "url": address, "key": KEY, "seconds": options.seconds}
        paths = {"study": "/v1/studies/load", "dashboard": dashboard, "health": "/healthz"}
        rates = dict.fromkeys(paths, options.rate) | {"dashboard": options.dashboard_rate}
        turns = list(paths) if kind == "sqlite" else ["dashboard", "study", "health"]
        found = {
            name: child(
                "api_gets.py", job | {"what": "gets", "path": paths[name], "rate": rates[name]}
            )
            for name in turns
        }
        others = {
            "what": "streams",
            "streams": options.streams,
            "keys": options.keys,
            "replays": options.replays,
            "database": place["url"],
            "spec": study("", "digits.toml", priority=-1),
        }
        streams = child("api_gets.py", job | others)
    return {"gets": {name: found[name] for name in paths}, "streams": streams}


def tables(result: dict[str, Any]) -> list[Table]:
    """What is printed: the GETs, then the streams and submissions."""
    gets = Table(
        "database", "GET", "a second", "p50 ms", "p95", "p99", "max", "sent late p99",
        "server's CPU ms", "kB", "failed", "2 trials run",
        box=SIMPLE_HEAD,
        title=f"requests for {result['seconds']} s, from when due",
    )  # fmt: skip
    streams = Table(
        "database", "streams", "events", "sent", "missing", "repeated", "out of order", "differ",
        "delay p50 ms", "p99", "server's CPU", "keys", "requests", "studies", "wrong",
        "submit p50 ms", "p99",
        box=SIMPLE_HEAD,
        title="streams of all events while trials run and studies are submitted",
    )  # fmt: skip
    for kind, found in result["databases"].items():
        for name, one in found["gets"].items():
            counts = [count for count in one["running"] if count is not None]
            share = f"{sum(n == 2 for n in counts) / len(counts):.0%}" if counts else ""
            gets.add_row(
                TITLES[kind],
                name,
                str(one["rate"]),
                *(f"{one['latency_ms'][at]:.1f}" for at in ("p50", "p95", "p99", "max")),
                f"{one['sent_late_ms']['p99']:.1f}",
                f"{one['server_cpu_ms']:.2f}",
                "–".join(f"{size / 1e3:.1f}" for size in one["bytes"]),
                str(one["failed"][0] if one["failed"] else 0),
                share,
            )
        one = found["streams"]
        sent = one["submits"]
        streams.add_row(
            TITLES[kind],
            str(one["streams"]),
            *(str(one[name]) for name in ("events", "sent", "missing", "repeated", "out_of_order")),
            str(one["different"] + one["foreign"]),
            *(f"{one['delay_ms'][at]:.0f}" for at in ("p50", "p99")),
            f"{one['server_cpu_share']:.0%}",
            *(str(sent[name]) for name in ("keys", "requests")),
            str(one["studies_created"] - 1),
            str(len(sent["wrong"]) + one["studies_twice"] + len(one["broken"])),
            *(f"{sent['latency_ms'][at]:.0f}" for at in ("p50", "p99")),
        )
    return [gets, streams]


def faults(result: dict[str, Any]) -> list[str]:
    """What was promised and not found."""
    said = []
    for kind, found in result["databases"].items():
        for name, one in found["gets"].items():
            said += [f"{kind}, {name}: failed: {one['failed']}"] if one["failed"] else []
        late = found["gets"]["study"]["latency_ms"]["p99"]
        said += [f"{kind}: p99 of the study is {late:.0f} ms"] if late > TARGET_MS else []
        one = found["streams"]
        for name in ("missing", "repeated", "out_of_order", "different", "foreign", "broken"):
            said += [f"{kind}: {name}: {one[name]}"] if one[name] else []
        if one["submits"]["wrong"] or one["studies_created"] - 1 != one["submits"]["keys"]:
            said.append(f"{kind}: submissions: {one['submits']['wrong']}, {one['studies_created']}")
    return said


def versions(server: str | None) -> dict[str, str]:
    """Of what answers and asks."""
    found = {name: version(name) for name in PACKAGES} | {"sqlite": sqlite3.sqlite_version}
    if server is not None:
        with psycopg.connect(f"{server}/postgres") as connection:
            number = connection.info.server_version
        found["postgresql"] = f"{number // 10_000}.{number % 10_000}"
    return found


def main() -> None:
    """Measure, print tables, write the numbers; exit with 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="of each kind of load")
    parser.add_argument("--rate", type=int, default=100, help="GETs a second")
    parser.add_argument("--dashboard-rate", type=int, default=10, help="GETs of it a second")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--keys", type=int, default=60, help="studies submitted")
    parser.add_argument("--replays", type=int, default=10, help="requests with each key")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--postgresql", metavar="URL", help="a server, without a database")
    parser.add_argument("--json", type=Path, default=FIGURES / "api.json")
    options = parser.parse_args()
    for name in ("seconds", "rate", "dashboard_rate", "streams", "keys", "replays"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is too small: {getattr(options, name)}")
    from optimizer import machine

    console = Console(width=None if sys.stdout.isatty() else 200)
    result: dict[str, Any] = {
        "machine": machine("cpu"),
        "load_before": os.getloadavg()[0],
        "seconds": options.seconds,
        "databases": {},
    }
    with Places(options.postgresql, options.databases) as places:
        result["versions"] = versions(places.server)
        for kind in options.databases:
            with console.status(f"load on {kind}"):
                result["databases"][kind] = measure(kind, places.new(kind), options)
    for table in tables(result):
        console.print(table)
    options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if said := faults(result):
        raise SystemExit("\n".join(said))


if __name__ == "__main__":
    main()

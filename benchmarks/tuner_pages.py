"""Lists of a study of many trials, asked of the real server: time of a page, memory."""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna.trial import TrialState
from places import KEY, service
from sqlalchemy import insert

from alphagrad.tuner import parse_spec
from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.optuna_tables import PARAMS, TRIALS, VALUES
from alphagrad.tuner.study_store import create_study

NAME = "many"
BATCH = 10_000
DISTRIBUTION = distribution_to_json(FloatDistribution(0.001, 100.0))


def fill(url: str, trials: int) -> None:
    """A study of so many trials in all tables, written in bulk: 1 % FAIL, 9 % PRUNED."""
    database = Database(url)
    migrate(database)
    optuna_storage = OptunaStorage(database)
    spec = parse_spec(
        {
            "name": NAME,
            "task": "digits",
            "n_trials": trials + 10,
            "seed": 1,
            "sampler": {"type": "random"},
            "params": {
                "alpha": {"type": "float", "low": 1.0, "high": 100.0},
                "learning_rate": {"type": "float", "low": 0.001, "high": 0.1},
            },
        }
    )
    study = create_study(database, optuna_storage, spec)
    for first in range(0, trials, BATCH):
        numbers = range(first, min(first + BATCH, trials))
        with database.write() as session:
            for table, rows in _rows(study, numbers).items():
                session.execute(insert(table), rows)
    with database.write() as session:
        row = session.get_one(StudyRow, study.id)
        row.state, row.next_slot, row.started_at = "RUNNING", trials, row.created_at
    with database.engine.connect() as connection:
        if not database.is_sqlite:  # what the server's autovacuum does within a minute
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                "VACUUM ANALYZE"
            )
    optuna_storage.dispose()
    database.dispose()


def _rows(study: StudyRow, numbers: range) -> dict[Any, list[dict[str, Any]]]:
    ours, trials, params, values = [], [], [], []
    for number in numbers:
        state = "FAIL" if number % 100 == 0 else "PRUNED" if number % 11 == 0 else "COMPLETE"
        value = None if state == "FAIL" else (number * 0.618) % 1
        point = {"alpha": 1.0 + number % 99, "learning_rate": 0.001 + 0.099 * (value or 0)}
        ours.append(
            {
                "study_id": study.id,
                "slot": number,
                "number": number,
                "optuna_trial_id": number + 1,
                "state": state,
                "seed": number,
                "params": point,
                "value": value,
                "error": "ValueError: it failed" if state == "FAIL" else None,
                "attempt": 1,
                "failures": 0,
                "losses": 0,
                "fence": 1,
                "told": True,
                "started_at": 1.7e9 + number,
                "finished_at": 1.7e9 + number + 1,
                "layers": [f"layer{i}.weight" for i in range(6)],
            }
        )
        trials.append(
            {
                "trial_id": number + 1,
                "number": number,
                "study_id": study.optuna_study_id,
                "state": TrialState[state],
            }
        )
        params += [
            {
                "trial_id": number + 1,
                "param_name": name,
                "param_value": at,
                "distribution_json": DISTRIBUTION,
            }
            for name, at in point.items()
        ]
        if value is not None:
            values.append(
                {"trial_id": number + 1, "objective": 0, "value": value, "value_type": "FINITE"}
            )
    return {TrialRow: ours, TRIALS: trials, PARAMS: params, VALUES: values}


def pages(url: str, home: Path, *, trials: int, asks: int) -> dict[str, Any]:
    """Fill a database, start a server, and ask for pages all over the list.

    Returns:
        Seconds by kind of request (median and 95th percentile), and the server's memory in MiB.
    """
    fill(url, trials)
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        service({"home": str(home), "url": url}, "--no-worker") as (pid, address),
        httpx.Client(base_url=address, headers=headers, timeout=60) as client,
    ):
        return {"requests": _ask(client, trials, asks, pid=pid)}


def _ask(client: httpx.Client, trials: int, asks: int, *, pid: int) -> dict[str, Any]:
    """Time the lists, and then what looks at many trials at once, which takes more memory."""
    from alphagrad.api.pages import encode_token

    list_of = f"/v1/studies/{NAME}/trials"
    groups: list[dict[str, tuple[str, dict[str, Any]]]] = [
        {
            "page of 100 trials": (list_of, {"page_size": 100}),
            "page of 100 failed trials": (list_of, {"page_size": 100, "state": "FAIL"}),
            "page of 100 failed or pruned trials": (
                list_of,
                {"page_size": 100, "state": ["FAIL", "PRUNED"]},
            ),
            "the study": (f"/v1/studies/{NAME}", {}),
            "list of studies": ("/v1/studies", {}),
            "metrics": ("/metrics", {}),
        },
        {
            "slice": (f"/v1/studies/{NAME}/slice", {}),
            "comparison": ("/v1/compare", {"study": NAME}),
        },
        {"importance": (f"/v1/studies/{NAME}/importance", {})},
    ]
    found: dict[str, Any] = {}
    for kinds in groups:
        took: dict[str, list[float]] = {kind: [] for kind in kinds}
        for turn in range(-2, asks):  # the first ones open connections
            token = encode_token((turn * trials) // asks if turn >= 0 else 0)
            for kind, (path, options) in kinds.items():
                paged = options | ({"page_token": token} if path == list_of else {})
                started = time.perf_counter()
                client.get(path, params=paged).raise_for_status()
                if turn >= 0:
                    took[kind].append(time.perf_counter() - started)
        memory = peak_memory(pid)
        for kind, times in took.items():
            p95 = statistics.quantiles(times, n=20)[-1]
            found[kind] = {"median": statistics.median(times), "p95": p95, "rss_mib": memory}
    return found


def peak_memory(pid: int) -> float:
    """The most memory that a process had so far, in MiB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")

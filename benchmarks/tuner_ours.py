"""One run of our worker for tuner.py: JSON in as the argument, JSON out on standard output.

Trial processes import this file again, so it imports at its top what a task needs.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path

from alphagrad.tuner import Trial, task

SPACE = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "y": {"type": "float", "low": 0.001, "high": 1.0, "log": True},
    "z": {"type": "int", "low": 0, "high": 9},
}
SLEEP = 1.0


@task("at once")
def at_once(trial: Trial) -> float:
    """Return at once."""
    return float(trial.params["x"])


@task("reports")
def reports(trial: Trial) -> float:
    """Report often, and return the median seconds of a report and its verdict."""
    took = []
    for step in range(trial.params["reports"]):
        started = time.perf_counter()
        trial.report(0.5, step)
        trial.should_prune()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


@task("sleep")
def sleep(trial: Trial) -> float:
    """Take a second."""
    time.sleep(SLEEP)
    return 0.0


def main(job: dict[str, object]) -> dict[str, object]:
    """Run a study of each kind, in one worker with two slots."""
    from alphagrad.tuner import parse_spec
    from alphagrad.tuner.database import Database
    from alphagrad.tuner.lists import list_trials
    from alphagrad.tuner.migrate import migrate
    from alphagrad.tuner.optuna_storage import OptunaStorage
    from alphagrad.tuner.settings import TunerSettings
    from alphagrad.tuner.study_store import create_study
    from alphagrad.tuner.worker import Worker

    home, url, trials = Path(str(job["home"])), job["url"], int(str(job["trials"]))
    settings = TunerSettings.model_validate({"home": home, "database_url": url, "slots": 2})
    database = Database(settings.url)
    migrate(database)
    optuna_storage = OptunaStorage(database)
    common = {"sampler": {"type": "random"}, "seed": 1}
    waits = int(str(job["waits"]))
    bodies = [
        {"name": "warm", "task": "at once", "n_trials": 3, "params": SPACE},
        {"name": "once", "task": "at once", "n_trials": trials, "params": SPACE},
        {"name": "reports", "task": "reports", "n_trials": 1, "params": {"reports": 500}},
        {
            "name": "judged",
            "task": "reports",
            "n_trials": 2,
            "params": {"reports": 500},
            "pruner": {"type": "median", "n_startup_trials": 1},
        },
        {"name": "sleep", "task": "sleep", "n_trials": 2 * waits, "parallelism": 2},
    ]
    for body in bodies:
        create_study(database, optuna_storage, parse_spec(common | body))
        Worker(database, settings, study=str(body["name"])).run()
    found = {str(body["name"]): list_trials(database, str(body["name"])) for body in bodies}
    ends = [row.finished_at or 0.0 for row in found["once"]]
    starts = [row.started_at or 0.0 for row in found["sleep"]]
    span = max(row.finished_at or 0.0 for row in found["sleep"]) - min(starts)
    assert all(row.state == "COMPLETE" for rows in found.values() for row in rows)
    return {
        "between": [after - before for before, after in pairwise(ends)],
        "report": found["reports"][0].value,
        "judged": found["judged"][1].value,
        "busy": len(starts) * SLEEP / (2 * span),
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))

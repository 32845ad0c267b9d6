"""`kill -9` on the worker in the middle of a study."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

Wait = Callable[..., Any]


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The process ids of the service's worker."""
    task = Path(f"/proc/{process.pid}/task")
    children = " ".join((thread / "children").read_text() for thread in task.iterdir()).split()
    return [
        int(child)
        for child in children
        if b"worker" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    ]


def test_a_killed_worker_is_replaced_and_the_study_ends_with_exactly_its_trials(
    service: httpx.Client,
    service_process: tuple[subprocess.Popen[str], str],
    wait_for: Wait,
) -> None:
    spec = {
        "name": "survivor",
        "task": "digits",
        "n_trials": 8,
        "parallelism": 2,
        "seed": 1,
        "params": {"epochs": 15, "alpha": {"type": "float", "low": 1, "high": 100, "log": True}},
    }
    assert service.post("/v1/studies", json=spec).status_code == 202

    def study() -> dict[str, Any]:
        found: dict[str, Any] = service.get("/v1/studies/survivor").json()
        return found

    # In the middle; of two that run once another is finished, one has just begun.
    wait_for(
        lambda: (
            (s := study()["trials"]).get("COMPLETE") and s.get("RUNNING") == 2 and s.get("QUEUED")
        )
    )
    (worker,) = workers_of(service_process[0])
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: [one for one in workers_of(service_process[0]) if one != worker])
    wait_for(lambda: study()["state"] == "COMPLETED", seconds=60)
    assert study()["trials"] == {"COMPLETE": 8}
    trials = service.get("/v1/studies/survivor/trials").json()["items"]
    assert [trial["number"] for trial in trials] == list(range(8))
    assert max(trial["attempt"] for trial in trials) == 2  # those that ran were taken over
    optuna = service.get("/api/studies").json()["study_summaries"]
    (number,) = [s["study_id"] for s in optuna if s["study_name"] == "survivor"]
    states = [t["state"] for t in service.get(f"/api/studies/{number}").json()["trials"]]
    assert states == ["Complete"] * 8

"""A full disk ends an attempt, not its trial."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from alphagrad.tuner import Trial, lease_ends, leases
from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.database import Database
from alphagrad.tuner.log_file import open_log
from alphagrad.tuner.messages import Finished, OutOfSpace
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.registry import Task
from alphagrad.tuner.study_store import get_study
from alphagrad.tuner.trial_main import outcomes

FULL = Path("/dev/full")


def raising(error: Exception) -> Task:
    def run(trial: Trial) -> float:
        raise error

    return Task(name="raising", function=run)


def write_to_full_disk(trial: Trial) -> float:
    FULL.write_bytes(b"x")
    return 1.0


needs_full = pytest.mark.skipif(not FULL.exists(), reason="only Linux has /dev/full")


@needs_full
def test_a_task_that_finds_no_space_is_put_off() -> None:
    task = Task(name="full", function=write_to_full_disk)
    [(index, end)] = outcomes(task, [Trial(params={})])
    assert index == 0
    assert end == OutOfSpace("OSError: [Errno 28] No space left on device")


def test_other_errors_of_the_system_are_failures() -> None:
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    [(_, end)] = outcomes(raising(error), [Trial(params={})])
    assert end == Finished(state="FAIL", error=f"PermissionError: {error}")


@needs_full
def test_a_log_on_a_full_disk_drops_its_lines() -> None:
    with open_log(FULL) as log:
        print("no one will read this", file=log)
    with open_log(os.open(FULL, os.O_WRONLY)) as log:
        print("nor this", file=log)


def test_a_log_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "0.log"
    for line in ("first", "sécond \udc80"):
        with open_log(path) as log:
            print(line, file=log)
    assert path.read_text(encoding="utf-8") == "first\nsécond \\udc80\n"


def test_a_trial_put_off_waits_and_has_not_failed(
    database: Database, submit: Callable[..., StudyRow]
) -> None:
    submit(n_trials=1)
    claimed = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    assert claimed is not None
    lease_ends.give_back(
        database, trial_id=claimed.trial.id, fence=claimed.fence, error="no space", delay=600
    )
    assert get_study(database, "s").trials == {"WAITING": 1, "QUEUED": 0}
    assert leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"]) is None
    [attempt] = list_attempts(database, claimed.trial.id)
    assert (attempt.outcome, attempt.error) == ("GIVEN_BACK", "no space")

"""Ray drivers and the processes that hold seats, killed at random moments."""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial

import pytest

from alphagrad.tuner import StudySpec
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.study_store import create_study
from tests.chaos.books import Books
from tests.chaos.conftest import Record, Scale
from tests.chaos.service import Place
from tests.chaos.storm import body
from tests.marks import on_postgresql_or_both
from tests.processes import command_line, descendants
from tests.waiting import until

LONGEST_PAUSE = 2.5
"""Seconds from a trial's first word to the next kill: time for two trials, so that work goes on."""


def driver_of(place: Place) -> int | None:
    """The Ray driver of the worker."""
    started = descendants(place.pid("one"))
    return next((pid for pid in started if b"spawn_main" in command_line(pid)), None)


def seats_of(place: Place) -> list[int]:
    """The actors of the driver in which trials run."""
    driver = driver_of(place)
    below = set() if driver is None else descendants(driver)
    return [pid for pid in below if command_line(pid).startswith(b"ray::Seat")]


@pytest.mark.long
@on_postgresql_or_both
@pytest.mark.timeout(3600)
def test_sigkill_of_drivers_and_of_seats(
    place: Place, books: Books, scale: Scale, record: Record
) -> None:
    chance = random.Random(int(os.environ.get("CHAOS_SEED", "1")))
    kills, n_trials = scale(1, 10), scale(6, 50)
    storage = OptunaStorage(books.database)
    spec = body("storm", n_trials=n_trials, engine="ray", pause=0.15, parallelism=2)
    create_study(books.database, storage, StudySpec.model_validate(spec))
    storage.dispose()
    books.studies["storm"] = n_trials
    place.start("one")

    def is_busy(size: int) -> bool:
        return place.journal.stat().st_size > size and bool(seats_of(place))

    for kind in ["seat", "driver"] * kills:
        size = place.journal.stat().st_size
        until(partial(is_busy, size), seconds=180, what="a trial runs")
        time.sleep(chance.uniform(0.0, LONGEST_PAUSE))
        [pid, *_] = seats_of(place) if kind == "seat" else [driver_of(place)]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert not books.ended(), "the study was over before the last kill"

    def over() -> bool:
        books.look()
        return books.ended()

    until(over, seconds=180 + 30 * kills, what="the study ends")
    assert place.stop("one") == 0
    counts = books.check()
    assert counts["attempts"] > counts["trials"]  # the kills hit
    record(
        f"SIGKILLs under Ray, {books.database.url.get_backend_name()}",
        driver=kills,
        seat=kills,
        **counts,
    )

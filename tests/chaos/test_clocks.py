"""Workers of machines whose clocks differ: only the database's clock counts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.lists import list_trials
from tests.chaos.books import Books
from tests.chaos.conftest import Record, Scale
from tests.chaos.outage import at_work, ends
from tests.chaos.service import Place
from tests.conftest import need

SKEW = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    const char *skew = getenv("CHAOS_SKEW");
    if (!failed && skew && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += atol(skew);
    return failed;
}
"""


@pytest.fixture
def skewed(tmp_path: Path) -> Callable[[int], dict[str, str]]:
    """Environments whose processes have clocks that are so many seconds ahead.

    SQLite asks another function of the C library, so its clock, like a server's, is as before.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        need("a C compiler")
    source, library = tmp_path / "skew.c", tmp_path / "skew.so"
    source.write_text(SKEW)
    subprocess.run([str(compiler), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    told = "import time; print(time.time())"

    def make(skew: int) -> dict[str, str]:
        return {"LD_PRELOAD": str(library), "CHAOS_SKEW": str(skew)}

    shown = subprocess.run(
        [sys.executable, "-c", told], env=os.environ | make(3600), capture_output=True, check=True
    )
    assert float(shown.stdout) - time.time() == pytest.approx(3600, abs=60)
    return make


@pytest.mark.long
@pytest.mark.timeout(300)
def test_workers_whose_clocks_differ_by_two_hours(
    place: Place,
    books: Books,
    skewed: Callable[[int], dict[str, str]],
    scale: Scale,
    record: Record,
) -> None:
    place.lease = 60.0  # far below two hours, and longer than a machine under load stalls
    place.start("one", **skewed(3600))
    place.start("two", **skewed(-3600))
    n_trials = scale(8, 60)
    at_work(place, books, n_trials=n_trials, workers=2, pause=0.3)
    ends(books, seconds=200)
    trials = list_trials(books.database, "s", limit=1000)
    attempts = [one for trial in trials for one in list_attempts(books.database, trial.id)]
    assert len({one.worker for one in attempts}) == 2
    assert {one.outcome for one in attempts} <= {"COMPLETE", "PRUNED"}  # no attempt was LOST
    kind = books.database.url.get_backend_name()
    record(f"clocks ± 1 h, {kind}", **books.check(), reaps=len(attempts) - n_trials)

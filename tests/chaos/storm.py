"""SIGKILLs at random moments while studies run."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Collection
from contextlib import suppress

from sqlalchemy import select

from alphagrad.tuner.models import TrialRow
from tests.chaos.books import Books
from tests.chaos.service import Kind, Place
from tests.waiting import until

WEIGHTS: dict[Kind, int] = {
    "trial": 70,
    "worker": 16,
    "supervisor": 5,
    "server": 5,
    "forkserver": 4,
}
EARLY = 0.05
"""The share of kills of the others that hit while no trial runs, so perhaps one that just starts;
it is small because a start takes ten seconds of a busy machine, and work has to go on."""
FREEZES = 0.2
"""The share of workers that are stopped for two leases, and wake up again, instead of killed."""


def body(name: str, *, n_trials: int, pause: float = 0.02, **more: object) -> dict[str, object]:
    """A study of the task: a tenth of its trials is pruned at the last step."""
    return {
        "name": name,
        "task": "chaos",
        "n_trials": n_trials,
        "parallelism": 5,
        "seed": 1,
        "retries": 100,
        "sampler": {"type": "random"},
        "pruner": {"type": "threshold", "upper": 8.9},
        "params": {"x": {"type": "float", "low": 0.0, "high": 1.0}, "pause": pause},
        **more,
    }


def storm(
    place: Place, books: Books, *, kills: int, n_trials: int, workers: Collection[str], seed: int
) -> Counter[str]:
    """Kill ``kills`` times, then everything at once, and let the studies end.

    Args:
        place: where to start a server, a supervisor with its worker, and further workers.
        books: what they are compared with in the end.
        kills: how many processes are killed one by one.
        n_trials: of each study; as many are always left to do.
        workers: names of the further workers.
        seed: of the choice and the moments.

    Returns:
        How often each kind of process was killed.
    """
    chance = random.Random(seed)
    done: Counter[str] = Counter()
    for name in ("server", "supervisor", *workers):
        place.start(name)
    until(lambda: _feed(place, books, n_trials), seconds=60, what="a study is submitted")
    until(lambda: place.journal.stat().st_size, seconds=60, what="a trial runs")
    while sum(done.values()) - done["frozen"] < kills:
        _feed(place, books, n_trials)
        time.sleep(chance.uniform(0.0, 0.5))
        place.mend()
        alive = [(pid, kind) for pid, kind in place.processes() if kind is not None]
        [kind] = chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
        if "trial" not in {kind for _, kind in alive} and chance.random() > EARLY:
            continue
        if not (pids := [pid for pid, one in alive if one == kind]):
            continue
        if kind == "worker" and chance.random() < FREEZES:
            _freeze(chance.choice(pids), 2 * place.lease)
            done["frozen"] += 1
            continue
        with suppress(ProcessLookupError):
            os.kill(chance.choice(pids), signal.SIGKILL)
            done[kind] += 1
    _blackout(place, books)
    place.start("two")

    def over() -> bool:
        place.mend()
        books.look()
        return books.ended()

    until(over, seconds=120 + 2 * kills, what="the studies end")
    place.kill_all()
    return done


def _feed(place: Place, books: Books, n_trials: int) -> bool:
    """Submit another study where less is left to do than one has; says whether there are any."""
    rest = books.look()
    if sum(rest.values()) < n_trials:
        name = f"storm-{len(rest)}"
        if place.submit(body(name, n_trials=n_trials)):
            books.studies[name] = n_trials
    return bool(books.studies)


def _freeze(pid: int, seconds: float) -> None:
    """Let a worker stand still until it has lost its leases; then it wakes and knows nothing."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)


def _blackout(place: Place, books: Books) -> None:
    """Kill everything; a lone worker must free what the dead held within six leases."""
    place.kill_all()
    place.start("one")
    home = place.folder / "one.log"
    size = home.stat().st_size
    until(lambda: b"state in" in home.read_bytes()[size:], seconds=60, what="a worker is up")
    lone = f":{place.pid('one')}:"

    def freed() -> bool:
        with books.database.read() as session:
            held = session.scalars(select(TrialRow.worker).where(TrialRow.state == "RUNNING"))
            return all(lone in (worker or "") for worker in held)

    until(freed, seconds=6 * place.lease, what="no trial is RUNNING that nobody runs")

"""SIGKILLs at random moments while studies run."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress

from sqlalchemy import select

from alphagrad.tuner.models import TrialRow
from tests.chaos.books import Books
from tests.chaos.service import Kind, Place, until

WEIGHTS: dict[Kind, int] = {
    "trial": 50,
    "worker": 26,
    "supervisor": 9,
    "server": 9,
    "forkserver": 6,
}
AGES: dict[Kind, float] = {
    "trial": 0.0,
    "worker": 15.0,
    "supervisor": 30.0,
    "server": 30.0,
    "forkserver": 10.0,
}
"""A process is killed at a random age up to so many seconds, or later: while it starts, and when it
is at work."""
FREEZES = 0.02
"""The share of moments at which a worker is stopped for two leases instead of killed."""
N_TRIALS = 40
WORKERS = ("one", "two")


def body(
    name: str, *, n_trials: int = N_TRIALS, pause: float = 0.02, **more: object
) -> dict[str, object]:
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


def storm(place: Place, books: Books, *, kills: int, seed: int) -> Counter[str]:
    """Kill ``kills`` times, then everything at once, and let the studies end.

    Returns:
        How often each kind of process was killed.
    """
    chance = random.Random(seed)
    done: Counter[str] = Counter()
    for name in ("server", "supervisor", *WORKERS):
        place.start(name)
    until(lambda: _feed(place, books) or books.studies, seconds=60, what="a study is submitted")
    until(lambda: place.journal.stat().st_size, seconds=60, what="a trial runs")
    born: dict[int, float] = {}
    while sum(done.values()) - done["frozen"] < kills:
        _feed(place, books)
        time.sleep(chance.uniform(0.0, 0.5))
        place.mend()
        now = time.monotonic()
        alive = {pid: kind for pid, kind in place.processes() if kind is not None}
        born = {pid: born.get(pid, now) for pid in alive}
        if chance.random() < FREEZES and "worker" in alive.values():
            _freeze(chance.choice([p for p in alive if alive[p] == "worker"]), 2 * place.lease)
            done["frozen"] += 1
            continue
        [kind] = chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
        age = chance.uniform(0.0, AGES[kind])
        if pids := [p for p in alive if alive[p] == kind and now - born[p] >= age]:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(pids), signal.SIGKILL)
                done[kind] += 1
    _blackout(place, books)
    for name in ("two", "server"):
        place.start(name)

    def over() -> bool:
        place.mend()
        books.look()
        return books.ended()

    until(over, seconds=120 + 2 * kills, what="the studies end")
    place.kill_all()
    return done


def _feed(place: Place, books: Books) -> None:
    """Submit another study where less is left to do than one has."""
    rest = books.look()
    if sum(rest.values()) < N_TRIALS:
        name = f"storm-{len(rest)}"
        if place.submit(body(name)):
            books.studies[name] = N_TRIALS


def _freeze(pid: int, seconds: float) -> None:
    """Let a worker stand still until it has lost its leases; then it wakes and knows nothing."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)


def _blackout(place: Place, books: Books) -> None:
    """Kill everything; a lone worker must free what the dead held within two leases."""
    place.kill_all()
    place.start("one")
    home = place.folder / "one.log"
    size = home.stat().st_size
    until(lambda: b"slots, state in" in home.read_bytes()[size:], seconds=60, what="a worker is up")
    time.sleep(2 * place.lease)
    with books.database.read() as session:
        rows = session.scalars(select(TrialRow).where(TrialRow.state == "RUNNING")).all()
    lone = str(place.pid("one"))
    left = [(row.id, row.worker) for row in rows if (row.worker or "").split(":")[-2] != lone]
    assert left == [], f"still RUNNING after two leases: {left}"

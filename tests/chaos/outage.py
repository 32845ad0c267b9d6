"""A study that is at work when something happens to its database."""

from __future__ import annotations

from typing import Any

from tests.chaos.books import Books
from tests.chaos.service import Place
from tests.chaos.storm import body
from tests.waiting import until


def at_work(place: Place, books: Books, *, n_trials: int, workers: int = 1, **more: Any) -> None:
    """Start a server and workers, and return in the middle of a study."""
    for name in ("server", "one", "two")[: 1 + workers]:
        if not place.is_started(name):
            place.start(name)
    study = body("s", n_trials=n_trials, **more)
    until(lambda: place.submit(study), seconds=60, what="the study is submitted")
    books.studies["s"] = n_trials
    until(lambda: place.journal.stat().st_size, seconds=60, what="a trial runs")


def ends(books: Books, *, seconds: float) -> None:
    """Wait for the studies' end, looking on."""

    def over() -> bool:
        books.look()
        return books.ended()

    until(over, seconds=seconds, what="the study ends")


def status_while_away(place: Place) -> set[int]:
    """What the server says to one who reads and one who writes."""
    client = place.client()
    assert client is not None
    with client:
        answers = [
            client.get("/v1/studies/s"),
            client.post("/v1/studies", json=body("other", n_trials=1)),
        ]
    return {answer.status_code for answer in answers}

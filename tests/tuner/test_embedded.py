"""A study run in one's own process, while its database goes away and comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest

from alphagrad.tuner import StudySpec, embedded, run_study
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_store import StudyStatus
from tests.marks import on_postgresql

AWAY_SECONDS = 1.5


class Outage:
    """Cuts all connections to a database and lets none in, for a while."""

    def __init__(self, url: str) -> None:
        self._server, _, self._name = url.rpartition("/")
        self._timers: list[threading.Timer] = []

    def begin(self) -> None:
        self._allow("false")
        self._execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'"
        )
        self._timers.append(threading.Timer(AWAY_SECONDS, self._allow, ("true",)))
        self._timers[-1].start()

    def wait(self) -> None:
        for timer in self._timers:
            timer.join()

    def _allow(self, whether: str) -> None:
        self._execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS {whether}")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"{self._server}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())


@on_postgresql
def test_outages_at_its_start_and_at_its_end_are_outlived(
    database_url: str,
    settings: TunerSettings,
    spec: Callable[..., StudySpec],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedded, "PROGRESS_SECONDS", 0.0)  # its last tick sees its end
    outage = Outage(database_url)
    begun: set[bool] = set()

    def on_progress(now: StudyStatus) -> None:
        if now.ended not in begun:
            begun.add(now.ended)
            outage.begin()

    try:
        status = run_study(spec(n_trials=2), settings, on_progress=on_progress)
    finally:
        outage.wait()
    assert begun == {False, True}
    assert (status.row.state, status.trials) == ("COMPLETED", {"COMPLETE": 2})

"""Eight claimers on one study: no trial is claimed twice, and without our locks some are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.spec_reading import parse_spec
from alphagrad.tuner.study_store import create_study
from tests.chaos.conftest import Record, Scale
from tests.chaos.crowd import Crowd


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    crowd = Crowd()
    yield crowd
    crowd.close()


def plain(url: str) -> str:
    return Database(url).url.render_as_string(hide_password=False)


def submit(database: Database, *, n_trials: int) -> None:
    """A study of which one half is new slots, and one half trials that wait for an attempt."""
    storage = OptunaStorage(database)
    body = {
        "name": "s", "task": "digits", "n_trials": n_trials, "parallelism": n_trials, "seed": 1,
    }  # fmt: skip
    study = create_study(database, storage, parse_spec(body))
    storage.dispose()
    with database.write() as session:
        session.get_one(StudyRow, study.id).next_slot = n_trials // 2
        for slot in range(n_trials // 2):
            row = TrialRow(study_id=study.id, slot=slot, state="WAITING", fence=0, attempt=0)
            session.add(row)


def claim_twice(crowd: Crowd, url: str, *, n_trials: int, locks: bool) -> tuple[int, int, int]:
    """Let the crowd claim a study; how many claims, trials claimed twice, and errors."""
    database = Database(url)
    migrate(database)
    submit(database, n_trials=n_trials)
    database.dispose()
    answers = crowd.ask(do="claim", url=url, study="s", locks=locks)
    assert all("taken" in answer for answer in answers), answers
    slots = Counter(slot for answer in answers for slot, fence in answer["taken"])
    assert all(fence == 1 for answer in answers for _, fence in answer["taken"])
    twice = sum(count > 1 for count in slots.values())
    return slots.total(), twice, sum(answer["errors"] for answer in answers)


@pytest.fixture
def new_database(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[[], str]:
    """Makes an empty database of the test's kind and gives its URL."""
    if database_url.startswith("postgresql"):
        make: Callable[[], str] = request.getfixturevalue("new_postgres")
        return make
    numbers = iter(range(1000))
    return lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"


@pytest.mark.timeout(1200)
def test_no_trial_is_claimed_twice(
    crowd: Crowd, new_database: Callable[[], str], scale: Scale, record: Record
) -> None:
    n_trials, rounds = scale(200, 1000), scale(1, 10)
    claims = 0
    for _ in range(rounds):
        url = new_database()
        assert (n_trials, 0, 0) == claim_twice(crowd, url, n_trials=n_trials, locks=True)
        claims += n_trials
    record(f"8 claimers, {url.split(':')[0]}", rounds=rounds, claims=claims, twice=0, errors=0)


@pytest.mark.timeout(600)
def test_without_the_locks_trials_are_claimed_twice(
    crowd: Crowd, new_database: Callable[[], str], scale: Scale, record: Record
) -> None:
    # BEGIN IMMEDIATE on SQLite, FOR UPDATE on PostgreSQL: the test above would see their absence.
    url, n_trials = new_database(), scale(100, 400)
    claims, twice, errors = claim_twice(crowd, url, n_trials=n_trials, locks=False)
    assert twice > 0
    kind = url.split(":")[0]
    share = f"{100 * twice / n_trials:.0f} %"
    record(f"the same without locks, {kind}", claims=claims, twice=share, errors=errors)


@pytest.mark.timeout(1200)
def test_simultaneous_first_starts(
    crowd: Crowd, new_database: Callable[[], str], scale: Scale, record: Record
) -> None:
    rounds = scale(2, 20)
    for _ in range(rounds):
        url = new_database()
        assert crowd.ask(do="open", url=url) == [{"found": False}] * 8
    record(f"8 first starts at once, {url.split(':')[0]}", rounds=rounds, errors=0)

"""How many trials of one API key run at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import func, select

from alphagrad.tuner import (
    lease_ends,
    leases,
    parse_spec,
    queueing,
    quotas,
    study_changes,
    study_store,
)
from alphagrad.tuner.access_models import ApiKeyRow
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.errors import QuotaError
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage

Submit = Callable[..., None]


@pytest.fixture
def submit(database: Database) -> Iterator[Submit]:
    """Stores a study of ten trials that may all run at once."""
    storage = OptunaStorage(database)

    def submit(name: str, *, owner: str | None, max_open: int | None = None) -> None:
        spec = {"name": name, "task": "digits", "n_trials": 10, "parallelism": 10}
        study_store.create_study(
            database, storage, parse_spec(spec), owner=owner, max_open=max_open
        )

    yield submit
    storage.dispose()


def add_key(database: Database, name: str, *, role: str = "submitter", most: int | None) -> None:
    with database.write() as session:
        row = ApiKeyRow(name=name, role=role, hash=name, max_running_trials=most)
        row.created_at = db_now()
        session.add(row)


def claim(database: Database, quota: int | None = None) -> leases.Claim | None:
    return leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"], quota=quota)


def claimed(database: Database, quota: int | None = None) -> list[str]:
    """The studies of all trials that can be claimed now, in their order."""
    names = []
    while (found := claim(database, quota)) is not None:
        names.append(found.study.name)
    return names


def running(database: Database, owner: str) -> int:
    with database.read() as session:
        query = select(func.count()).select_from(TrialRow).join(StudyRow)
        query = query.where(StudyRow.owner == owner, TrialRow.state == "RUNNING")
        return session.scalar(query) or 0


def test_a_keys_trials_wait_for_each_other_and_for_nobody_else(
    database: Database, submit: Submit
) -> None:
    add_key(database, "ann", most=3)
    add_key(database, "bob", most=None)
    submit("a1", owner="ann")
    submit("a2", owner="ann")
    submit("b", owner="bob")
    submit("c", owner=None)
    names = claimed(database)
    assert sorted(set(names)) == ["a1", "a2", "b", "c"]
    assert names.count("a1") + names.count("a2") == 3
    assert names.count("b") == names.count("c") == 10
    found = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"], study="a1")
    assert found is None


def test_one_of_a_keys_trials_follows_when_another_ends(database: Database, submit: Submit) -> None:
    add_key(database, "ann", most=1)
    submit("a", owner="ann")
    submit("b", owner="ann")
    first = claim(database)
    assert first is not None
    assert claim(database) is None
    assert queueing.candidates(database, tasks=["digits"], study=None, engine="optuna") == []
    lease_ends.give_back(database, trial_id=first.trial.id, fence=first.fence)
    assert claim(database) is not None
    assert claim(database) is None
    study_changes.stop_study(database, "a")  # what runs still counts
    assert claim(database) is None


def test_the_settings_quota_is_submitters_without_their_own(
    database: Database, submit: Submit
) -> None:
    add_key(database, "ann", most=None)
    add_key(database, "bob", most=4)
    add_key(database, "root", role="admin", most=None)
    for owner in ("ann", "bob", "root"):
        submit(owner, owner=owner)
    submit("gone", owner="a key that is no more")
    names = claimed(database, quota=2)
    assert {name: names.count(name) for name in names} == {
        "ann": 2,
        "bob": 4,
        "root": 10,
        "gone": 10,
    }


def test_none_at_all_is_a_quota_too(database: Database, submit: Submit) -> None:
    add_key(database, "ann", most=0)
    submit("a", owner="ann")
    assert claimed(database) == []


def test_workers_that_claim_at_once_keep_the_quota(database: Database, submit: Submit) -> None:
    add_key(database, "ann", most=5)
    for number in range(4):  # of one study they would wait for each other all the same
        submit(f"s{number}", owner="ann")
    begin = threading.Barrier(4)

    def work() -> None:
        begin.wait()
        while claim(database) is not None:
            pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert running(database, "ann") == 5


def test_studies_submitted_at_once_keep_the_quota(database: Database, submit: Submit) -> None:
    add_key(database, "ann", most=None)
    refused = []
    begin = threading.Barrier(4)

    def work(name: str) -> None:
        begin.wait()
        for number in range(3):
            try:
                submit(f"{name}-{number}", owner="ann", max_open=5)
            except QuotaError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert all("5 open studies of 5" in message for message in refused)


def test_no_owners_no_questions(database: Database) -> None:
    with database.read() as session:
        assert quotas.at_limit(session, [], default=0) == set()

"""A study copied from SQLite to PostgreSQL and back is the same study, and goes on the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import select, text

from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.check import check_database
from alphagrad.tuner.copying import Copied, copy_study
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import (
    ConflictError,
    DuplicateStudyError,
    SettingsError,
    SpecError,
    StudyNotFoundError,
)
from alphagrad.tuner.export import export_study
from alphagrad.tuner.export_rows import TABLES, Tables
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.migrate import revision
from alphagrad.tuner.models import EventRow, ExploitRow, KnobRow, MemberRow, StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.study_changes import resume_study, stop_study
from alphagrad.tuner.study_store import get_study
from alphagrad.tuner.worker import Worker
from tests.tuner.by_hand import play, play_one

Submit = Callable[..., StudyRow]
Trials = Callable[[Database, str], list[optuna.trial.FrozenTrial]]


@pytest.fixture
def other(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of the other kind, without any tables."""
    url = f"sqlite:///{tmp_path / 'other.db'}"
    if database.is_sqlite:
        url = request.getfixturevalue("new_postgres")()
    opened = Database(url)
    yield opened
    opened.dispose()


def exported(database: Database, name: str, what: Tables) -> bytes:
    return b"".join(export_study(database, name, what=what, format="json"))


def test_a_copy_holds_every_row_and_the_way_back_too(
    database: Database, other: Database, submit: Submit, optuna_storage: OptunaStorage,
    optuna_trials: Trials, tmp_path: Path,
) -> None:  # fmt: skip
    submit(name="before", n_trials=1)  # so that ids differ
    play(database, optuna_storage, ["COMPLETE"])
    submit(n_trials=3)
    play(database, optuna_storage, ["COMPLETE", "PRUNED", "FAIL"])
    counts: list[int] = []
    copied = copy_study(database, other, "s", on_rows=counts.append)
    assert copied == Copied("s", "COMPLETED", trials=3, rows=counts[-1])
    back = copy_study(other, database, "s", new_name="again")
    assert back == Copied("again", "COMPLETED", trials=3, rows=copied.rows)
    for place, name in ((other, "s"), (database, "again")):
        for what in TABLES:
            assert exported(place, name, what) == exported(database, "s", what) != b"[]"
        for ours, theirs in zip(
            optuna_trials(database, "s"), optuna_trials(place, name), strict=True
        ):
            theirs._trial_id = ours._trial_id
            assert ours == theirs
        assert get_study(place, name).row.versions == get_study(database, "s").row.versions
        assert get_study(place, name).spec.name == name
        assert check_database(place) == []
    with other.read() as session:
        said = session.execute(select(EventRow.kind, EventRow.study, EventRow.data)).all()
    assert [tuple(row) for row in said] == [("study.submitted", "s", {"state": "COMPLETED"})]


def test_an_open_study_is_finished_there_with_the_same_trials(
    database: Database, other: Database, submit: Submit, optuna_storage: OptunaStorage,
    settings: TunerSettings, tmp_path: Path,
) -> None:  # fmt: skip
    submit(n_trials=14, parallelism=1)  # TPE draws ten at random
    play(database, optuna_storage, ["COMPLETE"] * 11)
    running = play_one(database, optuna_storage, None)
    copied = copy_study(database, other, "s")
    assert (copied.state, copied.trials) == ("PAUSED", 12)
    assert get_study(database, "s").row.state == "RUNNING"
    assert check_database(other) == []
    assert get_study(other, "s").trials == {"COMPLETE": 11, "WAITING": 1, "QUEUED": 2}
    [attempt] = list_attempts(other, list_trials(other, "s")[-1].id)
    assert (attempt.outcome, attempt.error) == (
        "GIVEN_BACK", "the study was copied to this database meanwhile"
    )  # fmt: skip
    with database.write() as session:  # instead of waiting until the lease ends
        statement = text("UPDATE alphagrad_trials SET lease_expires_at = 1 WHERE id = :id")
        session.execute(statement, {"id": running.trial.id})
    resume_study(other, "s")
    for place in (database, other):
        mine = settings.model_copy(update={"home": tmp_path / f"home-{place.is_sqlite}"})
        if place is other:  # of another database's study, which had the copy's id
            folder = mine.checkpoint_dir(get_study(other, "s").row.id, 11)
            folder.mkdir(parents=True)
            (folder / "000001.pt").write_bytes(b"not this trial's")
        Worker(place, mine, study="s").run()
    here, there = (
        [(t.number, t.state, t.seed, t.params, t.value, t.attempt) for t in list_trials(p, "s")]
        for p in (database, other)
    )
    assert here == there
    assert [trial[-1] for trial in here] == [1] * 11 + [2, 1, 1]
    assert check_database(other) == []


def test_what_happened_to_trials_is_copied_with_them(
    database: Database, other: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(name="before", n_trials=1)
    play(database, optuna_storage, ["COMPLETE"])
    submit(n_trials=2)
    first, second = (claim.trial.id for claim in play(database, optuna_storage, ["COMPLETE"] * 2))
    with database.write() as session:
        session.add(KnobRow(trial_id=first, layers="w", alpha=2.0, state="applied", requested_at=1))
        session.add(MemberRow(trial_id=second, step=3, score=0.5, fence=1))
        session.add(
            ExploitRow(
                trial_id=second, fence=1, step=3, score=0.5, params={"alpha": 1.0},
                source_trial_id=first, source_step=4, source_score=0.75,
                source_params={"alpha": 2.0}, new_params={"alpha": 2.4}, created_at=5,
            )
        )  # fmt: skip
    copy_study(database, other, "s")
    copies = {trial.number: trial.id for trial in list_trials(other, "s")}
    with other.read() as session:
        knob = session.scalars(select(KnobRow)).one()
        member = session.scalars(select(MemberRow)).one()
        exploit = session.scalars(select(ExploitRow)).one()
    assert (knob.trial_id, knob.layers, knob.alpha) == (copies[0], "w", 2.0)
    assert (member.trial_id, member.score) == (copies[1], 0.5)
    assert (exploit.trial_id, exploit.source_trial_id) == (copies[1], copies[0])
    assert (exploit.new_params, exploit.source_step) == ({"alpha": 2.4}, 4)


def test_without_details_a_copy_is_trials_and_reports(
    database: Database, other: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=1)
    play(database, optuna_storage, ["COMPLETE"])
    copy_study(database, other, "s", details=False)
    empty = {what: exported(other, "s", what).strip() == b"[]" for what in TABLES}
    assert empty == {"trials": False, "reports": False, "metrics": True, "alpha": True}


def test_a_taken_name_is_refused_and_nothing_is_left_behind(
    database: Database, other: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=1)
    submit(name="ours", n_trials=1)
    storage = optuna_storage.rdb
    optuna.create_study(study_name="theirs", storage=storage)
    for name in ("ours", "theirs"):
        with pytest.raises(DuplicateStudyError, match=f"a study named '{name}' exists"):
            copy_study(database, database, "s", new_name=name)
    copy_study(database, other, "s")
    with pytest.raises(DuplicateStudyError, match="a study named 's' exists"):
        copy_study(database, other, "s")
    copy_study(database, other, "s", new_name="t")
    with database.read() as session:
        assert session.scalars(select(StudyRow.name).order_by(StudyRow.id)).all() == ["s", "ours"]
    assert [study.study_name for study in storage.get_all_studies()] == ["s", "ours", "theirs"]


def test_what_cannot_be_copied_is_named_before_the_target_has_tables(
    database: Database, other: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    alpha = {"type": "float", "low": 1.0, "high": 100.0}
    members: dict[str, Any] = {"perturbation_interval": 1, "mutate": ["alpha"]}
    submit(name="many", n_trials=2, population=members, params={"epochs": 4, "alpha": alpha})
    submit(n_trials=2)
    with pytest.raises(ConflictError, match="study 'many' is a population and has not ended"):
        copy_study(database, other, "many")
    with pytest.raises(SpecError, match=r"name: .* \(got 'a b'\)"):
        copy_study(database, other, "s", new_name="a b")
    with pytest.raises(StudyNotFoundError, match="no study is named 'nobody'"):
        copy_study(database, other, "nobody")
    play_one(database, optuna_storage, None, study="s")
    stop_study(database, "s")
    with pytest.raises(ConflictError, match="study 's' is STOPPING: wait until it has ended"):
        copy_study(database, other, "s")
    assert revision(other) is None
    with pytest.raises(SettingsError, match=r"schema revision None, not [0-9]+: run alphagrad db"):
        copy_study(other, database, "s")


def test_a_sampler_that_notes_ids_of_trials_goes_on_as_it_would_have(
    database: Database, other: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(name="before", n_trials=1)  # so that ids differ
    play(database, optuna_storage, ["COMPLETE"])
    submit(n_trials=24, sampler={"type": "nsga2", "population_size": 4, "mutation_prob": 0.0})
    play(database, optuna_storage, ["COMPLETE"] * 14)
    copy_study(database, other, "s")
    resume_study(other, "s")
    storage = OptunaStorage(other)
    play(other, storage, ["COMPLETE"] * 10)
    play(database, optuna_storage, ["COMPLETE"] * 10)
    storage.dispose()
    here, there = ([t.params for t in list_trials(p, "s")] for p in (database, other))
    assert here == there


def test_a_study_that_misses_trials_is_refused_and_leaves_nothing(
    database: Database, other: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    submit(n_trials=2)
    play(database, optuna_storage, ["COMPLETE"] * 2)
    with database.write() as session:
        session.execute(text("DELETE FROM alphagrad_trials WHERE number = 1"))
    with pytest.raises(ConflictError, match="study 's' is being deleted, or misses rows"):
        copy_study(database, other, "s")
    with database.write() as session:
        session.execute(text("DELETE FROM trial_values"))
        for child in ("intermediate_values", "params", "system_attributes", "user_attributes"):
            session.execute(text(f"DELETE FROM trial_{child}"))
        session.execute(text("DELETE FROM trials"))
    with pytest.raises(ConflictError, match="study 's' is being deleted, or misses rows"):
        copy_study(database, other, "s")
    with other.read() as session:
        assert session.scalars(select(StudyRow)).all() == []


def test_a_trial_that_optuna_still_has_running_has_failed_in_the_copy(
    database: Database, other: Database, submit: Submit, optuna_storage: OptunaStorage
) -> None:
    row = submit(n_trials=1)
    play(database, optuna_storage, ["COMPLETE"])
    assert row.optuna_study_id is not None
    optuna_storage.rdb.create_new_trial(row.optuna_study_id)  # a worker died while it asked
    assert check_database(database) != []
    copy_study(database, other, "s")
    assert check_database(other) == []


def test_a_snapshot_does_not_see_what_is_committed_after_it_began(
    database: Database, submit: Submit
) -> None:
    submit(name="first")
    names = select(StudyRow.name)
    with database.snapshot() as session:
        assert session.scalars(names).all() == ["first"]
        submit(name="second")
        assert session.scalars(names).all() == ["first"]
    with database.snapshot() as session:
        assert session.scalars(names).all() == ["first", "second"]

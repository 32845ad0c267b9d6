import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, text

from alphagrad.tuner import lease_ends, leases, metrics, results, traces
from alphagrad.tuner.asked_trial import AskedTrial
from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import StaleFenceError
from alphagrad.tuner.leases import Claim
from alphagrad.tuner.messages import FinalState, Metrics, Trace
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.settling import settle
from alphagrad.tuner.study_changes import cancel_study, stop_study
from alphagrad.tuner.study_store import get_study
from tests.marks import on_postgresql

Submit = Callable[..., StudyRow]


def claim(database: Database, worker: str = "w", *, seconds: float = 60.0) -> Claim | None:
    return leases.claim(database, worker=worker, lease_seconds=seconds, tasks=["digits"])


def must_claim(database: Database, worker: str = "w", *, seconds: float = 60.0) -> Claim:
    claimed = claim(database, worker, seconds=seconds)
    assert claimed is not None
    return claimed


def trials(database: Database) -> list[TrialRow]:
    with database.read() as session:
        return list(session.query(TrialRow).order_by(TrialRow.id))


def finish(database: Database, claimed: Claim, state: FinalState = "COMPLETE") -> bool:
    return results.finish(
        database, trial_id=claimed.trial.id, fence=claimed.fence, state=state, value=1.0
    )


def expire(database: Database) -> None:
    """Let every lease run out now; waiting would show no more."""
    with database.write() as session:
        session.execute(text("UPDATE alphagrad_trials SET lease_expires_at = 1"))


def asked(number: int = 0) -> AskedTrial:
    return AskedTrial(optuna_trial_id=number + 1, number=number, seed=7, params={"x": 1.5})


def test_a_claim_starts_trial_and_study(database: Database, submit: Submit) -> None:
    submit()
    claimed = must_claim(database, "me")
    assert (claimed.trial.slot, claimed.trial.state, claimed.trial.worker) == (0, "RUNNING", "me")
    assert (claimed.trial.fence, claimed.trial.attempt, claimed.trial.number) == (1, 1, None)
    assert get_study(database, "s").row.state == "RUNNING"
    assert claimed.trial.started_at is not None
    assert claimed.trial.lease_expires_at == pytest.approx(claimed.trial.started_at + 60.0)


def test_claims_respect_parallelism(database: Database, submit: Submit) -> None:
    submit(n_trials=5, parallelism=2)
    first, second = must_claim(database), must_claim(database)
    assert claim(database) is None
    assert finish(database, first)
    third = must_claim(database)
    assert claim(database) is None
    assert [c.trial.slot for c in (first, second, third)] == [0, 1, 2]


def test_claims_end_at_n_trials(database: Database, submit: Submit) -> None:
    submit(n_trials=2, parallelism=5)
    for _ in range(2):
        finish(database, must_claim(database))
    assert claim(database) is None
    assert len(trials(database)) == 2


def test_the_oldest_study_comes_first_and_a_busy_one_does_not_block(
    database: Database, submit: Submit
) -> None:
    submit(name="old", n_trials=1)
    submit(name="new", n_trials=2, parallelism=2)
    assert [must_claim(database).study.name for _ in range(3)] == ["old", "new", "new"]


def test_a_worker_can_keep_to_one_study(database: Database, submit: Submit) -> None:
    submit(name="old")
    submit(name="new")

    def claim_of(study: str) -> Claim | None:
        return leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"], study=study)

    claimed = claim_of("new")
    assert claimed is not None
    assert claimed.study.name == "new"
    assert claim_of("none") is None


def test_studies_of_unknown_tasks_are_left_to_others(database: Database, submit: Submit) -> None:
    submit(name="unknown")
    submit(name="known", task="dqn", params={})
    claimed = leases.claim(database, worker="w", lease_seconds=60, tasks=["dqn", "x"])
    assert claimed is not None
    assert claimed.study.name == "known"
    assert leases.claim(database, worker="w", lease_seconds=60, tasks=["x"]) is None


def test_eight_claimers_take_sixty_slots_once_each(database: Database, submit: Submit) -> None:
    submit(n_trials=60, parallelism=60)
    start = threading.Barrier(8)

    def claim_all(worker: int) -> list[int]:
        own = Database(database.url.render_as_string(hide_password=False))
        start.wait()
        slots = []
        while (claimed := claim(own, f"w{worker}")) is not None:
            slots.append(claimed.trial.slot)
        own.dispose()
        return slots

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(claim_all, range(8)))
    assert sorted(slot for slots in taken for slot in slots) == list(range(60))
    assert all(trial.fence == 1 for trial in trials(database))


def test_eight_claimers_never_exceed_the_parallelism(database: Database, submit: Submit) -> None:
    submit(n_trials=30, parallelism=3)
    most = 0

    def work(worker: int) -> int:
        nonlocal most
        done = 0
        while get_study(database, "s").finished_trials < 30:
            if (claimed := claim(database, f"w{worker}")) is None:
                continue
            most = max(most, get_study(database, "s").trials.get("RUNNING", 0))
            assert finish(database, claimed)
            done += 1
        return done

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 30
    assert 1 <= most <= 3


def test_a_lease_that_ran_out_is_freed_and_taken_over(
    database: Database, submit: Submit, until: Callable[..., object]
) -> None:
    submit()
    old = must_claim(database, "old", seconds=0.05)
    results.record_ask(database, old, asked())
    until(lambda: lease_ends.reap(database) == 1)
    new = must_claim(database, "new")
    assert new.trial.id == old.trial.id
    assert (new.fence, new.trial.attempt, new.trial.losses) == (2, 2, 1)
    assert (new.trial.number, new.trial.params, new.trial.seed) == (0, {"x": 1.5}, 7)
    assert new.trial.worker == "new"
    assert lease_ends.reap(database) == 0


def test_a_lease_that_holds_is_left_alone(database: Database, submit: Submit) -> None:
    submit()
    must_claim(database)
    assert lease_ends.reap(database) == 0
    assert [trial.state for trial in trials(database)] == ["RUNNING"]


def test_a_waiting_trial_comes_before_a_new_slot(database: Database, submit: Submit) -> None:
    submit()
    first = must_claim(database)
    expire(database)
    assert lease_ends.reap(database) == 1
    assert must_claim(database).trial.id == first.trial.id
    assert len(trials(database)) == 1


def test_an_old_fence_is_refused(database: Database, submit: Submit) -> None:
    submit()
    old = must_claim(database, "old")
    expire(database)
    lease_ends.reap(database)
    new = must_claim(database, "new")
    stale = {"trial_id": old.trial.id, "fence": old.fence}
    row = np.ones((1, 1), dtype=np.float32)
    batch = Metrics(first=0, names=["a"], which=[0], steps=[1], values=[0.5])
    for write in (
        lambda: finish(database, old),
        lambda: results.record_ask(database, old, asked()),
        lambda: lease_ends.give_back(database, trial_id=old.trial.id, fence=old.fence),
        lambda: traces.record_layers(database, **stale, names=["w"]),
        lambda: traces.append_trace(database, **stale, trace=Trace(0, [1], row, row)),
        lambda: metrics.append_metrics(database, **stale, batch=batch),
    ):
        with pytest.raises(StaleFenceError, match="fence 1 is lost"):
            write()
    [trial] = trials(database)
    assert (trial.state, trial.value, trial.worker) == ("RUNNING", None, "new")
    assert (trial.number, trial.layers, trial.metrics) == (None, None, None)
    assert traces.read_trace(database, trial).steps == []
    assert finish(database, new)


def test_a_lease_can_be_renewed_until_it_is_lost(database: Database, submit: Submit) -> None:
    submit(parallelism=2)
    kept, lost = must_claim(database, "me"), must_claim(database, "me", seconds=-1)
    lease_ends.reap(database)
    mine = {(kept.trial.id, kept.fence), (lost.trial.id, lost.fence)}

    def renew(worker: str) -> set[tuple[int, int]]:
        return leases.renew(database, mine, worker=worker, lease_seconds=1000)

    assert renew("another") == set()
    before = trials(database)[0].lease_expires_at
    assert renew("me") == {(kept.trial.id, kept.fence)}
    assert (trials(database)[0].lease_expires_at or 0) > (before or 0) + 500
    assert leases.renew(database, [], worker="me", lease_seconds=1) == set()
    # The same worker may win its own trial back: the old fence is lost all the same.
    assert must_claim(database, "me").trial.id == lost.trial.id
    assert renew("me") == {(kept.trial.id, kept.fence)}


def test_a_finish_is_recorded_once(database: Database, submit: Submit) -> None:
    submit()
    claimed = must_claim(database)
    results.record_ask(database, claimed, asked())
    identity = {"trial_id": claimed.trial.id, "fence": claimed.fence}
    assert results.finish(database, **identity, state="COMPLETE", value=0.5)  # type: ignore[arg-type]
    # The same result again, as after an answer that was lost; another result is refused.
    assert results.finish(database, **identity, state="COMPLETE", value=0.7)  # type: ignore[arg-type]
    with pytest.raises(StaleFenceError):
        results.finish(database, **identity, state="FAIL", error="late")  # type: ignore[arg-type]
    [trial] = trials(database)
    assert (trial.state, trial.value, trial.error) == ("COMPLETE", 0.5, None)
    assert (trial.worker, trial.lease_expires_at, trial.failures) == (None, None, 0)
    assert trial.told
    assert results.untold(database) == []


def test_failures_are_retried_within_the_budget(database: Database, submit: Submit) -> None:
    submit(retries=2)
    for attempt in (1, 2, 3):
        claimed = must_claim(database)
        assert (claimed.trial.slot, claimed.trial.attempt, claimed.fence) == (0, attempt, attempt)
        over = results.finish(
            database,
            trial_id=claimed.trial.id,
            fence=claimed.fence,
            state="FAIL",
            error=f"error {attempt}",
            retries=2,
        )
        assert over == (attempt == 3)
    [trial] = trials(database)
    assert (trial.state, trial.error, trial.failures) == ("FAIL", "error 3", 3)
    assert must_claim(database).trial.slot == 1


def test_a_lost_worker_does_not_use_up_retries(database: Database, submit: Submit) -> None:
    submit()
    must_claim(database)
    expire(database)
    lease_ends.reap(database)
    assert trials(database)[0].failures == 0


def test_a_trial_that_loses_all_its_workers_is_given_up(
    database: Database, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_ends, "MAX_LOSSES", 3)
    submit(n_trials=1)
    for _ in range(4):
        must_claim(database, seconds=-1)
        assert lease_ends.reap(database) == 1
    [trial] = trials(database)
    assert (trial.state, trial.error) == ("FAIL", "lost its worker 4 times")
    assert claim(database) is None


def test_a_trial_that_lost_its_machine_is_free_at_once(database: Database, submit: Submit) -> None:
    submit(n_trials=1)
    for losses in range(1, lease_ends.MAX_LOSSES + 2):
        lost = must_claim(database)
        lease_ends.lose(database, trial_id=lost.trial.id, fence=lost.fence, error="no power")
        [trial] = trials(database)
        assert (trial.losses, trial.failures) == (losses, 0)
        with pytest.raises(StaleFenceError):
            lease_ends.lose(database, trial_id=lost.trial.id, fence=lost.fence, error="again")
    assert (trial.state, trial.error) == ("FAIL", "lost its worker 21 times, at last: no power")
    history = list_attempts(database, trial.id)
    assert [one.outcome for one in history] == ["LOST"] * lease_ends.MAX_LOSSES + ["FAIL"]
    assert history[0].error == "no power"


def test_a_trial_given_back_is_free_at_once(database: Database, submit: Submit) -> None:
    submit(n_trials=1)
    first = must_claim(database, "first")
    lease_ends.give_back(database, trial_id=first.trial.id, fence=first.fence)
    second = must_claim(database, "second")
    assert (second.trial.id, second.fence) == (first.trial.id, 2)
    assert (second.trial.losses, second.trial.failures) == (0, 0)


@pytest.mark.parametrize(("end", "word"), [(stop_study, "stopped"), (cancel_study, "cancelled")])
def test_a_trial_given_back_to_a_closed_study_ends(
    database: Database, submit: Submit, end: Callable[[Database, str], object], word: str
) -> None:
    submit(parallelism=2)
    back, lost = must_claim(database), must_claim(database)
    end(database, "s")
    assert claim(database) is None
    lease_ends.give_back(database, trial_id=back.trial.id, fence=back.fence)
    expire(database)
    lease_ends.reap(database)
    assert lost.trial.id != back.trial.id
    assert [(trial.state, trial.error) for trial in trials(database)] == [
        ("FAIL", f"the study was {word}")
    ] * 2


@pytest.mark.parametrize(("end", "word"), [(stop_study, "stopped"), (cancel_study, "cancelled")])
def test_closing_a_study_ends_the_trials_that_wait(
    database: Database, submit: Submit, end: Callable[[Database, str], object], word: str
) -> None:
    submit()
    waiting = must_claim(database)
    lease_ends.give_back(database, trial_id=waiting.trial.id, fence=waiting.fence)
    end(database, "s")
    [trial] = trials(database)
    assert (trial.state, trial.error) == ("FAIL", f"the study was {word}")


def test_a_study_that_is_deleted_at_this_moment_is_passed_over(
    database: Database, submit: Submit
) -> None:
    submit(name="gone", priority=1)
    submit(name="next")
    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            session.execute(text("DELETE FROM alphagrad_studies WHERE name = 'gone'"))
            claiming = pool.submit(claim, database)
            time.sleep(0.5)  # it has found both, and waits for the row
            assert not claiming.done()
        claimed = claiming.result()
    assert claimed is not None
    assert claimed.study.name == "next"


@on_postgresql  # SQLite has one writer
def test_a_trial_given_back_while_its_study_closes_is_not_left_waiting(
    database: Database, submit: Submit, until: Callable[..., object]
) -> None:
    submit()
    claimed = must_claim(database)
    closing = threading.Thread(target=cancel_study, args=(database, "s"))
    with database.write() as session:
        lease_ends.release(
            session, leases.held(session, claimed.trial.id, claimed.fence), outcome="GIVEN_BACK"
        )
        closing.start()

        def closed_or_waits() -> bool:
            waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            with database.read() as other:
                return not closing.is_alive() or bool(other.scalar(waits))

        until(closed_or_waits)
    closing.join()
    lease_ends.reap(database)
    settle(database)
    assert get_study(database, "s").row.state == "CANCELLED"
    assert [trial.state for trial in trials(database)] == ["FAIL"]


def test_sqlite_finds_what_optuna_is_to_be_told_by_an_index(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    migrate(database)
    seen: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        seen.append((f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    assert results.untold(database) == []
    event.remove(database.engine, "before_cursor_execute", note)
    with database.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(*seen[-1])]
    database.dispose()
    assert plan[0] == "SCAN alphagrad_trials USING INDEX ix_alphagrad_trials_untold"

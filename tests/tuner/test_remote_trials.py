"""Remote trials on the database: asks, leases, the housekeeper, and what two servers do at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import optuna
import pytest
from sqlalchemy import select, text

from alphagrad.tuner import lease_ends, leases
from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.embedded import run_study
from alphagrad.tuner.errors import SpecError, StaleFenceError
from alphagrad.tuner.housekeeping import Housekeeper
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.messages import Finished, Report
from alphagrad.tuner.models import StudyRow, TrialRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.remote_asks import Asked
from alphagrad.tuner.remote_reports import Said
from alphagrad.tuner.remote_trials import RemoteTrials
from alphagrad.tuner.remote_turns import AskTurns
from alphagrad.tuner.spec_reading import parse_spec
from alphagrad.tuner.study_changes import cancel_study
from alphagrad.tuner.study_store import create_study, get_study, get_trial

Submit = Callable[..., StudyRow]
OptunaTrials = Callable[[Database, str], list[optuna.trial.FrozenTrial]]


@pytest.fixture
def servers(database: Database) -> Iterator[list[RemoteTrials]]:
    """Two servers on the database."""
    storages = [OptunaStorage(database) for _ in range(2)]
    yield [RemoteTrials(database, storage, lease_seconds=600) for storage in storages]
    for storage in storages:
        storage.dispose()


@pytest.fixture
def remote(database: Database, optuna_storage: OptunaStorage) -> Submit:
    """Submits a study of engine ``remote``; keywords replace its fields."""

    def submit(**changes: Any) -> StudyRow:
        x = {"type": "float", "low": 0.0, "high": 1.0}
        body = {"name": "s", "engine": "remote", "n_trials": 2, "seed": 1, "params": {"x": x}}
        return create_study(database, optuna_storage, parse_spec(body | changes))

    return submit


@pytest.fixture
def keeper(database: Database, optuna_storage: OptunaStorage) -> Housekeeper:
    return Housekeeper(database, optuna_storage, lease_seconds=1)


def expire(database: Database, client: str = "%") -> None:
    """Let the leases of a client run out, or all."""
    with database.write() as session:
        session.execute(
            text("UPDATE alphagrad_trials SET lease_expires_at = 1 WHERE worker LIKE :worker"),
            {"worker": f"client:{client}"},
        )


def until_claimed(database: Database, trial_id: int) -> None:
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        with database.read() as session:
            if session.get(TrialRow, trial_id) is not None:
                return
        time.sleep(0.02)
    raise AssertionError("nobody claims it")


def taken(asked: Asked) -> TrialRow:
    assert asked.claim is not None
    return asked.claim.trial


def turn_until(keeper: Housekeeper, so: Callable[[], bool]) -> None:
    """Let a housekeeper work until something is so."""
    give_up_at = time.monotonic() + 30
    while not so():
        assert time.monotonic() < give_up_at
        keeper.turn()
        time.sleep(0.02)


def test_two_servers_give_a_client_one_trial(
    database: Database, servers: list[RemoteTrials], remote: Submit, optuna_trials: OptunaTrials
) -> None:
    remote(n_trials=3, parallelism=3)
    with ThreadPoolExecutor(8) as pool:
        asks = [pool.submit(server.ask, "s", client=c) for c in "abab" for server in servers]
        trials = [taken(asked.result()) for asked in asks]
    assert {(trial.worker, trial.number is None) for trial in trials} == {
        ("client:a", False),
        ("client:b", False),
    }
    for client in "ab":
        own = [trial for trial in trials if trial.worker == f"client:{client}"]
        assert len({(t.id, t.number, t.fence, str(t.params), t.seed) for t in own}) == 1
    if not database.is_sqlite:  # where one server is all there is, it draws once by itself
        assert len(optuna_trials(database, "s")) == 2
    stored = {trial.number: trial.params for trial in list_trials(database, "s")}
    assert {trial.number: trial.params for trial in trials} == stored


def test_a_client_goes_on_where_its_server_died_in_the_ask(
    database: Database, servers: list[RemoteTrials], remote: Submit, optuna_trials: OptunaTrials
) -> None:
    remote(n_trials=1)
    first = taken(servers[0].ask("s", client="a"))
    with database.write() as session:  # as if it had died before it wrote down what was drawn
        session.execute(text("UPDATE alphagrad_trials SET number = NULL, params = NULL"))
    again = taken(servers[1].ask("s", client="a"))
    assert (again.id, again.fence, again.number) == (first.id, 1, first.number)
    assert again.params == first.params
    assert len(optuna_trials(database, "s")) == 1


def test_the_reports_of_an_attempt_replace_those_of_the_one_before_from_its_first_step_on(
    database: Database,
    servers: list[RemoteTrials],
    remote: Submit,
    optuna_trials: OptunaTrials,
) -> None:
    remote(n_trials=1, pruner={"type": "threshold", "upper": 9.0})

    def report(server: RemoteTrials, fence: int, **values: float) -> bool:
        reports = [Report(int(step[1:]), value) for step, value in values.items()]
        standing = server.report("s", 0, fence=fence, said=Said(reports=reports))
        return standing.prune_reason is not None

    def stored() -> dict[int, float]:
        [trial] = optuna_trials(database, "s")
        return trial.intermediate_values

    first = taken(servers[0].ask("s", client="a"))
    assert report(servers[0], first.fence, _1=1.0, _2=2.0, _3=3.0, _4=10.0)
    expire(database)
    assert lease_ends.reap(database, remote=True) == 1
    second = taken(servers[0].ask("s", client="b"))
    assert stored() == {1: 1.0, 2: 2.0, 3: 3.0, 4: 10.0}
    with pytest.raises(StaleFenceError):
        report(servers[1], first.fence, _1=1.5)
    assert stored() == {1: 1.0, 2: 2.0, 3: 3.0, 4: 10.0}
    for server in servers:  # the answer to the first one was lost
        assert not report(server, second.fence, _2=2.5)
        assert stored() == {1: 1.0, 2: 2.5}
    assert not report(servers[0], second.fence, _3=3.5, _6=6.5)
    assert not report(servers[1], second.fence, _5=5.5)
    assert stored() == {1: 1.0, 2: 2.5, 3: 3.5, 5: 5.5, 6: 6.5}


def test_a_slow_ask_hands_out_a_whole_lease(
    database: Database,
    optuna_storage: OptunaStorage,
    servers: list[RemoteTrials],
    remote: Submit,
) -> None:
    remote(n_trials=2, parallelism=2)
    first = taken(servers[0].ask("s", client="a"))
    lease = 4.0
    server = RemoteTrials(database, optuna_storage, lease_seconds=lease)
    with ThreadPoolExecutor(1) as pool:
        with AskTurns(database).alone(first.id + 1):  # as by another server that draws
            asked = pool.submit(server.ask, "s", client="b")
            give_up_at = time.monotonic() + 1.3 * lease
            while time.monotonic() < give_up_at:
                assert lease_ends.reap(database, remote=True) == 0
                time.sleep(0.1)
            assert not asked.done()
            with database.read() as session:
                before = session.scalar(select(db_now())) or 0.0
        trial = taken(asked.result())
    assert trial.fence == 1
    with database.read() as session:
        expires = select(TrialRow.lease_expires_at).where(TrialRow.id == trial.id)
        assert (session.scalar(expires) or 0.0) >= before + lease - 0.01  # SQLite's milliseconds


def test_a_lease_that_is_lost_in_an_ask_is_not_handed_out(
    database: Database, servers: list[RemoteTrials], remote: Submit
) -> None:
    remote(n_trials=2, parallelism=2)
    first = taken(servers[0].ask("s", client="a"))
    with ThreadPoolExecutor(1) as pool:
        with AskTurns(database).alone(first.id + 1):
            asked = pool.submit(servers[1].ask, "s", client="b")
            until_claimed(database, first.id + 1)
            expire(database, "b")
            assert lease_ends.reap(database, remote=True) == 1
        assert asked.result().claim is None


def test_workers_leave_leases_of_clients_alone(
    database: Database, servers: list[RemoteTrials], remote: Submit
) -> None:
    remote()
    trial = taken(servers[0].ask("s", client="a"))
    expire(database)
    assert lease_ends.reap(database) == 0
    servers[1].heartbeat("s", 0, fence=trial.fence)
    assert lease_ends.reap(database, remote=True) == 0
    expire(database)
    assert lease_ends.reap(database, remote=True) == 1
    with pytest.raises(StaleFenceError):
        servers[0].heartbeat("s", 0, fence=trial.fence)


def test_workers_do_not_claim_what_clients_ask_for(
    database: Database, remote: Submit, submit: Submit
) -> None:
    remote(task="digits")
    submit(name="local")
    claimed = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    assert claimed is not None
    assert claimed.study.name == "local"
    assert leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"]) is None


def test_the_housekeeper_waits_a_lease_before_it_frees_a_trial(
    database: Database, servers: list[RemoteTrials], remote: Submit, keeper: Housekeeper
) -> None:
    remote()
    servers[0].ask("s", client="a")
    expire(database)
    keeper.turn()  # its server may just have been started again
    assert get_trial(database, "s", 0).state == "RUNNING"
    turn_until(keeper, lambda: get_trial(database, "s", 0).state == "WAITING")
    (attempt,) = list_attempts(database, get_trial(database, "s", 0).id)
    assert attempt.outcome == "LOST"
    assert taken(servers[0].ask("s", client="b")).number == 0


def test_the_housekeeper_ends_what_was_cancelled(
    database: Database,
    servers: list[RemoteTrials],
    remote: Submit,
    keeper: Housekeeper,
    optuna_trials: OptunaTrials,
) -> None:
    remote()
    servers[0].ask("s", client="a")
    cancel_study(database, "s")
    turn_until(keeper, lambda: get_study(database, "s").row.finished_at is not None)
    trial = get_trial(database, "s", 0)
    assert (trial.state, trial.error) == ("FAIL", "the study was cancelled")
    assert [trial.state.name for trial in optuna_trials(database, "s")] == ["FAIL"]


def test_a_study_that_cannot_be_read_keeps_no_other_from_its_end(
    database: Database, servers: list[RemoteTrials], remote: Submit, keeper: Housekeeper
) -> None:
    for name in ("older", "s"):
        remote(name=name)
        servers[0].ask(name, client="a")
        cancel_study(database, name)
    with database.write() as session:  # it was stored when this was allowed
        row = session.scalars(select(StudyRow).where(StudyRow.name == "older")).one()
        row.spec = row.spec | {"max_failed_trials": 2**31}

    def ended() -> bool:
        rows = [get_study(database, name).row for name in ("older", "s")]
        return all(row.finished_at is not None for row in rows)

    turn_until(keeper, ended)


def test_an_attempt_that_takes_too_long_has_failed(
    database: Database, servers: list[RemoteTrials], remote: Submit, keeper: Housekeeper
) -> None:
    remote(n_trials=1, trial_timeout=0.2, retries=1)
    one = taken(servers[0].ask("s", client="a"))
    turn_until(keeper, lambda: get_trial(database, "s", 0).state == "WAITING")
    with pytest.raises(StaleFenceError):
        servers[0].report("s", 0, fence=one.fence, said=Said(reports=[Report(1, 0.5)]))
    servers[0].ask("s", client="a")
    turn_until(keeper, lambda: get_study(database, "s").row.state == "FAILED")
    assert get_trial(database, "s", 0).error == "ran longer than trial_timeout=0.2"
    outcomes = [one.outcome for one in list_attempts(database, get_trial(database, "s", 0).id)]
    assert outcomes == ["FAIL", "FAIL"]


def test_a_study_out_of_time_starts_no_more(
    database: Database, servers: list[RemoteTrials], remote: Submit, keeper: Housekeeper
) -> None:
    remote(timeout=0.1)
    trial = taken(servers[0].ask("s", client="a"))
    turn_until(keeper, lambda: get_study(database, "s").row.state == "STOPPING")
    end = Finished(state="COMPLETE", value=1.0)
    servers[0].tell("s", 0, fence=trial.fence, end=end, constraints={})
    assert servers[0].ask("s", client="a").claim is None
    turn_until(keeper, lambda: get_study(database, "s").row.state == "COMPLETED")


def test_a_remote_study_cannot_be_run_here(database: Database) -> None:
    body = {"name": "s", "engine": "remote", "n_trials": 1}
    with pytest.raises(SpecError, match="submit it to a server"):
        run_study(parse_spec(body))


@pytest.mark.parametrize("seed", range(2))
def test_whatever_clients_do_each_trial_ends_once(
    database: Database,
    servers: list[RemoteTrials],
    remote: Submit,
    keeper: Housekeeper,
    optuna_trials: OptunaTrials,
    seed: int,
) -> None:
    """Clients that repeat, die, come late and fail, against what they may expect."""
    draw = random.Random(seed)
    remote(n_trials=8, parallelism=3, retries=1, sampler={"type": "random"})
    claims: list[TrialRow] = []  # of all clients, those of long ago too
    holders: dict[int, tuple[str, int]] = {}  # by slot, who has it with which fence
    fences: dict[int, int] = {}
    ended: dict[int, tuple[str, float]] = {}
    for turn in range(100):
        server, client = draw.choice(servers), draw.choice("abcd")
        what = draw.choice(["ask", "report", "report", "tell", "die"])
        if what == "ask" or not claims:
            asked = server.ask("s", client=client).claim
            own = [(slot, fence) for slot, (who, fence) in holders.items() if who == client]
            if own:
                assert asked is not None
                assert own == [(asked.trial.slot, asked.fence)]
            elif asked is not None:
                slot = asked.trial.slot
                assert slot not in holders.keys() | ended.keys()
                assert asked.fence == fences.get(slot, 0) + 1
                fences[slot], holders[slot] = asked.fence, (client, asked.fence)
                claims.append(asked.trial)
            assert len(holders) <= 3
            continue
        if what == "die":
            expire(database, client)
            lost = [slot for slot, (who, _) in holders.items() if who == client]
            assert lease_ends.reap(database, remote=True) == len(lost)
            for slot in lost:
                del holders[slot]
            continue
        trial = draw.choice(claims)
        number, fence = trial.number or 0, trial.fence
        if holders.get(trial.slot, ("", 0))[1] != fence:
            with pytest.raises(StaleFenceError):
                server.report("s", number, fence=fence, said=Said(reports=[Report(turn, 1.0)]))
        elif what == "report":
            for _ in range(draw.randint(1, 2)):
                said = Said(reports=[Report(turn, float(turn))])
                server.report("s", number, fence=fence, said=said)
        else:
            fails = draw.random() < 0.3
            end = Finished("FAIL", error="x") if fails else Finished("COMPLETE", float(turn))
            for told_by in (server, *draw.choices(servers, k=draw.randint(0, 1))):
                row = told_by.tell("s", number, fence=fence, end=end, constraints={})
                assert row.state == ("WAITING" if fails and row.failures == 1 else end.state)
            del holders[trial.slot]
            if row.state != "WAITING":
                ended[trial.slot] = (row.state, float(turn))
    expire(database)
    lease_ends.reap(database, remote=True)
    while (asked := servers[0].ask("s", client="last").claim) is not None:
        number, end = asked.trial.number or 0, Finished("COMPLETE", 1000.0)
        servers[1].tell("s", number, fence=asked.fence, end=end, constraints={})
        assert asked.trial.slot not in ended
        ended[asked.trial.slot] = ("COMPLETE", 1000.0)
    turn_until(keeper, lambda: get_study(database, "s").row.finished_at is not None)
    trials = list_trials(database, "s")
    assert [trial.slot for trial in sorted(trials, key=lambda t: t.slot)] == list(range(8))
    for trial in trials:
        state, value = ended[trial.slot]
        assert trial.state == state
        assert trial.value == (value if state == "COMPLETE" else None)
    theirs = {trial.number: trial.state.name for trial in optuna_trials(database, "s")}
    assert theirs == {trial.number: trial.state for trial in trials}

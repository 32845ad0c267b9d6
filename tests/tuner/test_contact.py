import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import text

from alphagrad.tuner import lease_ends, leases
from alphagrad.tuner.contact import Contact
from alphagrad.tuner.database import Database
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.study_store import get_study

LEASE = 0.6


def test_contact_is_steady_from_the_start_and_while_answers_come() -> None:
    contact = Contact(LEASE)
    assert contact.is_steady()
    for _ in range(3):
        time.sleep(LEASE / 2)  # a thread that is late is no outage
        with contact.made():
            assert contact.is_steady()
        assert contact.is_steady()


def test_a_slow_answer_is_an_outage_and_then_a_lease_has_to_pass() -> None:
    contact = Contact(LEASE)
    with contact.made():
        time.sleep(LEASE / 2)
        assert not contact.is_steady()
    assert not contact.is_steady()  # now the others renew their leases
    time.sleep(LEASE)
    assert contact.is_steady()


def test_a_failure_lasts_until_an_answer_comes() -> None:
    contact = Contact(LEASE)
    with suppress(OSError), contact.made():
        raise OSError
    time.sleep(LEASE / 2)
    assert not contact.is_steady()
    with contact.made():
        pass
    assert not contact.is_steady()
    time.sleep(LEASE)
    assert contact.is_steady()


def test_who_was_out_of_contact_frees_nothing(
    database: Database, submit: Callable[..., StudyRow]
) -> None:
    submit()
    assert leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"])
    with database.write() as session:
        session.execute(text("UPDATE alphagrad_trials SET lease_expires_at = 1"))
    assert lease_ends.reap(database, only_if=lambda: False) == 0
    assert get_study(database, "s").trials["RUNNING"] == 1
    assert lease_ends.reap(database, only_if=lambda: True) == 1

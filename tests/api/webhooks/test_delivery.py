"""Webhooks to real receivers: signed, in order, again after a failure, and nowhere private."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from alphagrad.api import webhook_sender, webhook_store
from alphagrad.tuner.database import Database
from tests.api.webhooks.playing import PLAYED, given_up, hook, play
from tests.api.webhooks.receiver import Receiver

Wait = Callable[..., Any]
Open = Callable[..., httpx.Client]


def test_events_come_signed_in_order_and_only_those_asked_for(
    quick: None, serve: Open, wait_for: Wait
) -> None:
    api = serve()
    with Receiver() as all_events, Receiver() as of_s:
        url = f"http://localhost:{all_events.port}/hook?a=1"
        first = hook(api, url)
        second = hook(api, f"http://127.0.0.1:{of_s.port}", events=["*.submitted"], study="s")
        for name in ("r", "s"):
            play(api, name)
        wait_for(lambda: len(all_events.deliveries) == 8 and of_s.deliveries)
        assert all_events.states == PLAYED * 2
        assert [one.event["study"] for one in all_events.deliveries] == ["r"] * 4 + ["s"] * 4
        assert of_s.states == PLAYED[:1]
        for one in all_events.deliveries:
            assert one.path == "/hook?a=1"
            assert one.is_signed_with(first["secret"])
            assert not one.is_signed_with(second["secret"])
            assert one.headers["host"] == f"localhost:{all_events.port}"
            assert one.headers["content-type"] == "application/json"
        ids = [one.headers["webhook-id"] for one in all_events.deliveries]
        assert len(set(ids)) == 8
        shown = api.get("/v1/webhooks").json()["items"]
        assert [one["id"] for one in shown] == [first["id"], second["id"]]
        assert not [one for one in shown if "secret" in one]
        now = api.get(f"/v1/webhooks/{first['id']}").json()
        assert (now["state"], now["failures"], now["error"]) == ("active", 0, None)
        assert api.delete(f"/v1/webhooks/{first['id']}").status_code == 204
        for method in ("get", "delete"):
            assert getattr(api, method)(f"/v1/webhooks/{first['id']}").status_code == 404
        play(api, "t")
        hook(api, f"http://127.0.0.1:{of_s.port}", study="u")
        play(api, "u")
        wait_for(lambda: len(of_s.deliveries) == 5)
        assert len(all_events.deliveries) == 8


def test_an_event_that_was_not_taken_comes_again_before_the_next(
    quick: None, serve: Open, wait_for: Wait
) -> None:
    api = serve()
    answers = iter([500, 429])
    with Receiver(lambda delivery: (next(answers, 200), {})) as receiver:
        made = hook(api, f"http://127.0.0.1:{receiver.port}")
        play(api, "s")
        wait_for(lambda: len(receiver.deliveries) == 6)
        assert receiver.states == PLAYED[:1] * 2 + PLAYED
        ids = [one.headers["webhook-id"] for one in receiver.deliveries]
        assert (len(set(ids[:3])), len(set(ids))) == (1, 4)
        wait_for(lambda: api.get(f"/v1/webhooks/{made['id']}").json()["state"] == "active")


@pytest.mark.parametrize(
    ("status", "tries", "error"),
    [
        (500, 3, "it answered 500"),
        (302, 3, "it answered 302, and redirects are not followed"),
        (410, 1, "it answered 410"),
    ],
)
def test_a_receiver_that_takes_nothing_is_given_up(
    quick: None, serve: Open, wait_for: Wait, status: int, tries: int, error: str
) -> None:
    api = serve()
    with Receiver() as elsewhere:
        away = {"Location": f"http://127.0.0.1:{elsewhere.port}/"}
        with Receiver(lambda delivery: (status, away)) as receiver:
            made = hook(api, f"http://127.0.0.1:{receiver.port}")
            play(api, "s")

            shown = wait_for(lambda: given_up(api, made["id"]))
            assert (shown["failures"], shown["error"]) == (tries, error)
            assert (shown["retry_at"], shown["delivered_at"]) == (None, None)
            assert receiver.states == PLAYED[:1] * tries
        assert elsewhere.deliveries == []


def test_a_receiver_that_hangs_or_is_not_there_is_named(
    quick: None, serve: Open, wait_for: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sender, "ANSWER_SECONDS", 0.2)
    api = serve()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        made = hook(api, url)
        play(api, "s")
        shown = wait_for(lambda: given_up(api, made["id"]))
        assert shown["error"] == "no answer within 0.2 s"
    with Receiver() as other:
        # One that hangs does not hold up others.
        hook(api, f"http://127.0.0.1:{other.port}")
        play(api, "t")
        # Within 0.2 s this one may not answer each time either, and is sent it again then.
        wait_for(lambda: len({one.headers["webhook-id"] for one in other.deliveries}) == 4)


def test_two_servers_deliver_each_event_once_and_take_over_from_one_that_died(
    quick: None, serve: Open, wait_for: Wait, state: Database
) -> None:
    api, _ = serve(), serve()
    with Receiver() as receiver:
        made = hook(api, f"http://127.0.0.1:{receiver.port}")
        for number in range(5):
            play(api, f"s{number}")
        wait_for(lambda: len(receiver.deliveries) == 20)
        assert receiver.states == PLAYED * 5

        def claimed() -> object:
            return webhook_store.claim(state, made["id"], sender="dead")

        wait_for(claimed)
        assert webhook_store.claim(state, made["id"], sender="late") is None
        play(api, "t")
        assert len(receiver.deliveries) == 20
        with state.write() as session:
            session.execute(text("UPDATE alphagrad_webhooks SET lease_expires_at = 1"))
        wait_for(lambda: len(receiver.deliveries) == 24)
        assert not webhook_store.delivered(state, made["id"], sender="dead", position=0)
        assert receiver.states == PLAYED * 6


def test_a_server_goes_on_where_the_last_one_stopped(
    quick: None, serve: Open, wait_for: Wait
) -> None:
    off = serve(webhooks=False)
    refused = off.post("/v1/webhooks", json={"url": "https://example.org", "events": ["*"]})
    assert refused.status_code == 409
    assert "ALPHAGRAD_WEBHOOKS=true" in refused.json()["detail"]
    api = serve()
    with Receiver() as receiver:
        hook(api, f"http://127.0.0.1:{receiver.port}", study="s")
        play(api, "r")
        play(off, "s")
        wait_for(lambda: len(receiver.deliveries) == 4)
        assert receiver.states == PLAYED


def test_an_address_is_checked_at_each_delivery(
    quick: None, serve: Open, wait_for: Wait, state: Database
) -> None:
    """What was allowed when the webhook was made, or what its name meant then, counts no more."""
    api = serve(local=False)
    with Receiver() as receiver:
        for url in (f"https://localhost:{receiver.port}", f"http://127.0.0.1:{receiver.port}"):
            webhook_store.create(state, url=url, globs=["*"], study=None, secret="whsec_")
        play(api, "s")
        first, second = (wait_for(lambda n=number: given_up(api, n)) for number in (1, 2))
        assert "addresses of this machine" in first["error"]
        assert second["error"] == "the URL must begin with https://HOST"
        assert receiver.deliveries == []

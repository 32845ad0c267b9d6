"""The mailbox between a Ray driver and its trials, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from alphagrad.tuner.messages import Lost, Report, Synced, TrialRequest, Verdict
from alphagrad.tuner.ray_mailbox import Exited, Mailbox, Started

REQUEST = TrialRequest("s", 0, "digits", 1, {}, 1, 1, "log", "checkpoints")
SHAPE = (1, 0)


def talk(conversation: Callable[[Mailbox], Awaitable[None]]) -> None:
    async def held() -> None:
        await asyncio.wait_for(conversation(Mailbox()), 10)

    asyncio.run(held())


def test_a_trial_and_its_driver_hear_each_other_in_order() -> None:
    async def conversation(mailbox: Mailbox) -> None:
        waiting = asyncio.create_task(mailbox.take("seat", SHAPE, "node", 5.0))
        await mailbox.submit("one", REQUEST)
        assert await waiting == ("one", REQUEST)
        await mailbox.deliver("one", [Report(step=1, value=2.0)])
        await mailbox.deliver("one", [Exited(0)])
        assert await mailbox.collect(0.0) == [
            ("one", Started("node")),
            ("one", Report(step=1, value=2.0)),
            ("one", Exited(0)),
        ]
        assert await mailbox.collect(0.01) == []
        hearing = asyncio.create_task(mailbox.receive("one", 5.0))
        await mailbox.post("one", Verdict(prune=False))
        assert await hearing == [Verdict(prune=False)]
        await mailbox.post("one", Synced())
        await mailbox.post("one", Verdict(prune=True))
        assert await mailbox.receive("one", 0.0) == [Synced(), Verdict(prune=True)]
        assert await mailbox.receive("one", 0.01) == []

    talk(conversation)


def test_a_line_that_was_closed_ends_the_trial_wherever_it_is() -> None:
    async def conversation(mailbox: Mailbox) -> None:
        await mailbox.submit("waits", REQUEST)
        await mailbox.close("waits")
        assert await mailbox.take("seat", SHAPE, "node", 0.01) is None
        await mailbox.submit("runs", REQUEST)
        assert await mailbox.take("seat", SHAPE, "node", 0.01) == ("runs", REQUEST)
        hearing = asyncio.create_task(mailbox.receive("runs", 5.0))
        await asyncio.sleep(0.01)
        await mailbox.close("runs")
        assert await hearing is None
        await mailbox.deliver("runs", [Report(step=1, value=2.0)])  # too late: nobody hears it
        await mailbox.post("runs", Synced())
        assert [event for _, event in await mailbox.collect(0.0)] == [Started("node")]

    talk(conversation)


def test_what_a_lost_seat_had_is_lost() -> None:
    async def conversation(mailbox: Mailbox) -> None:
        await mailbox.submit("one", REQUEST)
        await mailbox.submit("two", REQUEST)
        await mailbox.take("seat", SHAPE, "node", 0.0)
        await mailbox.abandon("seat", SHAPE, "gone")
        assert await mailbox.collect(0.0) == [("one", Started("node")), ("one", Lost("gone"))]
        # A seat that could not start has taken nothing; the oldest request goes with it.
        await mailbox.abandon("broken", SHAPE, "no torch")
        await mailbox.abandon("broken", SHAPE, "no torch")
        assert await mailbox.collect(0.01) == [("two", Lost("no torch"))]
        # One that is between two trials takes none with it.
        await mailbox.take("idle", SHAPE, "node", 0.0)
        await mailbox.submit("three", REQUEST)
        await mailbox.abandon("idle", SHAPE, "gone")
        assert await mailbox.collect(0.01) == []

    talk(conversation)


def test_a_seat_that_was_lost_while_it_waited_takes_nothing() -> None:
    async def conversation(mailbox: Mailbox) -> None:
        waiting = asyncio.create_task(mailbox.take("seat", SHAPE, "node", 5.0))
        await asyncio.sleep(0.01)
        await mailbox.abandon("seat", SHAPE, "gone")
        await mailbox.submit("one", REQUEST)
        assert await waiting is None
        assert await mailbox.take("other", SHAPE, "node", 0.01) == ("one", REQUEST)

    talk(conversation)


def test_a_seat_takes_trials_of_its_shape_alone() -> None:
    async def conversation(mailbox: Mailbox) -> None:
        small, large = REQUEST, replace(REQUEST, cpu=2, gpus=("ray:0",))
        await mailbox.submit("small", small)
        await mailbox.submit("large", large)
        assert await mailbox.take("seat", (2, 1), "node", 0.0) == ("large", large)
        assert await mailbox.take("seat", (2, 1), "node", 0.01) is None
        assert await mailbox.take("seat", (1, 0), "node", 0.0) == ("small", small)

    talk(conversation)


def test_when_it_is_shut_all_go_home() -> None:
    async def conversation(mailbox: Mailbox) -> None:
        await mailbox.submit("one", REQUEST)
        await mailbox.take("seat", SHAPE, "node", 0.0)
        await mailbox.submit("two", REQUEST)
        hearing = asyncio.create_task(mailbox.receive("one", 5.0))
        await asyncio.sleep(0.01)
        await mailbox.shut()
        assert await hearing is None
        assert await mailbox.take("seat", SHAPE, "node", 5.0) is None

    talk(conversation)

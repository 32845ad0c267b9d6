"""Delivers events to webhooks: each in its order, at least once, from one process at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from typing import ParamSpec, TypeVar

import httpx
from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import DBAPIError

from alphagrad import __version__
from alphagrad.api import webhook_store as store
from alphagrad.api.event_messages import event_body
from alphagrad.api.webhook_address import TargetError, look_up, parse_target
from alphagrad.api.webhook_signature import signed_headers
from alphagrad.tuner import events
from alphagrad.tuner.database import Database
from alphagrad.tuner.events import Event
from alphagrad.tuner.webhook_models import WebhookRow

logger = logging.getLogger(__name__)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
POLL_SECONDS = 0.5
AWAY_SECONDS = 2.0
ANSWER_SECONDS = 10.0
"""How long a delivery may take, from looking up the name to the answer's headers."""
PASSED_OVER = 1000
"""After so many events that are not for it, a webhook's position is written down."""
GONE = 410
"""The answer of a receiver that wants no more."""


class DeliveryError(Exception):
    """An event was not taken; the message says why.

    Attributes:
        gone: the receiver wants no more.
    """

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


class WebhookSender:
    """A task that delivers what is due, to several webhooks at a time.

    Any number may run, in several processes: a webhook is leased to one of them.

    Args:
        database: where events and webhooks are.
        local: whether private addresses and plain HTTP are allowed.
    """

    def __init__(self, database: Database, *, local: bool) -> None:
        self._database = database
        self._local = local
        self._name = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._threads = CapacityLimiter(2)
        self._seen: dict[int, int] = {}
        self._stranded: set[int] = set()
        self._at_work: dict[int, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.create_task(self._run(), name="alphagrad-webhooks")

    async def stop(self) -> None:
        """End at once; what was being delivered may be delivered again."""
        tasks = [task for task in (self._task, *self._at_work.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(DBAPIError):
            await to_thread.run_sync(lambda: store.release(self._database, sender=self._name))

    async def _run(self) -> None:
        # No connection is kept: each is made to an address that was just looked up and checked.
        # Nothing comes from the environment: a proxy would look up the name once more.
        async with httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=httpx.create_ssl_context(),
            timeout=ANSWER_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"User-Agent": f"alphagrad/{__version__}"},
        ) as client:
            while True:
                pause = POLL_SECONDS
                try:
                    for webhook in await self._in_thread(self._due):
                        if webhook.id not in self._at_work:
                            self._begin(webhook, client)
                except DBAPIError as error:
                    logger.warning("webhooks wait for the database: %s", error.orig)
                    pause = AWAY_SECONDS
                except Exception:
                    logger.exception("webhooks")
                    pause = AWAY_SECONDS
                await asyncio.sleep(pause)

    def _due(self) -> list[WebhookRow]:
        for webhook_id in list(self._stranded):
            store.release(self._database, sender=self._name, webhook_id=webhook_id)
            self._stranded.discard(webhook_id)
        return store.due(self._database, seen=self._seen)

    def _begin(self, webhook: WebhookRow, client: httpx.AsyncClient) -> None:
        task = asyncio.create_task(self._tend(webhook, client))
        self._at_work[webhook.id] = task
        task.add_done_callback(lambda _: self._at_work.pop(webhook.id, None))

    async def _tend(self, webhook: WebhookRow, client: httpx.AsyncClient) -> None:
        try:
            if not await self._in_thread(self._has_work, webhook):
                return
            claimed = await self._in_thread(self._claim, webhook.id)
            if claimed is not None and await self._deliver_all(claimed, client):
                await self._in_thread(self._release, webhook.id)
        except Exception as error:
            self._stranded.add(webhook.id)
            if not isinstance(error, DBAPIError):
                raise
            logger.warning("webhook %d waits for the database: %s", webhook.id, error.orig)

    def _has_work(self, webhook: WebhookRow) -> bool:
        """Whether there is an event for a webhook, or its position is to be written down."""
        position = max(webhook.position, self._seen.get(webhook.id, 0))
        while True:
            page = events.read_page(self._database, after=position, study=webhook.study)
            if any(_wants(webhook, event) for event in page.events):
                return True
            self._seen[webhook.id] = position = page.last
            if len(page.events) < events.PAGE:
                return position - webhook.position > PASSED_OVER

    async def _deliver_all(self, webhook: WebhookRow, client: httpx.AsyncClient) -> bool:
        """Deliver what there is; says whether the lease is still ours."""
        position = max(webhook.position, self._seen.get(webhook.id, 0))
        while True:
            page = await self._in_thread(self._read, webhook, position)
            for event in page.events:
                if not _wants(webhook, event):
                    continue
                try:
                    await self._deliver(webhook, event, client)
                except DeliveryError as error:
                    logger.warning("webhook %d, event %d: %s", webhook.id, event.id, error)
                    await self._in_thread(self._failed, webhook, error)
                    return False
                if not await self._in_thread(self._delivered, webhook.id, event.id, True):
                    return False
                webhook.failures, webhook.position = 0, event.id
            self._seen[webhook.id] = position = page.last
            if position - webhook.position > PASSED_OVER:
                if not await self._in_thread(self._delivered, webhook.id, position, False):
                    return False
                webhook.position = position
            if len(page.events) < events.PAGE:
                return True

    async def _deliver(self, webhook: WebhookRow, event: Event, client: httpx.AsyncClient) -> None:
        """Send an event once.

        Raises:
            DeliveryError: it was not taken.
        """
        content = message_body(event)
        signed = signed_headers(
            webhook.secret,
            message_id=f"msg_{webhook.id}_{event.id}",
            at=int(time.time()),
            body=content,
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                target = parse_target(webhook.url, local=self._local)
                address = await look_up(target, local=self._local)
                request = client.build_request(
                    "POST",
                    target.at(address),
                    content=content,
                    headers={"Host": target.authority, "Content-Type": "application/json"} | signed,
                    extensions={"sni_hostname": target.host},  # whom the certificate must name
                )
                answer = await client.send(request, stream=True)  # of the answer only its head
                await answer.aclose()
        except TimeoutError:
            raise DeliveryError(f"no answer within {ANSWER_SECONDS:g} s") from None
        except TargetError as error:
            raise DeliveryError(f"the URL {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DeliveryError(f"{type(error).__name__}: {error}") from None
        if not answer.is_success:
            redirect = ", and redirects are not followed" if 300 <= answer.status_code < 400 else ""
            raise DeliveryError(
                f"it answered {answer.status_code}{redirect}", gone=answer.status_code == GONE
            )

    def _claim(self, webhook_id: int) -> WebhookRow | None:
        return store.claim(self._database, webhook_id, sender=self._name)

    def _release(self, webhook_id: int) -> None:
        store.release(self._database, sender=self._name, webhook_id=webhook_id)

    def _read(self, webhook: WebhookRow, position: int) -> events.EventPage:
        return events.read_page(self._database, after=position, study=webhook.study)

    def _delivered(self, webhook_id: int, position: int, sent: bool) -> bool:
        return store.delivered(
            self._database, webhook_id, sender=self._name, position=position, sent=sent
        )

    def _failed(self, webhook: WebhookRow, error: DeliveryError) -> None:
        store.failed(
            self._database, webhook, sender=self._name, error=str(error), for_good=error.gone
        )

    async def _in_thread(
        self, function: Callable[Parameters, Result], *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:  # fmt: skip
        call = partial(function, *args, **kwargs)
        return await to_thread.run_sync(call, limiter=self._threads)


def message_body(event: Event) -> bytes:
    """What is sent for an event, in the form that Standard Webhooks recommends."""
    data = event_body(event)
    message = {"type": event.kind, "timestamp": data["at"], "data": data}
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode()


def _wants(webhook: WebhookRow, event: Event) -> bool:
    return any(fnmatchcase(event.kind, glob) for glob in webhook.events)

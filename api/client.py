"""Clients of the REST API: one that waits for each answer, one to be awaited."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Generic, Literal, Self, TypeVar, cast
from urllib.parse import quote

import httpx

from alphagrad.api.client_answers import ComparedData, EventData, StudyState, TaskData
from alphagrad.api.client_errors import ApiError
from alphagrad.api.client_events import follow
from alphagrad.api.client_runners import AwaitingRunner, BlockingRunner
from alphagrad.api.client_server import Server, address
from alphagrad.api.client_spec import Spec, read_spec
from alphagrad.api.client_steps import Async, Items, Steps, Sync, iteration, method
from alphagrad.api.client_study import AsyncStudy, Study, study_path
from alphagrad.secret import read_secret

DEFAULT_URL = "http://127.0.0.1:8000"
PATIENCE_SECONDS = 30.0
TIMEOUT_SECONDS = 30.0

StudyT = TypeVar("StudyT")


class ClientMethods(Generic[StudyT]):
    """What a server can be asked."""

    _runner: Any
    _server: Server
    _study: type[StudyT]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    @property
    def url(self) -> str:
        """The server's address."""
        return self._server.url

    @method
    def submit(self, spec: Spec) -> Steps[StudyT]:
        """Submit a study.

        Args:
            spec: as ``docs/studies.md`` describes it, or the path of such a TOML file.

        Raises:
            ApiError: it is not valid (``errors`` says where), or the name is taken.
        """
        data = yield from self._server.call("POST", "/v1/studies", json=read_spec(spec))
        return self._handle(data)

    @method
    def study(self, name: str) -> Steps[StudyT]:
        """One study.

        Raises:
            ApiError: no study has this name.
        """
        data = yield from self._server.call("GET", study_path(name))
        return self._handle(data)

    @iteration
    def studies(
        self,
        *,
        name: str | None = None,
        state: StudyState | None = None,
        task: str | None = None,
        order: Literal["oldest", "newest"] = "oldest",
        limit: int | None = None,
    ) -> Items[StudyT]:
        """The studies that match, in the order of submission.

        Args:
            name: only those whose name this glob matches.
            state: only those in this state.
            task: only those of this task.
            order: which of them come first.
            limit: at most so many.
        """
        matching = {"name": name, "state": state, "task": task, "order": order}
        yield from self._server.listed("/v1/studies", self._handle, limit=limit, **matching)

    @iteration
    def tasks(self) -> Items[TaskData]:
        """The tasks that a study can name, each with the JSON schema of its parameters."""
        yield from self._server.listed("/v1/tasks", lambda data: cast("TaskData", data))

    @method
    def task(self, name: str) -> Steps[TaskData]:
        """One task."""
        path = f"/v1/tasks/{quote(name, safe='')}"
        task: TaskData = yield from self._server.call("GET", path)
        return task

    @method
    def compare(self, *names: str) -> Steps[list[ComparedData]]:
        """Up to eight studies side by side: the best of each, and how it was come to."""
        found = yield from self._server.call("GET", "/v1/compare", params={"study": list(names)})
        compared: list[ComparedData] = found["studies"]
        return compared

    @iteration
    def events(
        self, *, after: int | None = None, on_open: Callable[[], None] | None = None
    ) -> Items[EventData]:
        """What happens to all studies, without end; a broken connection is made again.

        Args:
            after: the id of the last event that is known; by default those from now on.
            on_open: called when the stream is open: what happens from then on comes.
        """
        yield from follow(self._server, "/v1/events", after=after, on_open=on_open)

    def _handle(self, data: Any) -> StudyT:
        make: Any = self._study
        study: StudyT = make(self._server, self._runner, data)
        return study


class Client(ClientMethods[Study], Sync):
    """Studies on a server.

    A request is tried again for ``patience`` seconds if the server is away, restarts or asks for a
    pause; what it has done it does not do twice.

    Args:
        url: the server; by default ``ALPHAGRAD_URL``, or else this machine, port 8000.
        key: the API key; by default ``ALPHAGRAD_API_KEY``, or what is in the file that
            ``ALPHAGRAD_API_KEY_FILE`` names.
        timeout: seconds to wait for one answer.
        patience: seconds to try again.
        transport: how requests get there, if not over the network.

    Raises:
        ApiError: there is no key.

    Example::

        with Client() as client:
            study = client.submit("study.toml").wait(progress=True)
            print(study.best.params)
    """

    _study = Study

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        patience: float = PATIENCE_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(timeout=timeout, transport=transport, **_to(url, key))
        self._runner = BlockingRunner(self._http)
        self._server = Server(self._http, patience=patience)

    def __enter__(self) -> Self:
        """Close the connections at the end of the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncClient(ClientMethods[AsyncStudy], Async):
    """As :class:`Client`, to be awaited.

    Args:
        url: the server; by default ``ALPHAGRAD_URL``, or else this machine, port 8000.
        key: the API key; by default ``ALPHAGRAD_API_KEY``, or what is in the file that
            ``ALPHAGRAD_API_KEY_FILE`` names.
        timeout: seconds to wait for one answer.
        patience: seconds to try again.

    Raises:
        ApiError: there is no key.

    Example::

        async with AsyncClient() as client:
            study = await client.submit("study.toml")
            async for event in study.events():
                print(event["kind"])
    """

    _study = AsyncStudy

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._http = httpx.AsyncClient(timeout=timeout, **_to(url, key))
        self._runner = AwaitingRunner(self._http)
        self._server = Server(self._http, patience=patience)

    async def __aenter__(self) -> Self:
        """Close the connections at the end of the block."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _to(url: str | None, key: str | None) -> dict[str, Any]:
    """The server and the key, as httpx takes them."""
    url = url or os.environ.get("ALPHAGRAD_URL") or DEFAULT_URL
    try:
        key = key or read_secret("ALPHAGRAD_API_KEY")
    except ValueError as error:
        raise ApiError(str(error), status=None) from None
    if not key:
        message = (
            f"put the API key of {url} into ALPHAGRAD_API_KEY "
            "(`alphagrad serve` shows the first key once)"
        )
        raise ApiError(message, status=None)
    return address(url, key)

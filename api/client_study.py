"""A study as a client sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Generic, Literal, TypeVar, cast
from urllib.parse import quote

from alphagrad.api.client_answers import (
    EventData,
    ExploitData,
    ImportanceData,
    StudyData,
    StudyState,
    TrialState,
)
from alphagrad.api.client_events import follow
from alphagrad.api.client_server import Server
from alphagrad.api.client_steps import Async, Items, Sleep, Steps, Sync, iteration, method
from alphagrad.api.client_trial import AsyncTrial, Trial

POLL_SECONDS = 0.5

StudyT = TypeVar("StudyT")
TrialT = TypeVar("TrialT")


class StudyMethods(Generic[StudyT, TrialT]):
    """What a study can be asked and told; its attributes say how it stood at the last answer.

    Attributes:
        data: the last answer.
        warnings: what of it fits together badly, if it was submitted just now.
    """

    _runner: Any
    _trial: type[TrialT]

    def __init__(self, server: Server, runner: Any, data: Any) -> None:
        self.data: StudyData = data
        self.warnings: list[str] = data.get("warnings", [])
        self._server = server
        self._runner = runner
        self._path = study_path(data["name"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.state}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self.data["name"]

    @property
    def state(self) -> StudyState:
        """QUEUED, RUNNING, PAUSED, STOPPING, COMPLETED, FAILED or CANCELLED."""
        return self.data["state"]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen; a cancelled one first ends the trials that run."""
        return self.data["finished_at"] is not None

    @property
    def best(self) -> TrialT | None:
        """The best feasible trial, if there is one; ``None`` with several objectives."""
        best = self.data["best"]
        return None if best is None else self._handle(best)

    @property
    def best_trials(self) -> list[TrialT]:
        """The Pareto front; with one objective the best trial."""
        return [self._handle(data) for data in self.data["best_trials"]]

    @method
    def refresh(self) -> Steps[StudyData]:
        """Ask how it stands now; gives the new ``data``."""
        self.data = yield from self._server.call("GET", self._path)
        return self.data

    @method
    def trial(self, number: int) -> Steps[TrialT]:
        """One trial."""
        data = yield from self._server.call("GET", f"{self._path}/trials/{number}")
        return self._handle(data)

    @iteration
    def trials(self, *, state: TrialState | None = None, limit: int | None = None) -> Items[TrialT]:
        """Its trials by number, all or those in one state, at most ``limit`` of them."""
        yield from self._server.listed(
            f"{self._path}/trials", self._handle, limit=limit, state=state
        )

    @method
    def wait(
        self, *, progress: bool = False, timeout: float | None = None, poll: float = POLL_SECONDS
    ) -> Steps[StudyT]:
        """Wait until it has ended; gives the study.

        Args:
            progress: draw trials, best value and time left on standard error; where that is no
                terminal, a line for each finished trial.
            timeout: for so many seconds at most.
            poll: seconds between looks.

        Raises:
            TimeoutError: it has not ended in time; it goes on.
        """
        give_up_at = None if timeout is None else time.monotonic() + timeout
        with ExitStack() as drawn:
            update: Callable[[StudyData], None] = lambda study: None  # noqa: E731
            if progress:
                from alphagrad.api.client_progress import StudyProgress

                update = drawn.enter_context(StudyProgress()).update
            while True:
                self.data = yield from self._server.call("GET", self._path)
                update(self.data)
                if self.ended:
                    return cast("StudyT", self)
                if give_up_at is not None and time.monotonic() + poll > give_up_at:
                    raise TimeoutError(f"study {self.name} is {self.state} after {timeout} s")
                yield Sleep(poll)

    @method
    def pause(self) -> Steps[StudyT]:
        """Start no more trials until it is resumed; those that run go on to their end."""
        return (yield from self._told("POST", f"{self._path}:pause"))

    @method
    def resume(self) -> Steps[StudyT]:
        """Let it go on after a pause."""
        return (yield from self._told("POST", f"{self._path}:resume"))

    @method
    def stop(self) -> Steps[StudyT]:
        """Start no more trials; those that run go on to their end."""
        return (yield from self._told("POST", f"{self._path}:stop"))

    @method
    def cancel(self) -> Steps[StudyT]:
        """Start no more trials and kill those that run."""
        return (yield from self._told("POST", f"{self._path}:cancel"))

    @method
    def edit(self, /, **changes: Any) -> Steps[StudyT]:
        """Change some fields while it is open, for trials that start from now on.

        Args:
            changes: ``n_trials``, ``parallelism``, ``priority``, ``pruner``, ``timeout``,
                ``max_failed_trials``.
        """
        return (yield from self._told("PATCH", self._path, json=changes))

    @method
    def enqueue(self, params: Mapping[str, Any]) -> Steps[StudyT]:
        """Let the next trial try these parameters; the sampler draws those left out."""
        body = {"params": dict(params)}
        return (yield from self._told("POST", f"{self._path}/trials:enqueue", json=body))

    @method
    def clone(
        self, /, name: str, *, warm_start: bool | Sequence[str] = False, **changes: Any
    ) -> Steps[StudyT]:
        """Submit the same study under another name.

        Args:
            name: the new study's.
            warm_start: ``True`` lets the new study's sampler know the trials of this one; names of
                studies are a field as any other.
            changes: fields of the specification that are to differ.
        """
        body: dict[str, Any] = {"name": name, **changes}
        if not isinstance(warm_start, bool):
            body["warm_start"] = warm_start
        data = yield from self._server.call(
            "POST", f"{self._path}:clone", json=body, params={"warm_start": warm_start is True}
        )
        return cast("StudyT", type(self)(self._server, self._runner, data))

    @method
    def delete(self) -> Steps[None]:
        """Delete it, with its checkpoints and logs; it must have ended."""
        yield from self._server.call("DELETE", self._path)

    @iteration
    def export(
        self,
        *,
        what: Literal["trials", "reports", "metrics", "alpha"] = "trials",
        format: Literal["csv", "json", "parquet"] = "csv",  # noqa: A002
    ) -> Items[bytes]:
        """Its rows as a file, in pieces; ``docs/storage.md`` lists the columns."""
        params = {"what": what, "format": format}
        yield from self._server.download(f"{self._path}/export", params=params)

    @iteration
    def events(
        self, *, after: int | None = None, on_open: Callable[[], None] | None = None
    ) -> Items[EventData]:
        """What happens to it, without end; a broken connection is made again.

        Args:
            after: the id of the last event that is known; by default those from now on. With 0
                come those of its whole life.
            on_open: called when the stream is open: what happens from then on comes.
        """
        path = f"{self._path}/events"
        yield from follow(self._server, path, after=after, on_open=on_open)

    @method
    def importance(
        self, *, evaluator: Literal["ped-anova", "fanova"] | None = None, objective: int = 0
    ) -> Steps[ImportanceData]:
        """How much each searched parameter matters for the value."""
        params = {"evaluator": evaluator, "objective": objective}
        found: ImportanceData = yield from self._server.call(
            "GET", f"{self._path}/importance", params=params
        )
        return found

    @iteration
    def exploits(self, *, limit: int | None = None) -> Items[ExploitData]:
        """Who of a population took over from whom, oldest first, at most ``limit`` of them."""
        yield from self._server.listed(
            f"{self._path}/exploits", lambda data: cast("ExploitData", data), limit=limit
        )

    def _handle(self, data: Any) -> TrialT:
        make: Any = self._trial
        trial: TrialT = make(
            self._server, self._runner, study=self.name, path=self._path, data=data
        )
        return trial

    def _told(self, verb: str, path: str, **options: Any) -> Steps[StudyT]:
        self.data = yield from self._server.call(verb, path, **options)
        return cast("StudyT", self)


class Study(StudyMethods["Study", Trial], Sync):
    """A study, from :class:`~alphagrad.client.Client`."""

    _trial = Trial


class AsyncStudy(StudyMethods["AsyncStudy", AsyncTrial], Async):
    """A study, from :class:`~alphagrad.client.AsyncClient`."""

    _trial = AsyncTrial


def study_path(name: str) -> str:
    """The path of a study, whatever is in its name."""
    return f"/v1/studies/{quote(name, safe='')}"

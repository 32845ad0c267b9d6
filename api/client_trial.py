"""A trial as a client sees it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from alphagrad.api.client_answers import (
    ENDED_TRIAL,
    AlphaTraceData,
    AttemptData,
    CheckpointData,
    HistogramData,
    KnobData,
    LogData,
    SeriesData,
    TrialData,
    TrialState,
)
from alphagrad.api.client_errors import ApiError
from alphagrad.api.client_server import Server
from alphagrad.api.client_steps import Async, Item, Items, Sleep, Steps, Sync, iteration, method

POLL_SECONDS = 0.5


class TrialMethods:
    """What a trial can be asked; its attributes say how it stood at the last answer.

    Attributes:
        study: the study's name.
        data: the last answer.
    """

    _runner: Any

    def __init__(self, server: Server, runner: Any, *, study: str, path: str, data: Any) -> None:
        self.study = study
        self.data: TrialData = data
        self._server = server
        self._runner = runner
        self._path = f"{path}/trials/{data['number']}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.study}/{self.number} {self.state}>"

    @property
    def number(self) -> int:
        """Its number in the study."""
        return self.data["number"]

    @property
    def state(self) -> TrialState:
        """WAITING, RUNNING, COMPLETE, PRUNED or FAIL."""
        return self.data["state"]

    @property
    def value(self) -> float | None:
        """The value of the one objective."""
        return self.data["value"]

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters, the searched ones and the constants."""
        return self.data["params"]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED_TRIAL

    @method
    def refresh(self) -> Steps[TrialData]:
        """Ask how it stands now; gives the new ``data``."""
        self.data = yield from self._server.call("GET", self._path)
        return self.data

    @method
    def alpha(
        self,
        *,
        layers: str | Sequence[str] | None = None,
        after_step: int | None = None,
        before_step: int | None = None,
        max_steps: int | None = None,
        wide: bool = False,
    ) -> Steps[dict[str, list[Any]]]:
        """α and saturation by step and layer, as columns that a DataFrame takes.

        Args:
            layers: a glob on layer names, or several; all by default.
            after_step: only later steps.
            before_step: only earlier steps.
            max_steps: the trace is thinned to so many steps, 2000 by default.
            wide: a row per step, with a column per layer (``alpha/NAME``, ``saturation/NAME``),
                in place of a row per step and layer.

        Returns:
            ``{"step": […], "layer": […], "alpha": […], "saturation": […]}``.
        """
        trace: AlphaTraceData = yield from self._server.call(
            "GET",
            f"{self._path}/alpha",
            params={
                "layers": [layers] if isinstance(layers, str) else layers,
                "after_step": after_step,
                "before_step": before_step,
                "max_steps": max_steps,
            },
        )
        return _wide(trace) if wide else _long(trace)

    @method
    def histogram(self, *, layers: str = "*", bins: int = 60) -> Steps[HistogramData]:
        """How |α·g̃|, what the tanh of each layer receives, is distributed just now.

        It is asked of the running trial, which answers before its next optimizer step.

        Args:
            layers: a glob on layer names.
            bins: of each histogram.
        """
        histogram: HistogramData = yield from self._server.call(
            "GET", f"{self._path}/alpha/histogram", params={"layers": layers, "bins": bins}
        )
        return histogram

    @method
    def metrics(
        self, *, names: str | Sequence[str] | None = None, max_steps: int | None = None
    ) -> Steps[dict[str, SeriesData]]:
        """What it recorded: ``{name: {"steps": […], "values": […]}}``.

        Args:
            names: the metrics wanted; all by default.
            max_steps: each is thinned to so many values, from 2 to 20,000; 2000 by default.
        """
        wanted = [names] if isinstance(names, str) else names
        answer = yield from self._server.call(
            "GET", f"{self._path}/metrics", params={"names": wanted, "max_steps": max_steps}
        )
        metrics: dict[str, SeriesData] = answer["metrics"]
        return metrics

    @method
    def reports(self, *, max_steps: int | None = None) -> Steps[SeriesData]:
        """Its intermediate values: ``{"steps": […], "values": […]}``."""
        reports: SeriesData = yield from self._server.call(
            "GET", f"{self._path}/reports", params={"max_steps": max_steps}
        )
        return reports

    @iteration
    def log(self, *, follow: bool = False, whole: bool = False) -> Items[str]:
        """The lines of its log, without their ends.

        Args:
            follow: go on with what is written from now on, until the trial has ended.
            whole: from the log's first line on; otherwise from the last 64 kB.
        """
        offset = 0 if whole else None
        rest = ""
        while True:
            if (ended := self.ended) is False and follow:
                # Asked before the log is: what is written until the end is read.
                self.data = yield from self._server.call("GET", self._path)
                ended = self.ended
            part = yield from self._log_part(offset, may_miss=follow and not ended)
            *lines, rest = (rest + part["text"]).split("\n")
            for line in lines:
                yield Item(line)
            offset = part["next_offset"]
            if part["text"] and offset < part["size"]:
                continue
            if ended or not follow:
                break
            yield Sleep(POLL_SECONDS)
        if rest:
            yield Item(rest)

    @method
    def attempts(self) -> Steps[list[AttemptData]]:
        """Which worker tried it when, and how each attempt ended."""
        answer = yield from self._server.call("GET", f"{self._path}/attempts")
        attempts: list[AttemptData] = answer["items"]
        return attempts

    @method
    def checkpoints(self) -> Steps[list[CheckpointData]]:
        """Its checkpoints on the server's machine."""
        answer = yield from self._server.call("GET", f"{self._path}/checkpoints")
        checkpoints: list[CheckpointData] = answer["items"]
        return checkpoints

    @method
    def knobs(self) -> Steps[list[KnobData]]:
        """The knob commands it was given, oldest first, and what became of each."""
        return (yield from self._knobs())

    @method
    def set_alpha(
        self,
        alpha: float | None = None,
        *,
        layers: str = "*",
        pin: bool | None = None,
        only_after: int | None = None,
        wait: bool = True,
        timeout: float = 60.0,
    ) -> Steps[KnobData]:
        """Change α of some layers while it runs.

        Args:
            alpha: the new steepness; ``None`` leaves it.
            layers: a glob on layer names.
            pin: ``True`` keeps schedulers off those layers, ``False`` releases them.
            only_after: the id of the last command that is known, 0 for none: refused with status
                412 if another one came between.
            wait: until the trial has answered.
            timeout: for so many seconds at most.

        Returns:
            The command; once it was applied, ``step`` is the first step made with the new α.

        Raises:
            ApiError: refused by the server, or rejected by the trial: ``kind`` is then
                ``knob-rejected``.
            TimeoutError: no answer in time; the command still stands.
        """
        headers = {} if only_after is None else {"If-Match": f'"knob-{only_after}"'}
        body: dict[str, Any] = {"layers": layers}
        body |= {} if alpha is None else {"alpha": alpha}
        body |= {} if pin is None else {"pin": pin}
        command: KnobData = yield from self._server.call(
            "PATCH", f"{self._path}/alpha", json=body, headers=headers
        )
        give_up_at = time.monotonic() + timeout
        while wait and command["state"] == "requested":
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{self!r} has not answered command {command['id']} yet")
            yield Sleep(POLL_SECONDS / 5)
            known = yield from self._knobs()
            command = next(one for one in known if one["id"] == command["id"])
        if command["state"] == "rejected":
            message = f"{self!r} rejected the command: {command['reason']}"
            raise ApiError(message, status=None, kind="knob-rejected")
        return command

    def _knobs(self) -> Steps[list[KnobData]]:
        answer = yield from self._server.call("GET", f"{self._path}/knobs")
        knobs: list[KnobData] = answer["items"]
        return knobs

    def _log_part(self, offset: int | None, *, may_miss: bool) -> Steps[LogData]:
        try:
            part: LogData = yield from self._server.call(
                "GET", f"{self._path}/log", params={"offset": offset}
            )
        except ApiError as error:
            if error.status != 404 or not may_miss:
                raise
            return {"text": "", "next_offset": offset or 0, "size": 0}  # nothing written yet
        return part


class Trial(TrialMethods, Sync):
    """A trial, from :class:`~alphagrad.client.Client`."""


class AsyncTrial(TrialMethods, Async):
    """A trial, from :class:`~alphagrad.client.AsyncClient`."""


def _long(trace: AlphaTraceData) -> dict[str, list[Any]]:
    layers, steps = trace["layers"], trace["steps"]
    return {
        "step": [step for step in steps for _ in layers],
        "layer": layers * len(steps),
        "alpha": [value for row in trace["alpha"] for value in row],
        "saturation": [value for row in trace["saturation"] for value in row],
    }


def _wide(trace: AlphaTraceData) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"step": list(trace["steps"])}
    for index, layer in enumerate(trace["layers"]):
        columns[f"alpha/{layer}"] = [row[index] for row in trace["alpha"]]
        columns[f"saturation/{layer}"] = [row[index] for row in trace["saturation"]]
    return columns

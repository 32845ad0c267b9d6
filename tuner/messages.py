"""What a trial process and its worker say to each other.

The messages are plain data, so the channel between the two can be a pipe, an actor or HTTP.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FinalState = Literal["COMPLETE", "PRUNED", "FAIL"]
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of the operating system that end an attempt, but are no failure of its trial."""


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """All that a trial process needs to know, handed to it at its start."""

    study: str
    number: int
    task: str
    seed: int
    params: dict[str, Any]
    attempt: int
    fence: int
    log_path: str
    checkpoint_dir: str
    n_objectives: int = 1
    constraints: tuple[str, ...] = ()
    """The names of those that the trial must set."""
    traces_before_reports: bool = False
    """Whether the pruner looks at saturation: what was sampled must be there when it judges."""
    cpu: int = 1
    gpus: tuple[str, ...] = ()
    """What the process may use; see :class:`alphagrad.tuner.resources.Allotment`."""
    nice: int = 0
    """How far the process makes way for others; see :func:`alphagrad.tuner.niceness.make_way`."""
    population: bool = False
    """Whether the trial is a member of a population: it waits after each checkpoint."""
    exploit: int | None = None
    """The fence of the attempt that ended with the member's latest exploit."""


@dataclass(frozen=True, slots=True)
class Report:
    """Trial to worker: the objective's value so far."""

    step: int
    value: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Worker to trial: the pruner's answer, and why; each report gets one, in their order."""

    prune: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Layers:
    """Trial to worker: the names of the watched layers, in the order of the traces."""

    names: list[str]


@dataclass(frozen=True, slots=True)
class Trace:
    """Trial to worker: sampled steps, shape ``(samples,)``, and α and saturation at each.

    ``alpha`` and ``saturation`` are float32 of shape ``(samples, layers)``; a saturation is NaN
    where the step had no gradient to measure. ``first`` counts the samples that the attempt sent
    before.
    """

    first: int
    steps: list[int]
    alpha: NDArray[np.float32]
    saturation: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Trial to worker: recorded values, in their order.

    ``which``, ``steps`` and ``values`` have an entry per value; ``which`` is its name's place in
    ``names``. ``first`` counts the values that the attempt sent before.
    """

    first: int
    names: list[str]
    which: list[int]
    steps: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class KnobCommand:
    """Worker to trial: turn α of the layers that match a glob; ``None`` leaves as it is."""

    id: int
    layers: str
    alpha: float | None
    pin: bool | None


@dataclass(frozen=True, slots=True)
class KnobAnswer:
    """Trial to worker: what became of a command, and from which step on."""

    id: int
    applied: bool
    step: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class HistogramQuestion:
    """Worker to trial: count what the tanh of the layers that match a glob receives."""

    id: int
    layers: str
    bins: int


@dataclass(frozen=True, slots=True)
class HistogramAnswer:
    """Trial to worker: the bins' edges and the counts of each layer, at a step; or why not.

    ``zeros`` holds the entries that are exactly 0, which are in no bin; ``tau`` the threshold above
    which an entry is saturated.
    """

    id: int
    step: int
    edges: list[float]
    counts: dict[str, list[int]]
    zeros: dict[str, int]
    tau: dict[str, float]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """Trial to worker: the end of this attempt; a FAIL not ``retryable`` would come again.

    ``value`` is that of the one objective, or a list of several.
    """

    state: FinalState
    value: float | list[float] | None = None
    constraints: dict[str, float] | None = None
    error: str | None = None
    retryable: bool = True


@dataclass(frozen=True, slots=True)
class OutOfSpace:
    """Trial to worker: this attempt ends because a disk is full; a later one may succeed."""

    error: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Executor to worker: what ran the trial is gone, a machine or a process of the cluster's."""

    error: str


@dataclass(frozen=True, slots=True)
class Sync:
    """Trial to worker: say when all that was sent before is written."""


@dataclass(frozen=True, slots=True)
class Saved:
    """Trial to worker: a member of a population has saved a checkpoint, and may end here."""


@dataclass(frozen=True, slots=True)
class Synced:
    """Worker to trial: it is; each :class:`Sync` gets one, in their order."""


Command = KnobCommand | HistogramQuestion
"""What waits for the trial's next optimizer step."""
FromTrial = (
    Report
    | Layers
    | Trace
    | Metrics
    | KnobAnswer
    | HistogramAnswer
    | Finished
    | OutOfSpace
    | Lost
    | Saved
    | Sync
)
ToTrial = Verdict | Command | Synced

"""What the API answers, as types: the dictionaries that JSON becomes.

A test holds them against the models of the server, which are not imported here: they bring Optuna.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

StudyState = Literal["QUEUED", "RUNNING", "PAUSED", "STOPPING", "COMPLETED", "FAILED", "CANCELLED"]
TrialState = Literal["WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL"]
ENDED_STUDY = ("COMPLETED", "FAILED", "CANCELLED")
ENDED_TRIAL = ("COMPLETE", "PRUNED", "FAIL")


class TrialData(TypedDict):
    """A trial: its parameters and how it stands or ended; times are ISO 8601 in UTC."""

    number: int
    state: TrialState
    value: float | None
    values: list[float] | None
    constraints: dict[str, float] | None
    feasible: bool
    params: dict[str, Any]
    seed: int
    attempt: int
    error: str | None
    started_at: str | None
    finished_at: str | None
    layers: list[str] | None
    metrics: list[str] | None


class StudyData(TypedDict):
    """A study: its specification and how far it is."""

    name: str
    state: StudyState
    spec: dict[str, Any]
    versions: dict[str, str]
    n_trials: int
    trials: dict[str, int]
    best: TrialData | None
    best_trials: list[TrialData]
    eta_seconds: float | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    owner: str | None


class ExploitData(TypedDict):
    """A member of a population took over another's checkpoint and parameters, and changed them."""

    trial: int
    step: int
    score: float | None
    params: dict[str, Any]
    source: int
    source_step: int
    source_score: float | None
    source_params: dict[str, Any]
    new_params: dict[str, Any]
    created_at: str


class AttemptData(TypedDict):
    """One attempt at a trial."""

    attempt: int
    worker: str
    outcome: str | None
    error: str | None
    started_at: str
    finished_at: str | None


class AlphaTraceData(TypedDict):
    """α and saturation: a row per step, a column per layer."""

    layers: list[str]
    steps: list[int]
    alpha: list[list[float | None]]
    saturation: list[list[float | None]]


class SeriesData(TypedDict):
    """Values over steps; ``None`` is NaN or infinite."""

    steps: list[int]
    values: list[float | None]


class KnobData(TypedDict):
    """A knob command and what became of it."""

    id: int
    layers: str
    alpha: float | None
    pin: bool | None
    state: Literal["requested", "applied", "rejected"]
    step: int | None
    reason: str | None
    requested_at: str
    answered_at: str | None


class TaskData(TypedDict):
    """A task that a study can name."""

    name: str
    about: str
    params: dict[str, Any]
    stackable: bool


class AnyEventData(TypedDict):
    """What every event says."""

    id: int
    kind: str
    study: str
    trial: int | None
    at: str


class EventData(AnyEventData, total=False):
    """Something that happened; which more fields it has is a matter of its ``kind``."""

    state: str
    finished: int
    attempt: int
    params: dict[str, Any]
    step: int | None
    value: float | None
    values: list[float] | None
    saturation: float | None
    knob: KnobData
    error: str | None
    outcome: str


class ImportanceData(TypedDict):
    """How much each searched parameter matters for the value; largest first, their sum is 1."""

    evaluator: str
    objective: int
    importances: dict[str, float]
    left_out: list[str]
    n_trials: int
    used_trials: int


class HistogramData(TypedDict):
    """How the magnitudes |α·g̃| of each layer are distributed at a step."""

    step: int
    edges: list[float]
    counts: dict[str, list[int]]
    zeros: dict[str, int]
    tau: dict[str, float]


class CurveData(TypedDict):
    """The best value so far: a point where it changed, and one at the last trial."""

    at: list[float]
    best: list[float]


class SpreadData(TypedDict):
    """The values of complete trials that differ by their seeds alone."""

    count: int
    mean: float
    std: float | None
    median: float


class ComparedData(TypedDict):
    """A study beside others."""

    name: str
    state: StudyState
    task: str | None
    objectives: list[str]
    trials: dict[str, int]
    best: TrialData | None
    params: dict[str, Any]
    by_trial: CurveData
    by_time: CurveData
    spread: SpreadData | None


class LogData(TypedDict):
    """A part of a trial's log."""

    text: str
    next_offset: int
    size: int


class CheckpointData(TypedDict):
    """A checkpoint on the server's machine."""

    kind: str
    fence: int
    attempt: int | None
    step: int | None
    size: int
    created_at: str

"""Our tables; they live beside Optuna's in the same database.

Times are seconds since 1970 by the database's own clock, so machines whose clocks differ agree.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    text,
)
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

UNFINISHED = ("WAITING", "RUNNING")
FINISHED = ("COMPLETE", "PRUNED", "FAIL")
CLAIMABLE_STUDY = ("QUEUED", "RUNNING")
OPEN_STUDY = (*CLAIMABLE_STUDY, "PAUSED")

# SQLite numbers rows by itself only in a column of type INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """The declarative base of our tables."""


class StudyRow(Base):
    """A submitted study.

    States: QUEUED, RUNNING, PAUSED, STOPPING, COMPLETED, FAILED, CANCELLED.
    """

    __tablename__ = "alphagrad_studies"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    versions: Mapped[dict[str, str]] = mapped_column(JSON)
    """Versions of Python and of the packages a result depends on, at submission."""
    state: Mapped[str] = mapped_column(String(16), index=True)
    n_trials: Mapped[int]
    parallelism: Mapped[int]
    next_slot: Mapped[int] = mapped_column(default=0)
    """How many trials were started so far; each has one slot, numbered from 0."""
    priority: Mapped[int] = mapped_column(default=0)
    """Workers take trials of the highest priority first."""
    queue: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    """Parameters that the next new trials try, in their order."""
    optuna_study_id: Mapped[int | None]
    owner: Mapped[str | None] = mapped_column(String(100))
    """The name of the API key that submitted it; NULL from the command line on the database."""
    created_at: Mapped[float] = mapped_column(Float(53))
    started_at: Mapped[float | None] = mapped_column(Float(53))
    finished_at: Mapped[float | None] = mapped_column(Float(53))


class TrialRow(Base):
    """One slot of a study and the trial that fills it, in Optuna's states.

    WAITING is a trial to be taken up again. ``fence`` grows at each claim: whoever writes on
    behalf of a trial shows the fence of its claim, and an old one is refused.
    """

    __tablename__ = "alphagrad_trials"
    __table_args__ = (
        Unique("study_id", "slot"),
        Unique("study_id", "number"),
        Index("ix_alphagrad_trials_state_number", "study_id", "state", "number"),
        Index("ix_alphagrad_trials_state_value", "study_id", "state", "value"),
        Index(
            "ix_alphagrad_trials_untold",
            "study_id",
            sqlite_where=text("told IS 0"),
            postgresql_where=text("told IS false"),
        ),
        Index(
            "ix_alphagrad_trials_front",
            "study_id",
            "number",
            sqlite_where=text("on_front = 1"),
            postgresql_where=text("on_front"),
        ),
        Index("ix_alphagrad_trials_lease", "state", "lease_expires_at"),
        Index(
            "ix_alphagrad_trials_infeasible",
            "study_id",
            "number",
            sqlite_where=text("feasible = 0"),
            postgresql_where=text("NOT feasible"),
        ),
        Index("ix_alphagrad_trials_finished_at", "finished_at"),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("alphagrad_studies.id", ondelete="CASCADE"))
    slot: Mapped[int]
    number: Mapped[int | None]
    """Optuna's number; unknown from the claim until the ask, a few milliseconds."""
    optuna_trial_id: Mapped[int | None]
    state: Mapped[str] = mapped_column(String(16))
    seed: Mapped[int | None] = mapped_column(BigInteger)
    fixed_params: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What was taken from the study's queue; the sampler draws the rest."""
    params: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    value: Mapped[float | None] = mapped_column(Float(53))
    """The value of the one objective; NULL where there are several."""
    objective_values: Mapped[list[float] | None] = mapped_column(JSON(none_as_null=True))
    """One value for each of several objectives."""
    constraints: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))
    """By name; all of them at most 0 is feasible."""
    feasible: Mapped[bool] = mapped_column(default=True)
    on_front: Mapped[bool] = mapped_column(default=False)
    """Whether it is complete and feasible, and no other such trial beats its several values."""
    error: Mapped[str | None] = mapped_column(Text)
    """What went wrong, with FAIL; who stopped it, with PRUNED."""
    attempt: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0)
    """How often the lease ran out: the worker died, or lost the database."""
    fence: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[float | None] = mapped_column(Float(53))
    not_before: Mapped[float | None] = mapped_column(Float(53))
    """When a trial that waits may be taken up again; NULL is at once."""
    started_at: Mapped[float | None] = mapped_column(Float(53))
    finished_at: Mapped[float | None] = mapped_column(Float(53))
    told: Mapped[bool] = mapped_column(default=False)
    """Whether Optuna's tables have the result too."""
    layers: Mapped[list[str] | None] = mapped_column(JSON)
    """Names of the watched layers, in the order of the traces."""
    metrics: Mapped[list[str] | None] = mapped_column(JSON)
    """Names of the recorded metrics; their rows hold a name's place in this list."""


class AttemptRow(Base):
    """One attempt at a trial.

    Outcomes: those of a trial (a FAIL may be tried again); LOST, when the lease ran out;
    GIVEN_BACK, when the worker was stopped; EXPLOITED, when the next one goes on from another
    member's checkpoint; YIELDED, when another member had its turn; NULL while it runs.
    """

    __tablename__ = "alphagrad_attempts"
    __table_args__ = ({"sqlite_with_rowid": False},)

    trial_id: Mapped[int] = mapped_column(
        ForeignKey("alphagrad_trials.id", ondelete="CASCADE"), primary_key=True
    )
    attempt: Mapped[int] = mapped_column(primary_key=True)
    """Counted from 1."""
    worker: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[float] = mapped_column(Float(53))
    finished_at: Mapped[float | None] = mapped_column(Float(53))
    outcome: Mapped[str | None] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Text)
    samples: Mapped[int] = mapped_column(default=0, server_default="0")
    """Rows of its α trace that were stored, whether or not they were thinned out since."""
    values: Mapped[int] = mapped_column(default=0, server_default="0")
    """Values of metrics that were stored."""
    prune_reason: Mapped[str | None] = mapped_column(Text)
    """Of an attempt over HTTP: why the pruner wants it stopped, by its latest report."""


class TraceRow(Base):
    """α and saturation of all layers at one sampled step, as float32 arrays."""

    __tablename__ = "alphagrad_traces"
    __table_args__ = (Index("ix_alphagrad_traces_trial_step", "trial_id", "step"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("alphagrad_trials.id", ondelete="CASCADE"))
    fence: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    alpha: Mapped[bytes] = mapped_column(LargeBinary)
    saturation: Mapped[bytes] = mapped_column(LargeBinary)


class MetricRow(Base):
    """One value of a metric; NULL is NaN.

    The key is the order of reading: the attempts by fence, and in each the values in the order
    they were recorded.
    """

    __tablename__ = "alphagrad_metrics"
    __table_args__ = ({"sqlite_with_rowid": False},)

    trial_id: Mapped[int] = mapped_column(
        ForeignKey("alphagrad_trials.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[int] = mapped_column(primary_key=True)
    """The name's place in the trial's list."""
    fence: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    """How many values, of any name, the attempt recorded before."""
    step: Mapped[int]
    value: Mapped[float | None] = mapped_column(Float(53))


class KnobRow(Base):
    """A command to change α in a running trial. States: requested, applied, rejected."""

    __tablename__ = "alphagrad_knobs"
    __table_args__ = (Index("ix_alphagrad_knobs_trial_state", "trial_id", "state"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("alphagrad_trials.id", ondelete="CASCADE"))
    layers: Mapped[str] = mapped_column(Text)
    alpha: Mapped[float | None] = mapped_column(Float(53))
    pin: Mapped[bool | None]
    state: Mapped[str] = mapped_column(String(16), default="requested")
    step: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(Text)
    requested_at: Mapped[float] = mapped_column(Float(53))
    answered_at: Mapped[float | None] = mapped_column(Float(53))


class HistogramRow(Base):
    """A question to a running trial: what its tanh receives. States: requested, answered, refused.

    It stays for a minute, so that who asks the same meanwhile gets the same answer.
    """

    __tablename__ = "alphagrad_histograms"
    __table_args__ = (
        Index("ix_alphagrad_histograms_trial_state", "trial_id", "state"),
        {"sqlite_autoincrement": True},  # a worker asks a trial only what is newer
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("alphagrad_trials.id", ondelete="CASCADE"))
    layers: Mapped[str] = mapped_column(Text)
    bins: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="requested")
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    reason: Mapped[str | None] = mapped_column(Text)
    requested_at: Mapped[float] = mapped_column(Float(53))


class MemberRow(Base):
    """A member of a population as it was judged last."""

    __tablename__ = "alphagrad_members"

    trial_id: Mapped[int] = mapped_column(
        ForeignKey("alphagrad_trials.id", ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[int] = mapped_column(BigInteger)
    """How far it has trained; after an exploit, how far its source had."""
    score: Mapped[float | None] = mapped_column(Float(53))
    """What it had reported; NULL if that was not finite."""
    fence: Mapped[int | None]
    """With the step the name of the checkpoint that others may take over, if it has one."""


class ExploitRow(Base):
    """A member took over the checkpoint and the parameters of another, and changed them."""

    __tablename__ = "alphagrad_exploits"
    __table_args__ = (Unique("trial_id", "fence"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("alphagrad_trials.id", ondelete="CASCADE"))
    fence: Mapped[int]
    """Of the attempt that it ended."""
    step: Mapped[int] = mapped_column(BigInteger)
    score: Mapped[float | None] = mapped_column(Float(53))
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    source_trial_id: Mapped[int] = mapped_column(
        ForeignKey("alphagrad_trials.id", ondelete="CASCADE")
    )
    source_step: Mapped[int] = mapped_column(BigInteger)
    source_score: Mapped[float | None] = mapped_column(Float(53))
    source_params: Mapped[dict[str, Any]] = mapped_column(JSON)
    new_params: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Float(53))


class EventRow(Base):
    """Something that happened. It outlives its study, so it holds names, not row ids."""

    __tablename__ = "alphagrad_events"
    __table_args__ = (
        Index("ix_alphagrad_events_study", "study", "id"),
        Index(
            "ix_alphagrad_events_progress",
            "id",
            sqlite_where=text("kind = 'trial.progress'"),
            postgresql_where=text("kind = 'trial.progress'"),
        ),
        # An id is never given twice, not even when the last rows were deleted.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    study: Mapped[str] = mapped_column(String(100))
    trial: Mapped[int | None]
    """The trial's number."""
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[float] = mapped_column(Float(53))

"""What a client says of its trial: written down, and shown to the pruner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.orm import Session

from alphagrad.tuner import knobs, leases, metrics, results, traces
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import FieldError, NonRetryableError, SpecError, StaleFenceError
from alphagrad.tuner.messages import KnobAnswer, Metrics, Report, Trace
from alphagrad.tuner.metric_buffer import MAX_NAMES
from alphagrad.tuner.models import AttemptRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.pruners import Saturation, pruned_by
from alphagrad.tuner.saturation_pruner import SaturationPruner
from alphagrad.tuner.spec import StudySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a client says at a time; it is written down in this order.

    Attributes:
        layers: the names of the layers from now on.
        trace: samples of α and saturation.
        metrics: recorded values.
        reports: values of the objective, in their order.
        knob_answers: what became of commands.
    """

    layers: list[str] | None = None
    trace: Trace | None = None
    metrics: Metrics | None = None
    reports: Sequence[Report] = ()
    knob_answers: Sequence[KnobAnswer] = ()


def write_down(
    database: Database, optuna_storage: OptunaStorage, claimed: leases.Claim, said: Said
) -> None:
    """Write down what a client says of its trial; safe to do twice.

    Raises:
        ConflictError: samples or values are missing between what is stored and this.
        SpecError: something does not fit the trial.
        StaleFenceError: the lease was lost, or the trial has failed by what it said.
    """
    spec = StudySpec.model_validate(claimed.study.spec)
    _check(claimed, spec, said)
    of_attempt = {"trial_id": claimed.trial.id, "fence": claimed.fence}
    if said.layers is not None:
        traces.record_layers(database, names=said.layers, **of_attempt)
    if said.trace is not None:
        traces.append_trace(database, trace=said.trace, **of_attempt)
    if said.metrics is not None:
        metrics.append_metrics(database, batch=said.metrics, **of_attempt)
    if said.reports:
        _judge(database, optuna_storage, claimed, spec, said)
    for answer in said.knob_answers:
        knobs.record_answer(database, answer, **of_attempt)


def _check(claimed: leases.Claim, spec: StudySpec, said: Said) -> None:
    if said.reports and spec.directions is not None:
        count = len(spec.directions)
        message = f"the study has {count} objectives, and reports are of one; use metrics"
        raise SpecError([FieldError("reports", len(said.reports), message)])
    known = claimed.trial.layers if said.layers is None else said.layers
    if said.trace is not None and said.trace.alpha.shape[1] > len(known or ()):
        message = f"has more columns than layers were named: {known or 'none'}"
        raise SpecError([FieldError("trace.alpha", said.trace.alpha.shape[1], message)])
    if said.metrics is not None:
        names = {*(claimed.trial.metrics or ()), *said.metrics.names}
        if len(names) > MAX_NAMES:
            message = f"at most {MAX_NAMES} names are allowed in a trial"
            raise SpecError([FieldError("metrics.names", len(names), message)])


def _judge(
    database: Database,
    optuna_storage: OptunaStorage,
    claimed: leases.Claim,
    spec: StudySpec,
    said: Said,
) -> None:
    trial = claimed.trial
    assert trial.number is not None
    assert trial.optuna_trial_id is not None
    prune = optuna_storage.report_all(
        optuna_storage.study(
            spec, number=trial.number, optuna_study_id=claimed.study.optuna_study_id
        ),
        trial.optuna_trial_id,
        [(report.step, report.value) for report in said.reports],
        lease=(trial.id, claimed.fence),
    )
    reason = pruned_by(spec.pruner, step=said.reports[-1].step) if prune else None
    if reason is None and isinstance(spec.pruner, Saturation):
        reason = _saturated(database, claimed, spec.pruner, layers=said.layers)

    def note(session: Session) -> None:
        row = leases.held(session, trial.id, claimed.fence)
        session.execute(
            update(AttemptRow)
            .where(AttemptRow.trial_id == row.id, AttemptRow.attempt == row.attempt)
            .values(prune_reason=reason)
            .execution_options(synchronize_session=False)
        )

    database.retry(note)


def _saturated(
    database: Database, claimed: leases.Claim, spec: Saturation, *, layers: list[str] | None
) -> str | None:
    trial = claimed.trial
    pruner = SaturationPruner(spec)
    pruner.window.names = (trial.layers or []) if layers is None else layers
    pruner.window.extend(*traces.latest_saturation(database, trial.id, limit=spec.window))
    try:
        return pruner.reason()
    except NonRetryableError as error:
        results.finish(
            database, trial_id=trial.id, fence=claimed.fence, state="FAIL", error=str(error)
        )
        raise StaleFenceError(f"trial {trial.number} has failed: {error}") from None

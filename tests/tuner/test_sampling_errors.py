"""A sampler that cannot draw: the trial fails, and is listed with what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from sqlalchemy import text

from alphagrad.tuner import StudySpec, events
from alphagrad.tuner.asked_trial import SamplingError
from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.database import Database
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.pruners import Threshold
from alphagrad.tuner.remote_trials import RemoteTrials
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.spec_reading import parse_spec
from alphagrad.tuner.study_store import create_study, get_study
from tests.plain_optuna import plain_study
from tests.tuner.asker import Asker
from tests.tuner.working import Working, run_to_its_end

OptunaTrials = Callable[[Database, str], list[optuna.trial.FrozenTrial]]
Submit = Callable[..., StudyRow]

SPOILT = {"type": "tpe", "n_startup_trials": 0}
WHY = "SamplingError: no parameters could be drawn: ValueError: 'much' is not a valid type."


def spoil(database: Database, study: str) -> None:
    """Adds a trial whose alpha is a word, as somebody with Optuna and the database's URL might."""
    words = optuna.distributions.CategoricalDistribution(["much"])
    with plain_study(database, study) as theirs:
        theirs.add_trial(
            optuna.trial.create_trial(
                params={"alpha": "much"}, distributions={"alpha": words}, value=1.0
            )
        )


def test_a_trial_that_cannot_be_drawn_is_listed_with_the_reason(
    database: Database,
    settings: TunerSettings,
    submit: Submit,
    until: Callable[..., Any],
    optuna_trials: OptunaTrials,
) -> None:
    submit(n_trials=1, retries=1, sampler=SPOILT)
    spoil(database, "s")
    run_to_its_end(database, settings, "s", until)
    assert get_study(database, "s").row.state == "FAILED"
    [trial] = list_trials(database, "s")
    assert (trial.number, trial.state, trial.params, trial.attempt) == (1, "FAIL", None, 2)
    assert trial.error is not None
    assert trial.error.startswith(WHY)
    attempts = list_attempts(database, trial.id)
    assert [(one.outcome, one.error) for one in attempts] == [("FAIL", trial.error)] * 2
    told = [event for event in events.read(database, after=0) if event.trial == 1]
    started, again = (event.data for event in told if event.kind == "trial.started")
    assert (started, again) == ({"attempt": 1, "params": {}}, {"attempt": 2, "params": {}})
    assert told[-1].data["error"] == trial.error
    _, ours = optuna_trials(database, "s")
    assert (ours.number, ours.state) == (1, optuna.trial.TrialState.FAIL)


def test_a_pruner_that_cannot_be_made_is_such_an_error_too(
    optuna_storage: OptunaStorage, spec: Callable[..., StudySpec]
) -> None:
    upside_down = Threshold.model_construct(type="threshold", lower=2.0, upper=1.0)
    asker = Asker(optuna_storage, spec().model_copy(update={"pruner": upside_down}))
    with pytest.raises(SamplingError, match="lower should be smaller than upper") as caught:
        asker.ask(0)
    assert caught.value.created.number == 0


def test_a_second_attempt_draws_where_the_first_could_not(
    database: Database, settings: TunerSettings, submit: Submit, until: Callable[..., Any]
) -> None:
    submit(n_trials=1, retries=1, retry_delay=600.0, sampler=SPOILT)
    spoil(database, "s")
    working = Working(database, settings)
    until(lambda: [one for one in list_trials(database, "s") if one.state == "WAITING"])
    working.stop()  # its Optuna remembers how trials ended; the next worker's reads it anew
    with database.write() as session:  # somebody mends it
        session.execute(text("UPDATE trials SET state = 'FAIL' WHERE number = 0"))
        session.execute(text("UPDATE alphagrad_trials SET not_before = NULL"))
    run_to_its_end(database, settings, "s", until)
    [trial] = list_trials(database, "s")
    assert (trial.number, trial.state, trial.attempt) == (1, "COMPLETE", 2)
    told = [event for event in events.read(database, after=0) if event.kind == "trial.started"]
    assert [event.data for event in told] == [
        {"attempt": 1, "params": {}},
        {"attempt": 2, "params": trial.params},
    ]


def test_a_client_is_given_nothing_and_the_reason_is_listed(
    database: Database, optuna_storage: OptunaStorage
) -> None:
    alpha = {"type": "float", "low": 0.0, "high": 1.0}
    body = {"name": "s", "engine": "remote", "n_trials": 1, "sampler": SPOILT}
    create_study(database, optuna_storage, parse_spec(body | {"params": {"alpha": alpha}}))
    spoil(database, "s")
    asked = RemoteTrials(database, optuna_storage, lease_seconds=600).ask("s", client="c")
    assert asked.claim is None
    [trial] = list_trials(database, "s")
    assert (trial.number, trial.state) == (1, "FAIL")
    assert trial.error is not None
    assert trial.error.startswith(WHY)

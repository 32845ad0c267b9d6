"""The types of the client's answers are those of the server's models."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel

from alphagrad.api import (
    client_answers,
    comparison,
    insight_models,
    knob_models,
    study_models,
    tasks,
    trial_data,
    trial_models,
)
from alphagrad.tuner import events

PAIRS: list[tuple[type, type[BaseModel]]] = [
    (client_answers.StudyData, study_models.StudyOut),
    (client_answers.TrialData, trial_models.TrialOut),
    (client_answers.ExploitData, study_models.ExploitOut),
    (client_answers.AttemptData, trial_models.AttemptOut),
    (client_answers.AlphaTraceData, trial_models.AlphaTraceOut),
    (client_answers.SeriesData, trial_models.SeriesOut),
    (client_answers.KnobData, trial_models.KnobOut),
    (client_answers.TaskData, tasks.TaskOut),
    (client_answers.ImportanceData, insight_models.ImportanceOut),
    (client_answers.ComparedData, comparison.ComparedStudy),
    (client_answers.CurveData, comparison.CurveOut),
    (client_answers.HistogramData, knob_models.HistogramOut),
    (client_answers.LogData, trial_data.LogOut),
    (client_answers.CheckpointData, trial_data.CheckpointOut),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[ours.__name__ for ours, _ in PAIRS])
def test_an_answer_has_the_fields_of_its_model(ours: type, theirs: type[BaseModel]) -> None:
    hints: dict[str, Any] = get_type_hints(ours)
    assert set(hints) == set(theirs.model_fields)
    for name, hint in hints.items():
        # What may be null is so on both sides.
        nullable = type(None) in getattr(theirs.model_fields[name].annotation, "__args__", ())
        assert (type(None) in getattr(hint, "__args__", ())) == nullable, name


def test_events_have_what_their_kinds_say() -> None:
    fields = {name for names in events.KINDS.values() for name in names}
    always = {"id", "kind", "study", "trial", "at"}
    assert client_answers.EventData.__required_keys__ == always
    assert client_answers.EventData.__optional_keys__ == fields

"""A study submitted anew, under another name and with what is to differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alphagrad.tuner.database import Database
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.spec_reading import parse_spec
from alphagrad.tuner.study_store import get_study


def cloned_spec(
    database: Database, source: str, changes: Mapping[str, Any], *, warm_start: bool = False
) -> StudySpec:
    """The specification of a study with some of its fields replaced.

    Args:
        database: the database.
        source: the study's name.
        changes: fields of the specification, ``name`` among them; each replaces the whole field.
        warm_start: let the new study's sampler know the trials of the source.

    Raises:
        StudyNotFoundError: no study has this name.
        SpecError: the result is not valid.
    """
    spec = get_study(database, source).row.spec
    data = {**spec, **changes}
    if "directions" in changes and "direction" not in changes:
        data.pop("direction", None)  # one or the other
    if "direction" in changes and "directions" not in changes:
        data.pop("directions", None)
    if warm_start:
        data["warm_start"] = list(dict.fromkeys([*(data.get("warm_start") or ()), source]))
        if "enqueue" not in changes:
            data["enqueue"] = []
    return parse_spec(data)

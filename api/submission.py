"""Storing a study that a request submits."""

from __future__ import annotations

from fastapi import Response

from alphagrad.api.principal import Principal
from alphagrad.api.study_models import SubmittedStudy
from alphagrad.tuner import StudySpec, study_store
from alphagrad.tuner.database import Database
from alphagrad.tuner.optuna_storage import OptunaStorage


def store(
    spec: StudySpec,
    response: Response,
    *,
    database: Database,
    optuna_storage: OptunaStorage,
    principal: Principal,
) -> SubmittedStudy:
    """Store a study for its owner, and say in ``Location`` where to watch it."""
    study_store.create_study(
        database,
        optuna_storage,
        spec,
        owner=principal.owner,
        max_open=principal.max_open_studies,
    )
    response.headers["Location"] = f"/v1/studies/{spec.name}"
    return SubmittedStudy.of(study_store.get_study(database, spec.name))

"""Optuna's tables, for what its own storage does one object at a time."""

from __future__ import annotations

from optuna.storages._rdb import models
from sqlalchemy import Table

STUDIES: Table = models.StudyModel.__table__
TRIALS: Table = models.TrialModel.__table__
PARAMS: Table = models.TrialParamModel.__table__
VALUES: Table = models.TrialValueModel.__table__
REPORTS: Table = models.TrialIntermediateValueModel.__table__
USER_ATTRS: Table = models.TrialUserAttributeModel.__table__
SYSTEM_ATTRS: Table = models.TrialSystemAttributeModel.__table__

# A float as two columns: infinities and NaN are kept as a type, so that every database takes them.
stored_value = models.TrialValueModel.value_to_stored_repr
stored_report = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
read_value = models.TrialValueModel.stored_repr_to_value
read_report = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value

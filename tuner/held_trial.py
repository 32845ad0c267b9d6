"""Optuna's storage around one trial that is kept in memory.

Optuna reads a trial anew, in six statements, whenever it looks at it, and commits each value by
itself. Who holds a trial knows what is in it: it is read once, or never.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages import RDBStorage, _CachedStorage
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from alphagrad.tuner.optuna_reports import RUNG
from alphagrad.tuner.optuna_tables import PARAMS, SYSTEM_ATTRS, USER_ATTRS

FRESH_SECONDS = 0.25
"""So long, and ten times as long as reading took, a pruner's view of the other trials is not read
again."""


class StudyCache(_CachedStorage):
    """What was read of a study, and until when that will do for pruners."""

    def __init__(self, backend: RDBStorage) -> None:
        super().__init__(backend)
        self.freshness = Freshness()


@dataclass(slots=True)
class Freshness:
    """Until when what was read will do."""

    until: float = 0.0


class _HeldTrialStorage(_CachedStorage):
    """The storage of a study, where one trial is in memory.

    Args:
        shared: the storage; what it has read so far is shared with it.
        study: Optuna's id and name of the study.
    """

    freshness: Freshness

    def __init__(self, shared: StudyCache, study: tuple[int, str]) -> None:
        self.__dict__.update(shared.__dict__)
        self._study = study

    def get_study_id_from_name(self, study_name: str) -> int:
        """The study's id, which is known."""
        study_id, name = self._study
        return study_id if study_name == name else super().get_study_id_from_name(study_name)


class AskStorage(_HeldTrialStorage):
    """A trial's storage while its values are drawn: they are written at the end, all at once."""

    def __init__(self, shared: StudyCache, study: tuple[int, str], trial: FrozenTrial) -> None:
        super().__init__(shared, study)
        self._trial = trial
        self._params: dict[str, tuple[float, BaseDistribution]] = {}
        self._user_attrs: dict[str, Any] = {}
        self._system_attrs: dict[str, Any] = {}

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The trial in memory, or another one as it is stored."""
        return self._trial if trial_id == self._trial._trial_id else super().get_trial(trial_id)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Hold a parameter."""
        self._params[param_name] = (param_value_internal, distribution)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Hold an attribute."""
        self._trial.user_attrs[key] = self._user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Hold an attribute of a sampler."""
        self._trial.system_attrs[key] = self._system_attrs[key] = value

    def write(self, connection: Connection) -> None:
        """Write what is held."""
        trial_id = self._trial._trial_id
        rows = [
            {
                "trial_id": trial_id,
                "param_name": name,
                "param_value": value,
                "distribution_json": distribution_to_json(distribution),
            }
            for name, (value, distribution) in self._params.items()
        ]
        upsert(connection, PARAMS, rows, key=("trial_id", "param_name"))
        for table, attrs in ((USER_ATTRS, self._user_attrs), (SYSTEM_ATTRS, self._system_attrs)):
            rows = [
                {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
                for key, value in attrs.items()
            ]
            upsert(connection, table, rows, key=("trial_id", "key"))


class JudgeStorage(_HeldTrialStorage):
    """A running trial's storage for its pruner: the trial is read once, the others now and then."""

    def __init__(self, shared: StudyCache, study: tuple[int, str]) -> None:
        super().__init__(shared, study)
        self._trial: FrozenTrial | None = None
        self._has_read = False

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial; the one that was asked for first is read once."""
        if self._trial is None:
            self._trial = super().get_trial(trial_id)
        return self._trial if trial_id == self._trial._trial_id else super().get_trial(trial_id)

    def note_report(self, trial_id: int, step: int, value: float) -> FrozenTrial:
        """The trial with one more report, which is stored already."""
        trial = self.get_trial(trial_id)
        trial.intermediate_values[step] = value
        return trial

    def forget_reports(self, trial_id: int, *, after: int) -> None:
        """Drop the reports of later steps, which are deleted, if the trial was read already."""
        if (trial := self._read_already(trial_id)) is not None:
            reports = trial.intermediate_values
            for step in [step for step in reports if step > after]:
                del reports[step]

    def forget_rungs(self, trial_id: int) -> None:
        """Drop the rungs, which are deleted, if the trial was read already."""
        if (trial := self._read_already(trial_id)) is not None:
            attrs = trial.system_attrs
            for key in [key for key in attrs if key.startswith(RUNG)]:
                del attrs[key]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store an attribute of a pruner."""
        super().set_trial_system_attr(trial_id, key, value)
        if (trial := self._read_already(trial_id)) is not None:
            trial.system_attrs[key] = value

    def _read_already(self, trial_id: int) -> FrozenTrial | None:
        trial = self._trial
        return trial if trial is not None and trial._trial_id == trial_id else None

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        # A trial's first look is its own: it sees all that ended before it, by whatever clock.
        if self._has_read and time.monotonic() < self.freshness.until:
            return
        began = time.monotonic()
        super()._read_trials_from_remote_storage(study_id)
        now = time.monotonic()
        # Running trials with thousands of reports are dear to read: a tenth of the time at most.
        self.freshness.until = now + max(FRESH_SECONDS, 10 * (now - began))
        self._has_read = True


def upsert(
    connection: Connection, table: Table, rows: list[dict[str, Any]], *, key: tuple[str, ...]
) -> None:
    """Insert rows; where there is one with the same key, it is replaced."""
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(table)
    changed = {name: insert.excluded[name] for name in rows[0] if name not in key}
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), rows)

"""Playing a study through Optuna's side of it alone, without workers and trial processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from alphagrad.tuner import StudySpec
from alphagrad.tuner.asked_trial import AskedTrial
from alphagrad.tuner.database import Database
from alphagrad.tuner.optuna_ends import write_end
from alphagrad.tuner.optuna_storage import OptunaStorage


class Asker:
    """A study of the storage, asked for one slot after the other."""

    def __init__(self, storage: OptunaStorage, spec: StudySpec) -> None:
        self.storage, self.spec = storage, spec
        self.study_id = storage.create_study(spec)

    def ask(self, slot: int, *, resumed: bool = False) -> AskedTrial:
        return self.storage.ask(
            self.spec, optuna_study_id=self.study_id, slot=slot, resumed=resumed
        )

    def report(self, asked: AskedTrial, value: float, step: int = 1) -> bool:
        study = self.storage.study(self.spec, number=asked.number)
        return self.storage.report(study, asked.optuna_trial_id, step=step, value=value)

    def tell(
        self,
        asked: AskedTrial,
        state: str,
        value: float | Sequence[float] | None = None,
        constraints: Mapping[str, float] | None = None,
    ) -> None:
        if state == "PRUNED":
            value = self.storage.pruned_value(asked.optuna_trial_id)
        values = [] if value is None else [value] if isinstance(value, int | float) else value
        given = constraints or {}
        with Session(self.storage.rdb.engine) as session, session.begin():
            write_end(
                session,
                asked.optuna_trial_id,
                state=state,
                values=values,
                constraints=[given[name] for name in self.spec.constraints if name in given],
            )


def play(
    database: Database,
    spec: StudySpec,
    value_of: Callable[[Mapping[str, Any]], float],
    *,
    restart_at: int = -1,
) -> list[dict[str, Any]]:
    """Run a sequential study, on another connection from one slot on, as after a restart."""
    storage = OptunaStorage(database)
    asked_params = []
    try:
        for slot in range(spec.n_trials):
            if slot == restart_at:
                storage.dispose()
                storage = OptunaStorage(database)
            asker = Asker(storage, spec)
            asked = asker.ask(slot)
            asker.tell(asked, "COMPLETE", value_of(asked.params))
            asked_params.append(asked.params)
    finally:
        storage.dispose()
    return asked_params

"""Optuna's side of a study: one ask, one tell, in the same database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.pruners import (
    HyperbandPruner,
    NopPruner,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import SQLAlchemyError

from alphagrad.tuner import warm_start
from alphagrad.tuner.asked_trial import AskedTrial, CreatedTrial, SamplingError
from alphagrad.tuner.database import Database, configure_sqlite, engine_options
from alphagrad.tuner.grid import SLOT
from alphagrad.tuner.held_trial import AskStorage, JudgeStorage, StudyCache
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.optuna_errors import database_errors
from alphagrad.tuner.optuna_reports import (
    delete_reports,
    delete_rungs,
    last_report,
    note_first_report,
    write_report,
)
from alphagrad.tuner.optuna_tables import SYSTEM_ATTRS, TRIALS
from alphagrad.tuner.pruners import build_pruner, judge_of
from alphagrad.tuner.samplers import build_sampler
from alphagrad.tuner.seeds import derive_seed
from alphagrad.tuner.space import suggest
from alphagrad.tuner.spec import StudySpec

# Progress is shown by us; Optuna's line per trial would be noise in every log.
optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaStorage:
    """Optuna's tables in a migrated database.

    Args:
        database: the database.
        reads_only: on SQLite, never wait for a writer; for a reader such as the dashboard.
    """

    def __init__(self, database: Database, *, reads_only: bool = False) -> None:
        rdb = RDBStorage(
            database.url.render_as_string(hide_password=False),
            engine_kwargs=engine_options(database.url),
            skip_compatibility_check=True,
            skip_table_creation=True,
        )
        if database.is_sqlite:
            # Optuna's row locks do nothing on SQLite: without IMMEDIATE two processes can claim
            # the same trial. Connections made before this line are dropped.
            rdb.engine.dispose()
            configure_sqlite(rdb.engine, reads_only=reads_only)
        self._database = database
        # One statement needs no transaction around it. (SQLite begins one itself all the same.)
        self._reports = (
            database.engine
            if database.is_sqlite
            else database.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self.rdb = rdb
        self._caches: dict[int, StudyCache] = {}

    def dispose(self) -> None:
        """Close all connections."""
        self.rdb.scoped_session.remove()
        self.rdb.engine.dispose()

    @database_errors
    def has_study(self, name: str) -> bool:
        """Whether Optuna knows a study of this name, ours or not."""
        try:
            self.rdb.get_study_id_from_name(name)
        except KeyError:
            return False
        return True

    @database_errors
    def create_study(self, spec: StudySpec) -> int:
        """Create the study, or find it, and return Optuna's id of it."""
        optuna.create_study(
            study_name=spec.name,
            directions=spec.objectives,
            storage=self.rdb,
            load_if_exists=True,
        )
        return self.rdb.get_study_id_from_name(spec.name)

    @database_errors
    def delete_study(self, name: str) -> None:
        """Delete the study and its few trials, if there is one."""
        with suppress(KeyError):
            self.rdb.delete_study(self.rdb.get_study_id_from_name(name))

    @database_errors
    def add_observations(self, spec: StudySpec, *, optuna_study_id: int) -> None:
        """Add the finished trials of the studies that a study starts from, those not yet added.

        No two processes may do this at once.
        """
        warm_start.add_observations(self.rdb, spec, optuna_study_id=optuna_study_id)

    @database_errors
    def ask(
        self,
        spec: StudySpec,
        *,
        optuna_study_id: int,
        slot: int,
        resumed: bool,
        fixed_params: dict[str, Any] | None = None,
    ) -> AskedTrial:
        """Create a slot's trial and draw its values.

        Args:
            spec: the study's specification.
            optuna_study_id: Optuna's id of the study.
            slot: the slot's number in our table.
            resumed: whether an earlier worker may have created the trial and died.
            fixed_params: values not to draw.

        Raises:
            SamplingError: the sampler cannot draw, or it or the pruner cannot be made.
        """
        cache = self._cache(optuna_study_id)
        trial_id = self._find_by_slot(optuna_study_id, slot) if resumed else None
        if trial_id is None:
            # The slot is part of the trial from its first moment: a crash between this line and
            # our own record leaves a trial that can be found again, not one too many.
            attrs: dict[str, Any] = {SLOT: slot}
            if fixed_params:
                attrs["fixed_params"] = fixed_params  # as Study.enqueue_trial writes them
            template = optuna.trial.create_trial(state=TrialState.RUNNING, system_attrs=attrs)
            trial_id = cache.create_new_trial(optuna_study_id, template)
            drawn = self._as_created(template, trial_id)
        else:
            drawn = cache.get_trial(trial_id)
        number = drawn.number
        storage = AskStorage(cache, (optuna_study_id, spec.name), drawn)
        seed = derive_seed(spec.seed, "trial", number)
        try:
            study = _study(storage, spec, number=number)
            trial = optuna.Trial(study, trial_id)  # samplers that draw all at once do it here
            params = suggest(trial, spec.params)
        except (StorageInternalError, SQLAlchemyError):
            raise
        except Exception as error:
            created = CreatedTrial(optuna_trial_id=trial_id, number=number, seed=seed)
            raise SamplingError(created, error) from error
        trial.set_user_attr("seed", seed)
        with self.rdb.engine.begin() as connection:
            storage.write(connection)
        return AskedTrial(optuna_trial_id=trial_id, number=number, seed=seed, params=params)

    @database_errors
    def study(
        self, spec: StudySpec, *, number: int, optuna_study_id: int | None = None
    ) -> optuna.Study:
        """Optuna's study for the needs of one trial, with the sampler and pruner of the spec.

        Args:
            spec: the study's specification.
            number: the trial's number.
            optuna_study_id: Optuna's id of the study, looked up where it is not given.
        """
        # A study object caches the trials it has seen, so every trial gets a new one.
        if optuna_study_id is None:
            optuna_study_id = self.rdb.get_study_id_from_name(spec.name)
        storage = JudgeStorage(self._cache(optuna_study_id), (optuna_study_id, spec.name))
        return _study(storage, spec, number=number)

    @database_errors
    def report(
        self,
        study: optuna.Study,
        optuna_trial_id: int,
        *,
        step: int,
        value: float,
        lease: tuple[int, int] | None = None,
        restarts: bool = False,
    ) -> bool:
        """Record an intermediate value, and ask the pruner whether the trial should stop.

        A step that is reported again, by a resumed trial, keeps the later value.

        Args:
            study: the trial's study, from :meth:`study`.
            optuna_trial_id: Optuna's id of the trial.
            step: where training stands.
            value: the value.
            lease: our row's id and the fence, to be checked in the same statement.
            restarts: whether it is the first report of an attempt that comes after others: what
                they reported of later steps is deleted.

        Raises:
            StaleFenceError: the lease was lost, or the trial has ended.
        """
        with (self._database.engine if restarts else self._reports).begin() as connection:
            write_report(connection, optuna_trial_id, step=step, value=value, lease=lease)
            if restarts:
                self._restart(connection, study, optuna_trial_id, step)
        return self._judge(study, optuna_trial_id, step, value)

    @database_errors
    def report_all(
        self,
        study: optuna.Study,
        optuna_trial_id: int,
        reports: Sequence[tuple[int, float]],
        *,
        lease: tuple[int, int],
    ) -> bool:
        """Record intermediate values in one transaction, and judge them one by one.

        With the first ones of an attempt, what earlier attempts reported of later steps is deleted.

        Args:
            study: the trial's study, from :meth:`study`.
            optuna_trial_id: Optuna's id of the trial.
            reports: steps and values, at least one, in their order.
            lease: our row's id and the fence to check.

        Returns:
            Whether the pruner, at the last of them, wants the trial stopped.

        Raises:
            StaleFenceError: the lease was lost, or the trial has ended.
        """
        if not isinstance(study.pruner, NopPruner):
            study._storage.get_trial(optuna_trial_id)  # as it is before them; it is read once
        # With a transaction around them, which the one of a single report does without.
        with self._database.engine.begin() as connection:
            for place, (step, value) in enumerate(reports):
                write_report(connection, optuna_trial_id, step=step, value=value, lease=lease)
                if place == 0 and note_first_report(connection, optuna_trial_id, fence=lease[1]):
                    self._restart(connection, study, optuna_trial_id, step)
        return [self._judge(study, optuna_trial_id, step, value) for step, value in reports][-1]

    def _restart(
        self, connection: Connection, study: optuna.Study, optuna_trial_id: int, step: int
    ) -> None:
        judge, storage = judge_of(study.pruner), study._storage
        assert isinstance(storage, JudgeStorage)
        if isinstance(judge, WilcoxonPruner):
            return  # its steps are instances of a problem: none is later than another
        delete_reports(connection, optuna_trial_id, after=step)
        storage.forget_reports(optuna_trial_id, after=step)
        if isinstance(judge, SuccessiveHalvingPruner | HyperbandPruner) and delete_rungs(
            connection, optuna_trial_id, before=step
        ):
            storage.forget_rungs(optuna_trial_id)

    def _judge(self, study: optuna.Study, optuna_trial_id: int, step: int, value: float) -> bool:
        if isinstance(study.pruner, NopPruner):
            return False
        storage = study._storage
        assert isinstance(storage, JudgeStorage)
        return study.pruner.prune(study, storage.note_report(optuna_trial_id, step, value))

    @database_errors
    def pruned_value(self, optuna_trial_id: int) -> float | None:
        """The value of a trial that is pruned now: that of its largest step."""
        with self._reports.begin() as connection:
            return last_report(connection, optuna_trial_id)

    @database_errors
    def fail_orphans(self, study: str) -> None:
        """End trials of a finished study that no slot knows: their worker died while asking."""
        try:
            study_id = self.rdb.get_study_id_from_name(study)
        except KeyError:
            return  # it was deleted meanwhile
        self.forget(study_id)
        orphans = (
            update(TRIALS)
            .where(TRIALS.c.study_id == study_id, TRIALS.c.state == TrialState.RUNNING)
            .values(state=TrialState.FAIL, datetime_complete=datetime.now(UTC).replace(tzinfo=None))
        )
        with self._database.engine.begin() as connection:
            connection.execute(orphans)

    def forget(self, optuna_study_id: int) -> None:
        """Drop what was read of a study: it has ended, or another one has got its id."""
        self._caches.pop(optuna_study_id, None)

    def forget_ended(self) -> None:
        """Drop what was read of studies that have ended, wherever that was, or are deleted."""
        known = list(self._caches)
        with self._database.read() as session:
            open_ = select(StudyRow.optuna_study_id).where(
                StudyRow.optuna_study_id.in_(known), StudyRow.finished_at.is_(None)
            )
            going_on = set(session.scalars(open_))
        for study_id in set(known) - going_on:
            self.forget(study_id)

    def _cache(self, optuna_study_id: int) -> StudyCache:
        return self._caches.setdefault(optuna_study_id, StudyCache(self.rdb))

    def _as_created(self, template: FrozenTrial, trial_id: int) -> FrozenTrial:
        query = select(TRIALS.c.number).where(TRIALS.c.trial_id == trial_id)
        with self.rdb.engine.connect() as connection:
            template.number = connection.scalars(query).one()
        template._trial_id = trial_id
        return template

    def _find_by_slot(self, optuna_study_id: int, slot: int) -> int | None:
        query = (
            select(TRIALS.c.trial_id)
            .join(SYSTEM_ATTRS, SYSTEM_ATTRS.c.trial_id == TRIALS.c.trial_id)
            .where(
                TRIALS.c.study_id == optuna_study_id,
                TRIALS.c.state == TrialState.RUNNING,
                SYSTEM_ATTRS.c.key == SLOT,
                SYSTEM_ATTRS.c.value_json == str(slot),
            )
            .order_by(TRIALS.c.number)
        )
        with self.rdb.engine.connect() as connection:
            return connection.scalars(query.limit(1)).first()


def _study(storage: BaseStorage, spec: StudySpec, *, number: int) -> optuna.Study:
    return optuna.load_study(
        study_name=spec.name,
        storage=storage,
        sampler=build_sampler(
            spec.sampler, params=spec.params, study_seed=spec.seed, number=number
        ),
        pruner=build_pruner(spec.pruner),
    )

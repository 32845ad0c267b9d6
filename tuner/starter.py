"""From a free trial to a running one: claimed, asked, started."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress

from optuna import Study
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from alphagrad.tuner import exploits, lease_ends, leases, queueing, results
from alphagrad.tuner.asking import Asking
from alphagrad.tuner.database import Database, is_outage
from alphagrad.tuner.errors import StaleFenceError
from alphagrad.tuner.executor import Executor
from alphagrad.tuner.messages import TrialRequest
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.registry import task_names
from alphagrad.tuner.resources import Allotment, Room
from alphagrad.tuner.running_trial import RunningTrial
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.spec import StudySpec

logger = logging.getLogger(__name__)


class Starter:
    """Claims trials for a worker and starts them.

    Args:
        database: a migrated database.
        settings: the folder for logs and checkpoints, and the lease.
        optuna_storage: Optuna's tables in the same database.
        worker: the worker's name, unique among all workers.
        executor: where they run; studies of other engines are left alone.
        study: claim from this study alone; by default from all.
    """

    def __init__(
        self,
        database: Database,
        settings: TunerSettings,
        optuna_storage: OptunaStorage,
        *,
        worker: str,
        executor: Executor,
        study: str | None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._optuna = optuna_storage
        self._worker = worker
        self._executor = executor
        self._study = study
        self._tasks = frozenset(task_names())
        self._claims: list[leases.Claim] = []
        self._room: Room | None = None
        self._too_large: set[str] = set()
        self._unreadable: set[int] = set()
        self._asking = Asking(database, optuna_storage)

    def claim(self, room: Room | None = None) -> bool:
        """Claim a trial, and as many more of its study as may share a process with it.

        Args:
            room: what is free; by default the next trial is taken, whatever it needs.

        Returns:
            Whether there was one that fits.
        """
        self._room = room
        study, spec = self._study, None
        while spec is None or len(self._claims) < spec.stack:
            claimed = leases.claim(
                self._database,
                worker=self._worker,
                lease_seconds=self._settings.lease_seconds,
                tasks=self._tasks,
                study=study,
                engine=self._executor.engine,
                room=room if spec is None else None,
                quota=self._settings.quota_running_trials,
                without=self._unreadable,
            )
            self._name_too_large()
            if claimed is None:
                break
            if spec is None:
                try:
                    self._spec = spec = StudySpec.model_validate(claimed.study.spec)
                except ValidationError as error:
                    self._leave(claimed, error)
                    continue
                study = spec.name
            self._claims.append(claimed)
        return bool(self._claims)

    def _leave(self, claimed: leases.Claim, error: ValidationError) -> None:
        """Leave a study to workers that can read its specification: of a newer version, say."""
        name = claimed.study.name
        logger.error("study %s is left to other workers, this one cannot read it: %s", name, error)
        self._unreadable.add(claimed.study.id)
        with suppress(StaleFenceError):
            lease_ends.give_back(self._database, trial_id=claimed.trial.id, fence=claimed.fence)

    def _name_too_large(self) -> None:
        if (room := self._room) is None:
            return
        for name in sorted(room.too_large - self._too_large):
            logger.warning(
                "study %s waits for a larger worker: its trials need more than the %d CPUs and "
                "%d GPUs here",
                name,
                room.cpu,
                len(room.gpus),
            )
        self._too_large |= room.too_large

    def has_work_for(self, engine: str) -> bool:
        """Whether a trial could be claimed now by a worker of this or another engine."""
        return bool(
            queueing.candidates(
                self._database,
                tasks=self._tasks,
                study=self._study,
                engine=engine,
                quota=self._settings.quota_running_trials,
                without=self._unreadable,
            )
        )

    def start(self) -> list[RunningTrial]:
        """Start what was claimed, in one process; a trial that cannot start is recorded so."""
        prepared = [(claimed, self._prepare(claimed, self._spec)) for claimed in self._claims]
        ready = [(claimed, study) for claimed, study in prepared if study is not None]
        return self._launch(ready, self._spec) if ready else []

    def done(self) -> None:
        """Forget the claims: whoever renews their leases now has the running trials."""
        self._claims = []

    @property
    def claimed(self) -> set[tuple[int, int]]:
        """The row ids and fences of what is claimed and not yet handed over."""
        return {(claimed.trial.id, claimed.fence) for claimed in self._claims}

    def _prepare(self, claimed: leases.Claim, spec: StudySpec) -> Study | None:
        """Draw a trial's parameters if it has none; gives what judges it, if it can run."""
        trial = claimed.trial
        try:
            if trial.params is None:
                self._asking.ask(claimed, spec, resumed=trial.attempt > 1)
            else:
                self._asking.recognise(claimed.study)
            assert trial.number is not None
            return self._optuna.study(
                spec, number=trial.number, optuna_study_id=claimed.study.optuna_study_id
            )
        except StaleFenceError as error:
            logger.warning("%s: slot %d: %s", claimed.study.name, trial.slot, error)
        except Exception as error:
            if isinstance(error, DBAPIError) and is_outage(error):
                raise  # the lease, not renewed, will run out, and the trial is taken up again
            # A sampler or a pruner that cannot work.
            results.fail_start(self._database, claimed, error, spec=spec)
        return None

    def _launch(
        self, ready: list[tuple[leases.Claim, Study]], spec: StudySpec
    ) -> list[RunningTrial]:
        needed = spec.resources
        allotment = Allotment(needed.cpu) if self._room is None else self._room.allot(needed)
        requests = [self._request(claimed, spec, allotment) for claimed, _ in ready]
        for (claimed, _), request in zip(ready, requests, strict=True):
            if claimed.first and request.exploit is None:
                # Of another database's study, or of one whose id this one has got.
                shutil.rmtree(request.checkpoint_dir, ignore_errors=True)
        try:
            process = self._executor.start(requests)
        except Exception as error:  # noqa: BLE001  (no process to be had ends the trials, not us)
            for claimed, _ in ready:
                results.fail_start(self._database, claimed, error, spec=spec)
            return []
        started = []
        for (claimed, study), request, line in zip(ready, requests, process.lines, strict=True):
            started.append(
                RunningTrial(
                    self._database,
                    self._optuna,
                    claimed=claimed,
                    spec=spec,
                    study=study,
                    request=request,
                    process=process,
                    line=line,
                )
            )
            logger.info("%s/%d attempt %d", request.study, request.number, request.attempt)
        return started

    def _request(
        self, claimed: leases.Claim, spec: StudySpec, allotment: Allotment
    ) -> TrialRequest:
        trial, study = claimed.trial, claimed.study
        assert trial.number is not None
        assert spec.task is not None
        return TrialRequest(
            study=study.name,
            number=trial.number,
            task=spec.task,
            seed=trial.seed or 0,
            params=trial.params or {},
            attempt=trial.attempt,
            fence=trial.fence,
            log_path=str(self._settings.log_path(study.name, trial.number)),
            checkpoint_dir=str(self._settings.checkpoint_dir(study.id, trial.slot)),
            n_objectives=len(spec.objectives),
            constraints=tuple(spec.constraints),
            traces_before_reports=spec.pruner.type == "saturation",
            cpu=allotment.cpu,
            gpus=allotment.gpus,
            nice=self._settings.nice,
            population=spec.population is not None,
            exploit=exploits.last_exploit(self._database, trial.id) if spec.population else None,
        )

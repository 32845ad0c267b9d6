"""The worker: claims trials, runs each in a process of its own, and writes SQL on their behalf."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby
from multiprocessing.connection import wait
from operator import itemgetter

from sqlalchemy.exc import DBAPIError

from alphagrad.tuner import histograms, knobs, lease_ends, leases, progress, study_store, workers
from alphagrad.tuner.contact import Contact
from alphagrad.tuner.database import Database, is_outage
from alphagrad.tuner.errors import StaleFenceError
from alphagrad.tuner.event_retention import trim_events
from alphagrad.tuner.executor import Executor, RunningProcess
from alphagrad.tuner.log_format import about
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.ray_driver import RayDriver
from alphagrad.tuner.resources import Room, gpu_names
from alphagrad.tuner.running_trial import RunningTrial
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.starter import Starter
from alphagrad.tuner.telling import end_studies, tell_optuna
from alphagrad.tuner.trial_process import LocalExecutor

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often knob commands are looked up: the most that one waits before it reaches its trial."""
HOUSEKEEPING_SECONDS = 0.5
"""How often free trials, expired leases, ended and cancelled studies are looked up."""
TRIM_SECONDS = 600.0
"""How often events that nobody needs any more are deleted."""
TELLING_SECONDS = 10.0
"""How often ends are looked up that a worker of an earlier version told Optuna nothing of."""


class Worker:
    """Runs trials until it is stopped, or until the one study it was made for has ended.

    One thread does everything but look after leases, so what a trial says is written in its order.

    Args:
        database: a migrated database.
        settings: the folder for logs and checkpoints, the number of slots, the lease.
        study: work for this study alone and return when it has ended; by default for all, always.
        executor: where trials run, and so of which engine's studies; by default on this machine,
            with a Ray driver beside it while there is work for one.
    """

    def __init__(
        self,
        database: Database,
        settings: TunerSettings,
        *,
        study: str | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._database = database
        self._settings = settings
        self._study = study
        self._optuna = OptunaStorage(database)
        self._driver = RayDriver(settings, study=study) if executor is None else None
        self._executor = executor or LocalExecutor(
            settings.slots,
            gpu_names(settings.gpus),
            warm=study is None or study_store.get_study(database, study).spec.engine == "optuna",
        )
        self._starter = Starter(
            database,
            settings,
            self._optuna,
            worker=self.name,
            executor=self._executor,
            study=study,
        )
        self._running: dict[tuple[int, int], RunningTrial] = {}
        self._lost: set[tuple[int, int]] = set()
        self._killed: list[RunningProcess] = []
        self._contact = Contact(settings.lease_seconds)
        self._stop = threading.Event()
        self._next_poll = self._next_housekeeping = self._next_trim = self._next_sign = 0.0
        self._next_telling = 0.0

    def stop(self) -> None:
        """Make :meth:`run` return soon; safe to call from a signal handler or another thread."""
        self._stop.set()

    def run(self, *, on_tick: Callable[[], None] | None = None) -> None:
        """Work. Trials that still run at the end are killed and given back at once.

        Args:
            on_tick: called about ten times a second, e.g. to draw progress; not while the database
                is away.
        """
        cpu, gpus = self._executor.capacity
        logger.info(
            "worker %s: %d slots, %d GPUs, state in %s",
            self.name,
            cpu,
            len(gpus),
            self._settings.home,
        )
        heart = threading.Thread(target=self._beat, name="alphagrad-leases", daemon=True)
        heart.start()
        try:
            while not self._stop.is_set():
                try:
                    self._turn()
                    if on_tick is not None:
                        on_tick()
                except DBAPIError as error:
                    if not is_outage(error):
                        raise
                    # Nothing is lost: what a trial said waits in its line until it is written.
                    logger.warning("the database is away, trying again: %s", error.orig)
                    self._stop.wait(1.0)
        finally:
            self._stop.set()
            heart.join()
            self._give_all_back()
            with suppress(DBAPIError):
                workers.forget(self._database, self.name)
            if self._driver is not None:
                self._driver.stop()
            self._executor.close()
            self._optuna.dispose()

    def _turn(self) -> None:
        if not self._running:
            self._stop.wait(POLL_SECONDS)
        elif not any(running.has_unhandled for running in self._running.values()):
            if not any(running.has_message for running in self._running.values()):
                self._executor.prepare()
            signs = {sign for running in self._running.values() for sign in running.signs}
            wait(list(signs), timeout=POLL_SECONDS)
        ended = []
        for running in list(self._running.values()):
            with about(**running.ids):
                ended.append(self._attend(running))
        now = time.monotonic()
        if self._running and now >= self._next_poll:
            self._next_poll = now + POLL_SECONDS
            self._deliver()
            self._announce_progress(now)
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + HOUSEKEEPING_SECONDS
            self._keep_house()
        elif any(ended):
            self._go_on()  # a slot is free: what can wait until the next housekeeping does

    def _attend(self, running: RunningTrial) -> bool:
        key = (running.id, running.fence)
        try:
            over = running.handle_messages()
            if not over and key in self._lost:
                raise StaleFenceError("the lease was not renewed in time")
        except StaleFenceError as error:
            logger.warning("%s: %s; another worker goes on with it", running.title, error)
            over = True
        except Exception as error:
            if isinstance(error, DBAPIError) and is_outage(error):
                raise
            over = self._give_up(running, error)
        if over:
            self._forget(running)
        return over

    def _give_up(self, running: RunningTrial, error: Exception) -> bool:
        """End a trial that sent what cannot be written down; the others go on."""
        logger.error("%s sent what cannot be recorded", running.title, exc_info=error)
        with suppress(StaleFenceError):
            running.fail(f"the trial sent what cannot be recorded: {error}")
        return True

    def _forget(self, running: RunningTrial) -> None:
        if running.kill():
            self._killed.append(running.process)
        self._lost.discard((running.id, running.fence))
        del self._running[running.id, running.fence]

    def _join_killed(self) -> None:
        while self._killed:
            self._killed[0].join()
            del self._killed[0]

    def _deliver(self) -> None:
        by_id = {running.id: running for running in self._running.values()}
        asked = knobs.open_commands(self._database, by_id)
        for trial_id, of_trial in groupby(asked, key=itemgetter(0)):
            by_id[trial_id].deliver(command for _, command in of_trial)
        for trial_id, question in histograms.open_questions(self._database, by_id):
            by_id[trial_id].ask(question)

    def _announce_progress(self, now: float) -> None:
        due = [running for running in self._running.values() if running.progress.is_due(now)]
        if not due:
            return
        progress.announce(
            self._database, {(running.id, running.fence): running.progress for running in due}
        )
        for running in due:
            running.progress.was_announced(now)

    def _keep_house(self) -> None:
        if time.monotonic() >= self._next_trim:
            self._next_trim = time.monotonic() + TRIM_SECONDS
            trim_events(self._database)
            self._optuna.forget_ended()
        if self._running:
            self._end_cancelled()
        if time.monotonic() >= self._next_telling:
            self._next_telling = time.monotonic() + TELLING_SECONDS
            tell_optuna(self._database)
        self._go_on()
        if self._driver is not None:
            self._driver.tend(self._starter.has_work_for)
        if time.monotonic() >= self._next_sign:
            self._next_sign = time.monotonic() + self._settings.lease_seconds / 3
            self._be_seen()

    def _be_seen(self) -> None:
        room = self._room()
        workers.see(
            self._database,
            name=self.name,
            engine=self._executor.engine,
            slots=(room.cpu, room.cpu - room.free_cpu),
            gpus=(len(room.gpus), len(room.used_gpus)),
            lease_seconds=self._settings.lease_seconds,
        )

    def _go_on(self) -> None:
        """End studies, and fill the free slots."""
        end_studies(self._database, self._optuna)
        while (room := self._room()).free_cpu > 0 and not self._stop.is_set():
            try:
                if not self._starter.claim(room):
                    break
                self._join_killed()  # what a trial held, of a GPU for one, is free for the next
                self._running |= {(one.id, one.fence): one for one in self._starter.start()}
            finally:
                self._starter.done()
        self._join_killed()
        if self._study is not None and not self._running:
            status = study_store.get_study(self._database, self._study)
            if status.ended:
                self._stop.set()

    @property
    def is_idle(self) -> bool:
        """Whether no trial runs here."""
        return not self._running

    def _room(self) -> Room:
        used = {running.process: running.allotment for running in self._running.values()}
        cpu, gpus = self._executor.capacity
        return Room.of(cpu=cpu, gpus=gpus, used=used.values())

    def _end_cancelled(self) -> None:
        states = study_store.study_states(
            self._database, {running.study_id for running in self._running.values()}
        )
        for running in list(self._running.values()):
            if states.get(running.study_id, "CANCELLED") == "CANCELLED":  # or deleted
                self._forget(running)
                with about(**running.ids):
                    try:
                        running.fail("the study was cancelled")
                    except StaleFenceError as error:
                        logger.info("%s: %s", running.title, error)

    def _beat(self) -> None:
        """Renew our leases, and free the trials of workers that did not renew theirs.

        Whatever keeps the other thread, a sampler or a forkserver's imports, this goes on.
        """
        lease = self._settings.lease_seconds
        renewal = time.monotonic() + lease / 3
        while not self._stop.wait(HOUSEKEEPING_SECONDS):
            try:
                if time.monotonic() >= renewal:
                    self._renew()
                    renewal = time.monotonic() + lease / 3
                with self._contact.made():
                    lease_ends.reap(self._database, only_if=self._contact.is_steady)
            except DBAPIError as error:
                logger.warning("leases were not renewed: %s", error.orig)
            except Exception:
                # Without this thread every trial here would be lost; the next turn may do.
                logger.exception("leases were not renewed")

    def _renew(self) -> None:
        believed = {*self._starter.claimed, *self._running}
        with self._contact.made():
            held = leases.renew(
                self._database,
                believed,
                worker=self.name,
                lease_seconds=self._settings.lease_seconds,
            )
        self._lost |= believed - held

    def _give_all_back(self) -> None:
        for running in list(self._running.values()):
            try:
                if self._attend(running):
                    continue  # it had just ended
                self._forget(running)
                self._join_killed()
                lease_ends.give_back(self._database, trial_id=running.id, fence=running.fence)
            except (StaleFenceError, DBAPIError) as error:
                logger.warning("%s was not given back: %s", running.title, error)

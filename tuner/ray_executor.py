"""The executor of engine ``ray``: Ray Tune places seats, and trials run on them."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from alphagrad.tuner.executor import Engine
from alphagrad.tuner.messages import Lost, ToTrial, TrialRequest
from alphagrad.tuner.ray_cluster import capacity, connect
from alphagrad.tuner.ray_mailbox import NAMESPACE, Mailbox, Shape, shape_of
from alphagrad.tuner.ray_process import RayProcess
from alphagrad.tuner.ray_seat import Seat
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.trial_process import script_of_tasks

COLLECT_SECONDS = 1.0
CLOSE_SECONDS = 1.0
MOST_SEATS = 10_000  # the most that a study's parallelism can be


class RayExecutor:
    """Runs trials on a Ray cluster. One to a process: a process has one connection to Ray.

    A trial's request and all that is said between driver and trial goes through a mailbox, an
    actor beside the driver. Ray Tune has as many seats as there are trials that have not ended.

    Args:
        settings: the cluster.

    Raises:
        ConnectionError: no cluster is at ``ray_address``.
    """

    engine: Engine = "ray"

    def __init__(self, settings: TunerSettings) -> None:
        self._processes: dict[str, RayProcess] = {}
        self._failure: BaseException | None = None
        self._closing = threading.Event()
        connect(settings)
        name = f"mailbox-{secrets.token_hex(8)}"
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._mailbox: Any = (
            ray.remote(Mailbox)
            .options(
                name=name,
                namespace=NAMESPACE,
                num_cpus=0,
                max_concurrency=2 * MOST_SEATS + 10,
                scheduling_strategy=here,
            )
            .remote()
        )
        self._seats = Seats(
            self,
            {
                "mailbox": name,
                "script": script_of_tasks(),
            },
        )
        self._folder = tempfile.mkdtemp(prefix="alphagrad-ray-")
        self._threads = [
            threading.Thread(target=self._guard, args=(run,), daemon=True)
            for run in (self._tune, self._collect)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def capacity(self) -> tuple[int, Sequence[str]]:
        """CPUs and GPUs of the cluster, as it stands.

        Raises:
            RuntimeError: Ray Tune or the mailbox has failed.
        """
        if self._failure is not None:
            raise RuntimeError("Ray has failed; a new driver starts anew") from self._failure
        return capacity()

    def unfinished(self) -> Counter[Shape]:
        """How many trials wait for a seat or have one, by what they take."""
        return Counter(process.shape for process in list(self._processes.values()))

    @property
    def is_closing(self) -> bool:
        """Whether no more seats are wanted."""
        return self._closing.is_set()

    def start(self, requests: Sequence[TrialRequest]) -> RayProcess:
        """Ask for a process that runs a trial; if Ray has failed, the trial is lost."""
        [request] = requests
        key = f"{request.study}/{request.number}/{request.fence}"

        def post(message: ToTrial) -> None:
            ray.get(self._mailbox.post.remote(key, message))

        def release() -> None:
            self._processes.pop(key, None)
            self._mailbox.close.remote(key)

        process = RayProcess(shape_of(request), post=post, release=release)
        self._processes[key] = process
        try:
            ray.get(self._mailbox.submit.remote(key, request))
        except RayError as error:
            process.hear(Lost(f"Ray has failed: {error}"))
        return process

    def prepare(self) -> None:
        """Seats are kept by Ray Tune."""

    def abandon(self, seat: str, shape: Shape) -> None:
        """A seat is gone, by its id in Ray Tune; its trial is to be taken over."""
        if not self.is_closing:
            error = "the process of Ray that ran it is gone, or its machine"
            ray.get(self._mailbox.abandon.remote(seat, shape, error))

    def close(self) -> None:
        """Send all seats home and leave Ray; a Ray of our own ends."""
        self._closing.set()
        with suppress(RayError):
            ray.get(self._mailbox.shut.remote(), timeout=CLOSE_SECONDS)
        self._threads[0].join(CLOSE_SECONDS)  # Ray Tune; what it has not ended ends with Ray
        ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _guard(self, run: Any) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001  (the worker's own thread raises it)
            if not self._closing.is_set():
                self._failure = error

    def _collect(self) -> None:
        while not self._closing.is_set():
            for key, event in ray.get(self._mailbox.collect.remote(COLLECT_SECONDS)):
                if (process := self._processes.get(key)) is not None:
                    process.hear(event)

    def _tune(self) -> None:
        # At its end Tune looks for each seat's files of results, of which there are none.
        logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
        tune.Tuner(
            Seat,
            tune_config=tune.TuneConfig(
                search_alg=self._seats,
                num_samples=-1,
                max_concurrent_trials=MOST_SEATS,  # without a number Tune starts them one by one
                reuse_actors=True,
                trial_dirname_creator=lambda trial: f"seat-{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name="seats",
                storage_path=self._folder,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        ).fit()
        if not self._closing.is_set():
            raise RuntimeError("Ray Tune has ended by itself")


class Seats(Searcher):
    """Has Ray Tune place a seat for each trial that has not ended. Its pickle is empty.

    Args:
        executor: knows how many those are.
        config: of every seat; its ``shape`` is added.
    """

    def __init__(self, executor: RayExecutor, config: dict[str, Any]) -> None:
        super().__init__()
        self._executor: RayExecutor | None = executor
        self._config = config
        self._placed: dict[str, Shape] = {}

    def suggest(self, trial_id: str) -> Any:
        """The config of one more seat, or ``None`` if there are enough, or the word of the end."""
        if self._executor is None or self._executor.is_closing:
            return Searcher.FINISHED
        missing = self._executor.unfinished() - Counter(self._placed.values())
        if not missing:
            return None
        shape = self._placed[trial_id] = next(iter(missing))
        return self._config | {"shape": shape}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A seat has gone home, or it is gone."""
        shape = self._placed.pop(trial_id)
        if error and self._executor is not None:
            self._executor.abandon(trial_id, shape)

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept: Ray is started anew, and SQL knows all trials."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing was kept."""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_executor": None}

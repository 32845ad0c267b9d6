"""A trial of Ray Tune: a seat on the cluster, where trials of ours run one after another."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError

from alphagrad.tuner.messages import FromTrial, ToTrial, TrialRequest
from alphagrad.tuner.ray_mailbox import NAMESPACE, Event, Exited
from alphagrad.tuner.trial_process import TrialProcess, forkserver

LINGER_SECONDS = 1.0
"""So long a seat waits for its next trial before it gives its place back to the cluster."""
RECEIVE_SECONDS = 30.0
"""How long one call waits for the driver to say something; the next one follows."""
DEATH_SECONDS = 5.0


class Seat(tune.Trainable):
    """Runs each trial in a process of its own, forked where torch and the tasks are imported.

    An iteration of it is one trial. Its ``config`` names the driver's mailbox, the CPUs and GPUs
    that it takes, and the script with the driver's tasks, if there is one.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What Ray reserves for a seat."""
        cpus, gpus = config["shape"]
        return tune.PlacementGroupFactory([{"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus}])

    def setup(self, config: dict[str, Any]) -> None:
        """Find the mailbox."""
        self._mailbox: Any = ray.get_actor(config["mailbox"], namespace=NAMESPACE)
        _be_started_from(config["script"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next seat's place, with the forkserver that is there."""
        return True  # all seats of an experiment have one mailbox

    def step(self) -> dict[str, Any]:
        """Run a trial, or end when there is none."""
        os.chdir(os.environ["TUNE_ORIG_WORKING_DIR"])  # a trial's folder is the driver's, as ever
        node = ray.get_runtime_context().get_node_id()
        shape = tuple(self.config["shape"])
        work = ray.get(self._mailbox.take.remote(self.trial_id, shape, node, LINGER_SECONDS))
        if work is None:
            return {"done": True}
        key, request = work
        self._run(key, replace(request, gpus=()))  # it sees those that Ray gave the seat
        return {"study": request.study, "number": request.number, "attempt": request.attempt}

    def _run(self, key: str, request: TrialRequest) -> None:
        # The first trial's task is the one that is imported ahead: a cluster may have many seats.
        process = TrialProcess(forkserver(request.task), [request])
        [line] = process.lines
        upward = threading.Thread(target=self._relay, args=(key, process, line), daemon=True)
        upward.start()
        # The driver ends each line, after the trial's result or in its place.
        with suppress(RayError):  # or it is gone, and another one takes the trial over
            while True:
                messages = ray.get(self._mailbox.receive.remote(key, RECEIVE_SECONDS))
                if messages is None:
                    break
                with suppress(OSError):  # the process is gone; the relay says so
                    for message in messages:
                        line.send(message)
        process.release()
        process.join()  # what it held is free for the next trial
        upward.join()
        line.close()

    def _relay(self, key: str, process: TrialProcess, line: Connection[ToTrial, FromTrial]) -> None:
        ended = False
        with suppress(RayError):
            while not ended:
                wait([line, process.sentinel])
                events: list[Event] = []
                try:
                    while line.poll():
                        events.append(line.recv())
                    # A child that the trial forked may hold the line open after its death.
                    ended = process.exitcode is not None and not line.poll()
                except (EOFError, OSError):
                    ended = True
                if ended:
                    process.join(DEATH_SECONDS)
                    events.append(Exited(process.exitcode))
                ray.get(self._mailbox.deliver.remote(key, events))


def _be_started_from(script: str | None) -> None:
    """Let processes started here import the driver's script again, as its own children would."""
    main = sys.modules["__main__"]
    if script is not None and Path(script).exists():
        main.__file__ = script
    elif hasattr(main, "__file__"):
        del main.__file__

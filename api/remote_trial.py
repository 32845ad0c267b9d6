"""A trial for training code that runs outside of the service."""

from __future__ import annotations

import atexit
import logging
import secrets
import shutil
import socket
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from optuna import TrialPruned

from alphagrad.api.client_errors import ApiError
from alphagrad.api.remote_channel import HttpChannel
from alphagrad.api.remote_http import LostTrialError, RemoteServer, StudyEndedError
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.errors import NonRetryableError
from alphagrad.tuner.messages import Finished
from alphagrad.tuner.outcomes import outcome, with_constraints
from alphagrad.tuner.settings import TunerSettings
from alphagrad.tuner.trial import Trial

logger = logging.getLogger(__name__)

PATIENCE = 3600.0
ENDED = ("STOPPING", "COMPLETED", "FAILED", "CANCELLED")
"""States in which a study starts no more trials."""
MAX_CLIENT = 80


class RemoteTrial(Trial):
    """A trial of a study with engine ``remote``, run by this process.

    It has the methods of :class:`alphagrad.tuner.Trial`. A thread sends what it says and its
    heartbeats; while the server is away the training goes on, until it waits for a verdict. Left
    by an exception, a ``with`` block fails the trial, and prunes it on ``TrialPruned``, which goes
    no further. A process that dies leaves the trial to another client, after its lease.

    Attributes:
        fence: what proves that the trial is ours.

    Example::

        with RemoteTrial.ask(url, key, study="lr-search") as trial:
            trial.tell(train(trial))
    """

    def __init__(
        self,
        server: RemoteServer,
        asked: dict[str, Any],
        *,
        checkpoints: Path,
    ) -> None:
        number, self.fence = asked["number"], asked["fence"]
        # The time tells the trial from one of an earlier study of the same name.
        began = "".join(c for c in str(asked["started_at"]) if c.isalnum())
        self._folder = checkpoints / server.study / f"{number}-{began}"
        self._line = HttpChannel(
            server,
            number=number,
            fence=self.fence,
            client=asked["client"],
            lease_seconds=asked["lease_seconds"],
        )
        self._server = server
        self._has_ended = False
        self._constraints = tuple(asked["constraints"])
        super().__init__(
            params=asked["params"],
            seed=asked["seed"],
            number=number,
            study=server.study,
            attempt=asked["attempt"],
            channel=self._line,
            checkpoints=CheckpointStore(self._folder, fence=self.fence),
            n_objectives=asked["n_objectives"],
            constraint_names=self._constraints,
            traces_before_reports=True,  # the pruner may look at saturation
        )
        atexit.register(self._end_with_the_process)

    @classmethod
    def ask(
        cls,
        url: str,
        key: str,
        *,
        study: str,
        client: str | None = None,
        checkpoints: Path | str | None = None,
        patience: float = PATIENCE,
    ) -> Self:
        """Ask for a trial, and wait until there is one.

        Args:
            url: the server, e.g. ``http://127.0.0.1:8000``.
            key: an API key that may write.
            study: the study's name.
            client: this client's name in the history of attempts, by default the host's; a number
                drawn for each trial is added.
            checkpoints: the folder for checkpoints; by default ``remote`` in ``ALPHAGRAD_HOME``.
                Clients that share one go on from each other's.
            patience: a server that does not answer is called again for so many seconds.

        Raises:
            StudyEndedError: the study has no trial left.
            ApiError: the server refused the call, or did not answer for too long.
        """
        server = RemoteServer(url, key, study=study, patience=patience)
        try:
            asked = _asked(server, client=client)
        except BaseException:
            server.close()
            raise
        return cls(server, asked, checkpoints=_folder(checkpoints))

    def tell(self, value: Any) -> dict[str, Any]:
        """End the trial with its result, as a task ends by returning it.

        Args:
            value: a finite number, or one for each objective; anything else fails the trial.

        Returns:
            The trial, as ``GET …/trials/{number}`` gives it.

        Raises:
            LostTrialError: the trial is not ours any more; nothing was recorded.
            ApiError: the server refused the call.
        """
        ended = outcome(value, n_objectives=self.n_objectives)
        end = with_constraints(ended, self.constraints, self._constraints)
        assert isinstance(end, Finished)
        return self._end(end)

    def __enter__(self) -> Self:
        """End the trial at the end of the block, if it has not ended before."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """End a trial that was not told; a pruned one's exception goes no further."""
        if not self._has_ended:
            self._end_by(error)
        return isinstance(error, TrialPruned)

    def _end_by(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, Exception):
            self._abandon()  # interrupted: another client goes on
            return
        if isinstance(error, TrialPruned):
            end = Finished(state="PRUNED")
        elif error is None:
            message = "the trial was left without a result: call trial.tell"
            end = Finished(state="FAIL", error=message, retryable=False)
        else:
            retryable = not isinstance(error, NonRetryableError)
            shown = f"{type(error).__name__}: {error}"
            end = Finished(state="FAIL", error=shown, retryable=retryable)
        try:
            self._end(end)
        except (LostTrialError, ApiError) as problem:
            logger.warning("%s/%d was not told: %s", self.study, self.number, problem)

    def _end(self, end: Finished) -> dict[str, Any]:
        self._has_ended = True
        atexit.unregister(self._end_with_the_process)
        try:
            self.close()
            told = self._line.finish(end)
        finally:
            self._hang_up()
        if told["state"] in ("COMPLETE", "PRUNED", "FAIL"):  # nobody goes on from them any more
            shutil.rmtree(self._folder, ignore_errors=True)
        return told

    def _abandon(self) -> None:
        self._has_ended = True
        atexit.unregister(self._end_with_the_process)
        self._hang_up()

    def _hang_up(self) -> None:
        self._line.abandon()
        self._server.close()

    def _end_with_the_process(self) -> None:
        # What an uncaught exception leaves behind; the interpreter's end itself is no result.
        error = getattr(sys, "last_value", None)
        if not self._has_ended:
            self._end_by(error)


def _asked(server: RemoteServer, *, client: str | None) -> dict[str, Any]:
    name = socket.gethostname()[:MAX_CLIENT] if client is None else client
    if not 1 <= len(name) <= MAX_CLIENT:
        raise ValueError(f"client must have 1 to {MAX_CLIENT} characters, got {name!r}")
    # A name for this trial alone: whoever is started again under the same name must not take what
    # the process before it has left in the middle.
    own = f"{name}/{secrets.token_hex(4)}"
    while True:
        answer = server.post("trials:ask", {"client": own})
        trial: dict[str, Any] | None = answer["trial"]
        if trial is not None:
            return trial | {"client": own}
        if answer["study_state"] in ENDED:
            raise StudyEndedError(server.study, answer["study_state"])
        time.sleep(answer["retry_after"])


def _folder(given: Path | str | None) -> Path:
    return Path(given) if given is not None else TunerSettings().home.absolute() / "remote"

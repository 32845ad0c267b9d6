"""Calls of a remote trial: repeated while the server is away, refused calls told apart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
from optuna import TrialPruned

from alphagrad.api.client_errors import PASSING, ServerAwayError, away, refusal
from alphagrad.api.client_server import HOPELESS, address

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds before a call is repeated, doubled each time; what the server asks for goes first."""
ANSWER_SECONDS = 60.0
"""The server itself waits up to 30 s for its database."""
FIRST_ANSWER_SECONDS = 5.0
"""The least that a call waits at first: a line that went dead without a word is given up soon."""


class LostTrialError(TrialPruned):
    """The trial is not this client's any more: its lease ran out, or its study was cancelled.

    It is a kind of ``TrialPruned``, so a training function that lets those through stops.
    """


class StudyEndedError(RuntimeError):
    """The study has ended, or starts no more trials.

    Attributes:
        state: its state.
    """

    def __init__(self, study: str, state: str) -> None:
        self.state = state
        super().__init__(f"study {study!r} is {state}: it has no trial left to run")


class RemoteServer:
    """A server, as the trials of one study see it.

    Args:
        url: the server, e.g. ``http://127.0.0.1:8000``.
        key: an API key that may write.
        study: the study's name.
        patience: a server that does not answer is called again for so many seconds.

    Raises:
        ApiError: it is no URL, or the key has characters that no key has.
    """

    def __init__(self, url: str, key: str, *, study: str, patience: float) -> None:
        self.study = study
        self._url = url.rstrip("/")
        self._path = f"/v1/studies/{quote(study, safe='')}"
        self._patience = patience
        self._http = httpx.Client(**address(url, key))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def post(
        self,
        what: str,
        body: Mapping[str, Any],
        *,
        until: threading.Event | None = None,
        within: float = ANSWER_SECONDS,
    ) -> dict[str, Any]:
        """Call until there is an answer; all calls of a remote trial are safe to repeat.

        Args:
            what: the end of the path, e.g. ``trials:ask``.
            body: what to send.
            until: the caller's sign to give up.
            within: seconds that the first call waits for its answer, at least 5; each further one
                waits twice as long, up to a minute.

        Raises:
            LostTrialError: the trial's fence is stale, or its study is gone.
            ApiError: the server refused the call.
            ServerAwayError: nobody answered for too long, or the URL is none that can.
        """
        give_up_at = time.monotonic() + self._patience
        pause = FIRST_PAUSE
        patient = max(FIRST_ANSWER_SECONDS, within)
        until = until or threading.Event()
        while True:
            wait: float | None = None
            patient = min(patient, ANSWER_SECONDS)
            try:
                answer = self._http.post(f"{self._path}/{what}", json=body, timeout=patient)
            except HOPELESS as error:
                raise away(self._url, error) from error
            except httpx.TransportError as error:
                trouble = f"no answer from {self._url}: {str(error) or type(error).__name__}"
            else:
                if answer.is_success:
                    found: dict[str, Any] = answer.json()
                    return found
                if answer.status_code < 500 and answer.status_code not in PASSING:
                    raise _refusal(self._url, answer, of_trial=what.startswith("trials/"))
                trouble = f"{self._url} answers {answer.status_code}"
                wait = _retry_after(answer)
            if time.monotonic() > give_up_at:
                raise ServerAwayError(f"{trouble}, for {self._patience:g} s", status=None)
            if pause == FIRST_PAUSE:
                logger.warning("%s; trying again", trouble)
            if until.wait(pause if wait is None else min(wait, 30.0)):
                raise ServerAwayError(f"{trouble}, and nobody waits any more", status=None)
            pause, patient = min(2 * pause, LONGEST_PAUSE), 2 * patient


def _refusal(url: str, answer: httpx.Response, *, of_trial: bool) -> Exception:
    error = refusal(url, answer)
    lost = error.kind == "stale-fence" or (of_trial and error.kind == "not-found")
    return LostTrialError(str(error)) if lost else error


def _retry_after(answer: httpx.Response) -> float | None:
    try:
        return max(0.0, float(answer.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None

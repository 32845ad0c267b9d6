"""Trials of a study one after the other, in a program outside of the service."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from alphagrad.api.client_errors import ApiError
from alphagrad.api.remote_http import StudyEndedError
from alphagrad.api.remote_trial import PATIENCE, RemoteTrial

logger = logging.getLogger(__name__)


def remote_trials(
    url: str,
    key: str,
    *,
    study: str,
    client: str | None = None,
    checkpoints: Path | str | None = None,
    patience: float = PATIENCE,
) -> Iterator[RemoteTrial]:
    """Trials of a study, one after the other, until it has none left.

    The arguments are those of :meth:`RemoteTrial.ask`.

    Example::

        for trial in remote_trials(url, key, study="lr-search"):
            with trial:
                trial.tell(train(trial))
    """
    while True:
        try:
            trial = RemoteTrial.ask(
                url, key, study=study, client=client, checkpoints=checkpoints, patience=patience
            )
        except StudyEndedError:
            return
        yield trial


def run_remote(
    train: Callable[[RemoteTrial], Any],
    url: str,
    key: str,
    *,
    study: str,
    client: str | None = None,
    checkpoints: Path | str | None = None,
    patience: float = PATIENCE,
) -> int:
    """Run a function for trials of a study until it has none left, as a worker runs a task.

    An exception of the function fails its trial, and the next one follows.

    Args:
        train: what to run; what it returns is the trial's result.
        url: as for :meth:`RemoteTrial.ask`, and so all that follow.
        key: an API key that may write.
        study: the study's name.
        client: this client's name.
        checkpoints: the folder for checkpoints.
        patience: how long a server may be away.

    Returns:
        How many trials it was run for.
    """
    count = 0
    for trial in remote_trials(
        url, key, study=study, client=client, checkpoints=checkpoints, patience=patience
    ):
        count += 1
        try:
            with trial:
                trial.tell(train(trial))
        except ApiError:
            raise
        except Exception:
            logger.exception("%s/%d failed", trial.study, trial.number)
    return count

"""What programs outside of the service use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alphagrad.api.remote_http import LostTrialError, StudyEndedError
    from alphagrad.api.remote_trial import RemoteTrial, remote_trials, run_remote

__all__ = ["LostTrialError", "RemoteTrial", "StudyEndedError", "remote_trials", "run_remote"]

_REMOTE = {
    "LostTrialError": "alphagrad.api.remote_http",
    "RemoteTrial": "alphagrad.api.remote_trial",
    "StudyEndedError": "alphagrad.api.remote_http",
    "remote_trials": "alphagrad.api.remote_trial",
    "run_remote": "alphagrad.api.remote_trial",
}


def __getattr__(name: str) -> Any:
    """A remote trial brings Optuna and numpy: it is imported when it is asked for."""
    if name not in _REMOTE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_REMOTE[name]), name)

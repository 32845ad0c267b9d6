"""The Python client: ``Client`` and ``AsyncClient``, which bring neither torch nor Optuna.

``RemoteTrial`` and what goes with it bring Optuna and numpy, when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from alphagrad.api.client import AsyncClient, Client
from alphagrad.api.client_errors import ApiError, FieldProblem, ServerAwayError
from alphagrad.api.client_study import AsyncStudy, Study
from alphagrad.api.client_trial import AsyncTrial, Trial

if TYPE_CHECKING:
    from alphagrad.api.remote_http import LostTrialError, StudyEndedError
    from alphagrad.api.remote_loop import remote_trials, run_remote
    from alphagrad.api.remote_trial import RemoteTrial

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncStudy",
    "AsyncTrial",
    "Client",
    "FieldProblem",
    "LostTrialError",
    "RemoteTrial",
    "ServerAwayError",
    "Study",
    "StudyEndedError",
    "Trial",
    "remote_trials",
    "run_remote",
]

_LATER = {
    "LostTrialError": "alphagrad.api.remote_http",
    "StudyEndedError": "alphagrad.api.remote_http",
    "RemoteTrial": "alphagrad.api.remote_trial",
    "remote_trials": "alphagrad.api.remote_loop",
    "run_remote": "alphagrad.api.remote_loop",
}


def __getattr__(name: str) -> Any:
    """Import what is heavy when it is asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)

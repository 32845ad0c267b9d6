"""The Python client: ``Client`` and ``AsyncClient``, which bring neither torch nor Optuna.

``RemoteTrial`` and what goes with it bring Optuna and numpy, when they are asked for.
"""

from typing import TYPE_CHECKING

from alphagrad.api.client import AsyncClient, Client
from alphagrad.api.client_errors import ApiError, FieldProblem, ServerAwayError
from alphagrad.api.client_study import AsyncStudy, Study
from alphagrad.api.client_trial import AsyncTrial, Trial
from alphagrad.later import import_later

if TYPE_CHECKING:
    from alphagrad.api.remote_http import LostTrialError, StudyEndedError
    from alphagrad.api.remote_loop import remote_trials, run_remote
    from alphagrad.api.remote_trial import RemoteTrial
else:
    __getattr__ = import_later(
        __name__,
        {
            "LostTrialError": "alphagrad.api.remote_http",
            "StudyEndedError": "alphagrad.api.remote_http",
            "RemoteTrial": "alphagrad.api.remote_trial",
            "remote_trials": "alphagrad.api.remote_loop",
            "run_remote": "alphagrad.api.remote_loop",
        },
    )

    def __dir__() -> list[str]:
        return __all__


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

"""The Python client: ``Client`` and ``AsyncClient``. It brings neither torch nor Optuna."""

from alphagrad.api.client import AsyncClient, Client
from alphagrad.api.client_errors import ApiError, FieldProblem, ServerAwayError
from alphagrad.api.client_study import AsyncStudy, Study
from alphagrad.api.client_trial import AsyncTrial, Trial

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncStudy",
    "AsyncTrial",
    "Client",
    "FieldProblem",
    "ServerAwayError",
    "Study",
    "Trial",
]

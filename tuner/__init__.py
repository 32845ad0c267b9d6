"""Studies, trials and the workers that run them.

A trial's process needs no database, so what does is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from optuna import TrialPruned

from alphagrad.tuner.errors import NonRetryableError
from alphagrad.tuner.registry import Task, UnknownTaskError, get_task, lazy_task, task, task_names
from alphagrad.tuner.trial import Trial, run_task

if TYPE_CHECKING:
    from alphagrad.tuner.embedded import run_study
    from alphagrad.tuner.spec import StudySpec
    from alphagrad.tuner.spec_reading import load_spec, parse_spec
else:
    _LATER = {
        "StudySpec": "spec",
        "load_spec": "spec_reading",
        "parse_spec": "spec_reading",
        "run_study": "embedded",
    }

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)

    def __dir__() -> list[str]:
        return __all__


__all__ = [
    "NonRetryableError",
    "StudySpec",
    "Task",
    "Trial",
    "TrialPruned",
    "UnknownTaskError",
    "get_task",
    "lazy_task",
    "load_spec",
    "parse_spec",
    "run_study",
    "run_task",
    "task",
    "task_names",
]

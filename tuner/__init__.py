"""Studies, trials and the workers that run them.

A trial's process needs no database, so what does is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from optuna import TrialPruned

from alphagrad.later import import_later
from alphagrad.tuner.errors import NonRetryableError
from alphagrad.tuner.registry import Task, UnknownTaskError, get_task, lazy_task, task, task_names
from alphagrad.tuner.trial import Trial, run_task

if TYPE_CHECKING:
    from alphagrad.tuner.embedded import run_study
    from alphagrad.tuner.spec import StudySpec
    from alphagrad.tuner.spec_reading import load_spec, parse_spec
else:
    __getattr__ = import_later(
        __name__,
        {
            "StudySpec": "alphagrad.tuner.spec",
            "load_spec": "alphagrad.tuner.spec_reading",
            "parse_spec": "alphagrad.tuner.spec_reading",
            "run_study": "alphagrad.tuner.embedded",
        },
    )

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

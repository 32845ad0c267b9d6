"""Studies, trials and the workers that run them."""

from optuna import TrialPruned

from alphagrad.tuner.embedded import run_study
from alphagrad.tuner.errors import NonRetryableError
from alphagrad.tuner.registry import Task, UnknownTaskError, get_task, lazy_task, task, task_names
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.spec_reading import load_spec, parse_spec
from alphagrad.tuner.trial import Trial, run_task

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

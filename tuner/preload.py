"""Imported once by the forkserver, so that each trial starts with torch and its task in memory."""

import os

import torch  # noqa: F401

from alphagrad.tuner.trial_main import import_tasks
from alphagrad.tuner.trial_process import ONLY_TASK

import_tasks(os.environ.get(ONLY_TASK))

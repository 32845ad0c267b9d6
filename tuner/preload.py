"""Imported once by the forkserver, so that each trial starts with torch and its task in memory."""

from alphagrad.tuner.trial_main import import_tasks

import_tasks()

"""Runs trials of a study with engine "remote": a script of one's own, anywhere.

ALPHAGRAD_URL=http://127.0.0.1:8000 ALPHAGRAD_API_KEY=… python remote_script.py STUDY CLIENT
"""

import os
import sys
import time

from alphagrad.client import RemoteTrial, remote_trials
from alphagrad.tuner import TrialPruned


def train(trial: RemoteTrial) -> float:
    """The training; ``trial`` is what a task of the service receives."""
    loss = float("nan")
    for step in range(20):
        loss = (trial.params["x"] - 0.3) ** 2 + 1 / (step + 1)
        time.sleep(float(os.environ.get("STEP_SECONDS", "0.1")))
        trial.report(loss, step)
        if trial.should_prune():
            raise TrialPruned
    return loss


study, client = sys.argv[1:]
url, key = os.environ["ALPHAGRAD_URL"], os.environ["ALPHAGRAD_API_KEY"]
for trial in remote_trials(url, key, study=study, client=client):
    with trial:
        trial.tell(train(trial))

"""The ready-made tasks, as the entry points of `alphagrad.tasks` name them.

Each names its function as a string, so listing tasks imports neither torch nor gymnasium.
"""

from alphagrad.studies.digits_params import DigitsParams
from alphagrad.studies.dqn_params import DQNParams
from alphagrad.tuner import lazy_task

digits = lazy_task("digits", params=DigitsParams, function="alphagrad.studies.digits:digits")
dqn = lazy_task("dqn", params=DQNParams, function="alphagrad.studies.dqn:dqn")

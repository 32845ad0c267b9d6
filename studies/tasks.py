"""The ready-made tasks, as the entry points of `alphagrad.tasks` name them.

Each names its function as a string, so listing tasks imports neither torch nor gymnasium.
"""

from alphagrad.studies.chars_params import CharsParams
from alphagrad.studies.digits_params import DigitsParams
from alphagrad.studies.dqn_params import DQNParams
from alphagrad.studies.names_params import NamesParams
from alphagrad.studies.params import MUTABLE, OptimizerParams
from alphagrad.studies.ppo_params import PPOParams
from alphagrad.studies.td3_params import TD3Params
from alphagrad.tuner import lazy_task

chars = lazy_task(
    "chars",
    params=CharsParams,
    function="alphagrad.studies.chars:chars",
    about="a small character language model on Python's own help texts: validation loss",
    mutable_params=MUTABLE,
)
digits = lazy_task(
    "digits",
    params=DigitsParams,
    function="alphagrad.studies.digits:digits",
    about="a classifier of scikit-learn's handwritten digits: validation accuracy",
    mutable_params=(*MUTABLE, "batch_size"),
)
dqn = lazy_task(
    "dqn",
    params=DQNParams,
    function="alphagrad.studies.dqn:dqn",
    about="deep Q-learning, discrete actions: return of greedy episodes",
    mutable_params=MUTABLE,
)
names = lazy_task(
    "names",
    params=NamesParams,
    function="alphagrad.studies.names:names",
    about="a classifier of Unicode names by their first word: validation accuracy",
    mutable_params=(*MUTABLE, "batch_size"),
)
ppo = lazy_task(
    "ppo",
    params=PPOParams,
    function="alphagrad.studies.ppo:ppo",
    about="proximal policy optimization, continuous actions: return of episodes without noise",
    stack="alphagrad.studies.ppo:ppo_stack",
    stack_params=OptimizerParams.model_fields,
    mutable_params=MUTABLE,
)
td3 = lazy_task(
    "td3",
    params=TD3Params,
    function="alphagrad.studies.td3:td3",
    about="twin delayed DDPG, continuous actions: return of episodes without noise",
    mutable_params=MUTABLE,
)

"""The task `dqn`: deep Q-learning on an environment with discrete actions (Mnih et al., 2015).

The hyperparameters and the network are those of CleanRL's dqn.py. Two things differ: the
environment is a single one rather than a vector of one, and the trial's value comes from greedy
episodes played beside the training.
"""

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete

from alphagrad.studies.checkpoint import restore, save
from alphagrad.studies.dqn_numpy import NumpyDQN
from alphagrad.studies.dqn_params import DQNParams
from alphagrad.studies.dqn_torch import TorchDQN
from alphagrad.studies.environment import Episode
from alphagrad.studies.evaluation import Evaluation
from alphagrad.studies.generators import Generators
from alphagrad.studies.optimizers import build_optimizer
from alphagrad.studies.replay import ReplayBuffer
from alphagrad.studies.threads import one_thread
from alphagrad.tuner import Trial


@one_thread()
def dqn(trial: Trial) -> float:
    """Trains a Q network and returns how well its greedy policy plays.

    The value is the mean return of `eval_episodes` greedy episodes, averaged over the last
    `eval_window` evaluations; each evaluation reports that average so far. Greedy episodes leave
    out the exploration noise, the same in all trials, that hides small differences; the average
    over a window is there because DQN's policy swings from one evaluation to the next, so that
    a setting is judged by what it holds and not by its luckiest or last moment. All evaluations
    of a trial start from the same states.

    With the numpy backend one seed gives the same numbers, bit for bit, on the same machine and
    library versions, with or without a stop and a resume from a checkpoint.

    Args:
        trial: parameters as in `DQNParams`, the seed, and where to report.

    Returns:
        Mean greedy return, in the environment's units of reward; to be maximised.

    Raises:
        TrialPruned: the study's pruner asked for an end.
        ValueError: the environment's spaces do not fit.
    """
    params = DQNParams(**trial.params)

    # SETUP: environments, generators, networks, buffer
    seeds = np.random.SeedSequence(trial.seed).spawn(4)
    episode = Episode(params.env_id, actions=Discrete, seed=seeds[0])
    evaluation = Evaluation(
        params.env_id,
        actions=Discrete,
        seed=seeds[1],
        episodes=params.eval_episodes,
        window=params.eval_window,
    )
    generators = Generators(seeds[2], "exploration", "replay")
    exploration, replay = generators["exploration"], generators["replay"]
    network_seed = int(seeds[3].generate_state(1)[0])

    assert isinstance(episode.action_space, Discrete)
    actions = int(episode.action_space.n)
    make: Any = NumpyDQN if params.backend == "numpy" else TorchDQN
    learner = make(
        observation_size=episode.observation.size,
        actions=actions,
        hidden_sizes=params.hidden_sizes,
        generator=torch.Generator().manual_seed(network_seed),
        **({} if params.backend == "numpy" else {"device": params.device}),
    )
    optimizer, scheduler = build_optimizer(params, learner.q.named_parameters())
    buffer = ReplayBuffer(
        min(params.buffer_size, params.total_timesteps),
        observation_size=episode.observation.size,
        action_size=1,
    )

    # RESUME, or start afresh
    global_step, metrics = 0, {}
    parts: dict[str, Any] = {"episode": episode, "generators": generators, "learner": learner}
    parts |= {"optimizer": optimizer, "buffer": buffer}
    if scheduler is not None:
        parts["scheduler"] = scheduler
    if state := restore(trial, parts):
        global_step, metrics = state["global_step"], state["metrics"]
        evaluation.returns = state["evaluations"]
        trial.log(f"resumed at step {global_step}")
    trial.watch(optimizer, scheduler, step=lambda: global_step)

    while global_step < params.total_timesteps:
        # ACT: at random with a probability that falls linearly, greedily otherwise
        progress = global_step / (params.exploration_fraction * params.total_timesteps)
        epsilon = params.start_e + (params.end_e - params.start_e) * min(progress, 1.0)
        if exploration.random() < epsilon:
            action = int(exploration.random() * actions)  # `integers` takes three times as long
        else:
            action = learner.act(episode.observation)
        observation = episode.observation
        terminated, truncated = episode.act(action)
        buffer.add(
            observation, action, episode.observation, reward=episode.reward, terminated=terminated
        )
        global_step += 1
        if terminated or truncated:
            trial.record(episode.charts(), global_step)
            episode.begin()

        # LEARN: regress Q(s, a) on r + γ·max Q_target(s', ·), without the tail where s' is the end
        if global_step > params.learning_starts:
            if global_step % params.train_frequency == 0:
                batch = buffer.sample(params.batch_size, replay)
                metrics = learner.td_step(batch, gamma=params.gamma)
                optimizer.step()
            if global_step % params.target_network_frequency == 0:
                learner.update_target(params.tau)

        # REPORT: the mean of the latest evaluations
        if global_step % params.eval_interval == 0 or global_step == params.total_timesteps:
            shown = metrics | {"charts/epsilon": epsilon}
            evaluation.report(trial, learner.act, step=global_step, metrics=shown)
        if global_step % params.checkpoint_interval == 0:
            returns = evaluation.returns
            save(trial, parts, global_step=global_step, evaluations=returns, metrics=metrics)

    return evaluation.value

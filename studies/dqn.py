"""The task `dqn`: deep Q-learning on an environment with discrete actions (Mnih et al., 2015).

The hyperparameters and the network are those of CleanRL's dqn.py. Three things differ: the
environment is a single one rather than a vector of one, a time limit is never taken for the
task's end, and the trial's value comes from greedy episodes played beside the training.
"""

from collections import OrderedDict
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from alphagrad.studies.dqn_params import DQNParams
from alphagrad.studies.optimizers import build_optimizer
from alphagrad.studies.replay import ReplayBuffer
from alphagrad.tuner import Trial, TrialPruned

Environment = gym.Env[NDArray[Any], np.int64]


def make_environment(env_id: str) -> Environment:
    """Makes an environment whose actions are integers and whose observations are arrays.

    Args:
        env_id: a name that gymnasium knows.

    Returns:
        The environment, within its registered time limit.

    Raises:
        ValueError: its observation space is not a Box, or its action space not Discrete from 0.
        gymnasium.error.Error: gymnasium does not know the name, or cannot make it.
    """
    environment: Environment = gym.make(env_id, disable_env_checker=True)
    observations, actions = environment.observation_space, environment.action_space
    if not isinstance(observations, Box):
        raise ValueError(f"env_id={env_id!r} has observations in {observations}, not in a Box")
    if not isinstance(actions, Discrete) or actions.start != 0:
        raise ValueError(f"env_id={env_id!r} has actions in {actions}, not in Discrete from 0")
    return environment


def flat(observation: NDArray[Any]) -> NDArray[np.float32]:
    """Returns an observation as one row of float32."""
    return np.asarray(observation, np.float32).reshape(-1)


def q_network(observation_size: int, actions: int) -> nn.Sequential:
    """Returns the network from an observation to one Q value for each action."""
    return nn.Sequential(
        OrderedDict(
            hidden1=nn.Linear(observation_size, 120),
            relu1=nn.ReLU(),
            hidden2=nn.Linear(120, 84),
            relu2=nn.ReLU(),
            q=nn.Linear(84, actions),
        )
    )


class GreedyPolicy:
    """The action of the highest Q value, computed by numpy on the network's own memory.

    For a single observation torch's dispatch costs more than the arithmetic. The arrays alias the
    parameters, so an optimizer step is seen at once.
    """

    def __init__(self, network: nn.Sequential) -> None:
        linear = [layer for layer in network if isinstance(layer, nn.Linear)]
        *self._hidden, self._output = [
            (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in linear
        ]

    def __call__(self, observation: NDArray[np.float32]) -> int:
        """Returns the action of the highest Q value for one flat observation."""
        for weight, bias in self._hidden:
            observation = np.maximum(weight @ observation + bias, 0)
        weight, bias = self._output
        return int((weight @ observation + bias).argmax())


def evaluate(environment: Environment, policy: GreedyPolicy, seeds: list[int]) -> float:
    """Plays one greedy episode from each seed.

    Args:
        environment: where to play; not the one under training, whose episode would be lost.
        policy: the actions.
        seeds: seeds of the episodes' starts.

    Returns:
        The mean undiscounted return of the episodes.
    """
    total = 0.0
    for seed in seeds:
        observation, _ = environment.reset(seed=seed)
        done = False
        while not done:
            action = np.int64(policy(flat(observation)))
            observation, reward, terminated, truncated, _ = environment.step(action)
            total += float(reward)
            done = terminated or truncated
    return total / len(seeds)


def dqn(trial: Trial) -> float:
    """Trains a Q network and returns how well its greedy policy plays.

    The value is the mean return of `eval_episodes` greedy episodes, averaged over the last
    `eval_window` evaluations; each evaluation reports that average so far. Greedy episodes leave
    out the exploration noise, the same in all trials, that hides small differences; the average
    over a window is there because DQN's policy swings from one evaluation to the next, so that
    a setting is judged by what it holds and not by its luckiest or last moment. All evaluations
    of a trial start from the same states.

    One seed gives the same numbers, bit for bit, on the same machine and library versions, with
    or without a stop and a resume from a checkpoint.

    Args:
        trial: parameters as in `DQNParams`, the seed, and where to report.

    Returns:
        Mean greedy return, in the environment's units of reward; to be maximised.

    Raises:
        TrialPruned: the study's pruner asked for an end.
        ValueError: the environment's spaces do not fit.
    """
    params = DQNParams(**trial.params)
    torch.set_num_threads(1)  # the network is far too small to be worth sharing

    # SETUP: environments, generators, networks, buffer
    environment = make_environment(params.env_id)
    eval_environment = make_environment(params.env_id)
    network_seed, *seeds = np.random.SeedSequence(trial.seed).spawn(5)
    resets, exploration, replay, evaluation = [np.random.default_rng(seed) for seed in seeds]
    generators = {"resets": resets, "exploration": exploration, "replay": replay}
    eval_seeds = evaluation.integers(2**31, size=params.eval_episodes).tolist()

    torch.manual_seed(int(network_seed.generate_state(1)[0]))
    observation_size = int(np.prod(environment.observation_space.shape or ()))
    actions = int(environment.action_space.n)  # type: ignore[attr-defined]
    q = q_network(observation_size, actions)
    target = q_network(observation_size, actions)
    target.load_state_dict(q.state_dict())
    policy = GreedyPolicy(q)
    optimizer, scheduler = build_optimizer(params, q.named_parameters())
    buffer = ReplayBuffer(params.buffer_size, observation_size=observation_size)

    global_step = 0
    evaluations: list[float] = []
    parts: dict[str, Any] = {"q": q, "target": target, "optimizer": optimizer, "buffer": buffer}
    if scheduler is not None:
        parts["scheduler"] = scheduler
    state = trial.load_checkpoint()
    if state is not None:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        for name, generator in generators.items():
            generator.bit_generator.state = state["generators"][name]
        global_step, evaluations = state["global_step"], list(state["evaluations"])
        trial.log(f"resumed at step {global_step}")
    trial.watch(optimizer, scheduler, step=lambda: global_step)
    next_checkpoint = global_step + params.checkpoint_interval

    # Every episode starts from a seed of its own, so between episodes there is no hidden state.
    observation = flat(environment.reset(seed=int(resets.integers(2**31)))[0])
    while global_step < params.total_timesteps:
        # ACT: at random with a probability that falls linearly, greedily otherwise
        progress = global_step / (params.exploration_fraction * params.total_timesteps)
        epsilon = params.start_e + (params.end_e - params.start_e) * min(progress, 1.0)
        if exploration.random() < epsilon:
            action = int(exploration.integers(actions))
        else:
            action = policy(observation)
        reached, reward, terminated, truncated, _ = environment.step(np.int64(action))
        next_observation = flat(reached)
        buffer.add(observation, next_observation, action, float(reward), terminated)
        observation = next_observation
        global_step += 1

        # LEARN: regress Q(s, a) on r + γ·max Q_target(s', ·), without the tail where s' is the end
        if global_step > params.learning_starts:
            if global_step % params.train_frequency == 0:
                batch = buffer.sample(params.batch_size, replay)
                with torch.no_grad():
                    next_values = target(batch.next_observations).amax(1)
                    goal = batch.rewards + params.gamma * (1 - batch.terminated) * next_values
                values = q(batch.observations).gather(1, batch.actions).squeeze(1)
                loss = functional.mse_loss(values, goal)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            if global_step % params.target_network_frequency == 0:
                with torch.no_grad():
                    for old, new in zip(target.parameters(), q.parameters(), strict=True):
                        old.lerp_(new, params.tau)

        # REPORT: the mean of the latest evaluations
        if global_step % params.eval_interval == 0 or global_step == params.total_timesteps:
            evaluations.append(evaluate(eval_environment, policy, eval_seeds))
            trial.report(float(np.mean(evaluations[-params.eval_window :])), global_step)
            if trial.should_prune():
                raise TrialPruned(f"pruned at step {global_step}")

        if terminated or truncated:
            if global_step >= next_checkpoint:
                trial.save_checkpoint(
                    {name: part.state_dict() for name, part in parts.items()}
                    | {"generators": {n: g.bit_generator.state for n, g in generators.items()}}
                    | {"global_step": global_step, "evaluations": evaluations}
                )
                next_checkpoint = global_step + params.checkpoint_interval
            observation = flat(environment.reset(seed=int(resets.integers(2**31)))[0])

    return float(np.mean(evaluations[-params.eval_window :]))

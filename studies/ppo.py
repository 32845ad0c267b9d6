"""The task `ppo`: proximal policy optimization (Schulman et al., 2017) for continuous actions.

The hyperparameters and the networks are those of CleanRL's ppo_continuous_action.py. Four things
differ: at a time limit the value of the state reached counts as what would have followed; the
discounted return by which rewards are normalised begins anew after each episode; the last state of
an episode does not count in the statistics of observations; and the trial's value comes from
episodes without noise, played beside the training. With `time_limit_bootstrap` false the first two
are as CleanRL has them.

Several agents, each a trial of its own, can train side by side in one process: all arrays have a
leading axis of agents, and an agent's numbers do not depend on who trains beside it.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from alphagrad.studies.advantages import advantages
from alphagrad.studies.checkpoint import OfAgent
from alphagrad.studies.environment import Episode
from alphagrad.studies.flat_parameters import Array
from alphagrad.studies.normalisation import ObservationNorm, RewardNorm
from alphagrad.studies.ppo_agent import Agent
from alphagrad.studies.ppo_numpy import Minibatch, NumpyPPO, gaussian_log_prob
from alphagrad.studies.ppo_torch import TorchPPO
from alphagrad.studies.threads import one_thread
from alphagrad.tuner import Trial, TrialPruned


def ppo(trial: Trial) -> float:
    """Trains a policy and returns how well it plays.

    The value is the mean return of `eval_episodes` episodes without noise, averaged over the last
    `eval_window` evaluations; each evaluation reports that average so far. All evaluations of a
    trial start from the same states.

    With the numpy backend one seed gives the same numbers, bit for bit, on the same machine and
    library versions, with or without a stop and a resume from a checkpoint.

    Args:
        trial: parameters as in `PPOParams`, the seed, and where to report.

    Returns:
        Mean return, in the environment's units of reward; to be maximised.

    Raises:
        TrialPruned: the study's pruner asked for an end.
        ValueError: the environment's spaces do not fit.
    """
    [(_, outcome)] = ppo_stack([trial])
    if isinstance(outcome, TrialPruned):
        raise outcome
    return outcome


def ppo_stack(trials: Sequence[Trial]) -> Iterator[tuple[int, float | TrialPruned]]:
    """Trains an agent for each trial, side by side.

    Trials whose checkpoints are at different steps train one group after another, and with the
    torch backend one trial after another.

    Args:
        trials: of equal parameters, but for those of the optimizer.

    Yields:
        A trial's place in `trials` and its value, or why it was pruned, as soon as it has ended.

    Raises:
        ValueError: the environment's spaces do not fit.
    """
    agents = [Agent(trial, place) for place, trial in enumerate(trials)]
    groups: dict[int, list[Agent]] = {}
    for agent in agents:
        alone = agent.params.backend == "torch"
        groups.setdefault(-agent.place if alone else agent.global_step, []).append(agent)
    with one_thread():
        for group in groups.values():
            yield from _train(group)


def _train(agents: list[Agent]) -> Iterator[tuple[int, float | TrialPruned]]:
    params = agents[0].params
    num_steps, num_envs = params.num_steps, params.num_envs
    shape = (len(agents), num_steps, num_envs)
    first = agents[0].episodes[0]
    low, high = first.low, first.high
    size, action_size = first.observation.size, low.size

    # SETUP: networks, running statistics, and each agent's optimizer; or all from a checkpoint
    make: type[NumpyPPO | TorchPPO] = NumpyPPO if params.backend == "numpy" else TorchPPO
    learner = make(
        params,
        observation_size=size,
        action_size=action_size,
        generators=[agent.weights for agent in agents],
    )
    norm = ObservationNorm((len(agents), num_envs, size))
    reward_norm = RewardNorm(
        (len(agents), num_envs),
        gamma=params.gamma,
        forgets_before=not params.time_limit_bootstrap,
    )
    shared = {"learner": learner, "observation_norm": norm, "reward_norm": reward_norm}
    inputs = norm.update(np.stack([agent.observations() for agent in agents]))
    for index, agent in enumerate(agents):
        parts = {name: OfAgent(part, index) for name, part in shared.items()}
        saved = agent.begin(learner.named_parameters(index), parts)
        if saved is not None:
            inputs[index] = saved

    observations = np.empty((*shape, size), np.float32)
    actions = np.empty((*shape, action_size), np.float32)
    rewards = np.empty(shape)
    reached = np.zeros_like(inputs)

    iterations = params.total_timesteps // params.batch_size
    for iteration in range(agents[0].global_step // params.batch_size, iterations):
        training = [(index, agent) for index, agent in enumerate(agents) if agent.pruned is None]
        if not training:
            return

        # ACT: a rollout, with noise drawn ahead
        noise = np.zeros_like(actions)
        for index, agent in training:
            agent.set_learning_rate(iteration / iterations)
            agent.generators["noise"].standard_normal(dtype=np.float32, out=noise[index])
        squares = np.square(noise).reshape(len(agents), -1, action_size)
        log_probs = gaussian_log_prob(squares, learner.log_std)
        noise *= np.exp(learner.log_std)[:, None, None]
        ends, terminations = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        final_values = np.zeros(shape, np.float32)
        for step in range(num_steps):
            observations[:, step] = inputs
            action = np.add(learner.act(inputs), noise[:, step], out=actions[:, step])
            action = np.minimum(np.maximum(action, low), high)
            for index, agent in training:
                agent.global_step += num_envs
                for number, episode in enumerate(agent.episodes):
                    terminated, truncated = episode.act(action[index, number])
                    rewards[index, step, number] = episode.reward
                    if terminated or truncated:
                        ends[index, step, number] = True
                        terminations[index, step, number] = terminated
                        if not terminated and params.time_limit_bootstrap:
                            last = norm(episode.observation, agent=index, environment=number)
                            value = learner.values(last[None, None], agent=index)
                            final_values[index, step, number] = value.item()
                        agent.end_episode(number)
                    reached[index, number] = episode.observation
            inputs = norm.update(reached)

        # JUDGE: how much better was each action than the policy's average?
        flat = (len(agents), params.batch_size)
        seen = observations.reshape(*flat, size)
        values = learner.values(seen).reshape(shape)
        next_values = np.concatenate([values[:, 1:], learner.values(inputs)[:, None]], 1)
        next_values = np.where(ends, final_values, next_values)
        advantage = advantages(
            reward_norm.update(rewards, ends if params.time_limit_bootstrap else terminations),
            values,
            next_values,
            ends,
            gamma=params.gamma,
            gae_lambda=params.gae_lambda,
        )
        rollout = Minibatch(
            observation=seen,
            action=actions.reshape(*flat, action_size),
            log_prob=log_probs,
            advantage=advantage.reshape(flat),
            target=(advantage + values).reshape(flat),
            value=values.reshape(flat),
        )

        # LEARN: from minibatches in a new order in each epoch
        learning = dict(training)
        losses: dict[int, dict[str, float]] = {}
        for _ in range(params.update_epochs):
            order = np.zeros(flat, np.int64)
            for index, agent in learning.items():
                order[index] = agent.generators["order"].permutation(params.batch_size)
            shuffled = Minibatch(*(_in_order(column, order) for column in rollout))
            if params.norm_adv:
                _standardise(shuffled.advantage, parts=params.num_minibatches)
            for start in range(0, params.batch_size, params.minibatch_size):
                part = slice(start, start + params.minibatch_size)
                learner.loss_backward(Minibatch(*(column[:, part] for column in shuffled)))
                for index, agent in learning.items():
                    if agent.params.grad_norm_bound is not None:
                        learner.clip_grad_norm(index, agent.params.grad_norm_bound)
                    agent.optimizer.step()
            if params.target_kl is not None:
                for index in list(learning):
                    if learner.approx_kl(index) > params.target_kl:
                        losses[index] = learner.metrics(index)
                        del learning[index]
            if not learning:
                break
        losses |= {index: learner.metrics(index) for index in learning}

        # REPORT: the latest losses, and from time to time an evaluation
        for index, agent in training:
            spread = float(rollout.target[index].var())
            explained = 1 - float(advantage[index].var()) / spread if spread > 0 else float("nan")
            metrics = {"losses/explained_variance": explained, **losses[index]}
            agent.trial.record(metrics, agent.global_step)
            if agent.is_due(params.eval_interval) or iteration == iterations - 1:
                agent.evaluate(_policy(learner, norm, index, agent.evaluation.episode))
            if agent.pruned is not None:
                yield agent.place, agent.pruned
            elif agent.is_due(params.checkpoint_interval):
                agent.checkpoint(inputs[index])

    for agent in agents:
        if agent.pruned is None:
            yield agent.place, agent.evaluation.value


def _in_order(column: Array, order: NDArray[np.int64]) -> Array:
    """Puts each agent's steps into its own order."""
    return np.stack([rows.take(one, axis=0) for rows, one in zip(column, order, strict=True)])


def _standardise(advantage: Array, *, parts: int) -> None:
    """Brings each part of each agent's advantages to mean 0 and deviation 1, in place."""
    split = advantage.reshape(len(advantage), parts, -1)
    split -= split.mean(2, keepdims=True)
    split /= split.std(2, ddof=1, keepdims=True) + 1e-8


def _policy(
    learner: NumpyPPO | TorchPPO, norm: ObservationNorm, index: int, episode: Episode
) -> Callable[[Array], Array]:
    """Gives an agent's policy without noise, by its first environment's statistics."""

    def act(observation: Array) -> Array:
        mean = learner.act(norm(observation, agent=index, environment=0)[None, None], agent=index)
        action: Array = mean[0, 0].clip(episode.low, episode.high)
        return action

    return act

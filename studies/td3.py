"""The task `td3`: twin delayed deep deterministic policy gradients (Fujimoto et al., 2018).

The hyperparameters and the networks are those of CleanRL's td3_continuous_action.py. Two things
differ: the environment is a single one rather than a vector of one, and the trial's value comes
from episodes without noise, beside the training.
"""

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box

from alphagrad.studies.checkpoint import restore, save
from alphagrad.studies.environment import Episode
from alphagrad.studies.evaluation import Evaluation
from alphagrad.studies.generators import Generators
from alphagrad.studies.optimizers import build_optimizer
from alphagrad.studies.replay import ReplayBuffer
from alphagrad.studies.td3_numpy import NumpyTD3
from alphagrad.studies.td3_params import TD3Params
from alphagrad.studies.td3_torch import TorchTD3
from alphagrad.studies.threads import one_thread
from alphagrad.tuner import Trial


@one_thread()
def td3(trial: Trial) -> float:
    """Trains an actor with two critics and returns how well it plays.

    The value is the mean return of `eval_episodes` episodes without noise, averaged over the last
    `eval_window` evaluations; each evaluation reports that average so far. All evaluations of a
    trial start from the same states.

    With the numpy backend one seed gives the same numbers, bit for bit, on the same machine and
    library versions, with or without a stop and a resume from a checkpoint.

    Args:
        trial: parameters as in `TD3Params`, the seed, and where to report.

    Returns:
        Mean return, in the environment's units of reward; to be maximised.

    Raises:
        TrialPruned: the study's pruner asked for an end.
        ValueError: the environment's spaces do not fit.
    """
    params = TD3Params(**trial.params)

    # SETUP: environments, generators, networks, buffer
    seeds = np.random.SeedSequence(trial.seed).spawn(4)
    episode = Episode(params.env_id, actions=Box, seed=seeds[0])
    evaluation = Evaluation(
        params.env_id,
        actions=Box,
        seed=seeds[1],
        episodes=params.eval_episodes,
        window=params.eval_window,
    )
    generators = Generators(seeds[2], "exploration", "replay", "policy_noise")
    network_seed = int(seeds[3].generate_state(1)[0])

    low, high = episode.low, episode.high
    half_range = (high - low) / 2
    make: Any = NumpyTD3 if params.backend == "numpy" else TorchTD3
    learner = make(
        observation_size=episode.observation.size,
        low=low,
        high=high,
        hidden_sizes=params.hidden_sizes,
        generator=torch.Generator().manual_seed(network_seed),
        **({} if params.backend == "numpy" else {"device": params.device}),
    )
    critics, actor = (list(m.named_parameters()) for m in (learner.critics, learner.actor))
    layers = {"critics": [name for name, _ in critics], "actor": [name for name, _ in actor]}
    if params.norm == "group":
        layers = {name: [name] for name in layers}
    optimizer, scheduler = build_optimizer(
        params, critics, other_layers=layers["actor"], name="critics"
    )
    actor_optimizer, actor_scheduler = build_optimizer(
        params, actor, other_layers=layers["critics"], name="actor"
    )
    buffer = ReplayBuffer(
        min(params.buffer_size, params.total_timesteps),
        observation_size=episode.observation.size,
        action_size=low.size,
    )

    # RESUME, or start afresh
    global_step, metrics = 0, {}
    parts: dict[str, Any] = {"episode": episode, "generators": generators, "learner": learner}
    parts |= {"optimizer": optimizer, "actor_optimizer": actor_optimizer, "buffer": buffer}
    followed = {"scheduler": scheduler, "actor_scheduler": actor_scheduler}
    parts |= {name: one for name, one in followed.items() if one is not None}
    if state := restore(trial, parts):
        global_step, metrics = state["global_step"], state["metrics"]
        evaluation.returns = state["evaluations"]
        trial.log(f"resumed at step {global_step}")
    trial.watch(optimizer, scheduler, step=lambda: global_step)
    trial.watch(actor_optimizer, actor_scheduler, step=lambda: global_step)

    while global_step < params.total_timesteps:
        # ACT: at random at first, then by the actor with noise
        if global_step < params.learning_starts:
            action = generators["exploration"].uniform(low, high).astype(np.float32)
        else:
            noise = generators["exploration"].standard_normal(low.size, np.float32)
            action = learner.act(episode.observation)
            action = np.clip(action + params.exploration_noise * half_range * noise, low, high)
        observation = episode.observation
        terminated, truncated = episode.act(action)
        buffer.add(
            observation, action, episode.observation, reward=episode.reward, terminated=terminated
        )
        global_step += 1
        if terminated or truncated:
            trial.record(episode.charts(), global_step)
            episode.begin()

        # LEARN: both critics at each step; the actor and the targets every policy_frequency steps
        if global_step > params.learning_starts:
            batch = buffer.sample(params.batch_size, generators["replay"])
            noise = generators["policy_noise"].standard_normal(batch.action.shape, np.float32)
            noise = (params.policy_noise * noise).clip(-params.noise_clip, params.noise_clip)
            metrics |= learner.critic_step(batch, noise=noise * half_range, gamma=params.gamma)
            optimizer.step()
            if global_step % params.policy_frequency == 0:
                metrics |= learner.actor_step(batch)
                actor_optimizer.step()
                learner.update_targets(params.tau)

        # REPORT: the mean of the latest evaluations
        if global_step % params.eval_interval == 0 or global_step == params.total_timesteps:
            evaluation.report(trial, learner.act, step=global_step, metrics=metrics)
        if global_step % params.checkpoint_interval == 0:
            returns = evaluation.returns
            save(trial, parts, global_step=global_step, evaluations=returns, metrics=metrics)

    return evaluation.value

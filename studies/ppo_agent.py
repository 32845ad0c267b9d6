"""What belongs to one trial among agents that train side by side."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box

from alphagrad.studies.checkpoint import Stateful, load_states, save
from alphagrad.studies.environment import Episode
from alphagrad.studies.evaluation import Evaluation
from alphagrad.studies.flat_parameters import Array
from alphagrad.studies.generators import Generators
from alphagrad.studies.optimizers import build_optimizer
from alphagrad.studies.ppo_params import PPOParams
from alphagrad.tuner import Trial, TrialPruned


class Agent:
    """A trial's environments, generators, optimizer and results.

    Args:
        trial: parameters as in `PPOParams`, the seed, and where to report.
        place: the trial's place among those that train in this process.

    Attributes:
        place: that place.
        episodes: its environments.
        generators: `noise` of its actions, `order` of its minibatches.
        weights: where its initial weights come from.
        global_step: steps so far.
        evaluation: how good it is without noise.
        pruned: why it trains no longer; None as long as it does.

    Raises:
        ValueError: the environment's spaces do not fit.
    """

    def __init__(self, trial: Trial, place: int = 0) -> None:
        self.trial = trial
        self.place = place
        self.params = PPOParams(**trial.params)
        *seeds, last, noise, weights = np.random.SeedSequence(trial.seed).spawn(
            self.params.num_envs + 3
        )
        env_id = self.params.env_id
        self.episodes = [Episode(env_id, actions=Box, seed=seed) for seed in seeds]
        self.evaluation = Evaluation(
            env_id,
            actions=Box,
            seed=last,
            episodes=self.params.eval_episodes,
            window=self.params.eval_window,
        )
        self.generators = Generators(noise, "noise", "order")
        self.weights = torch.Generator().manual_seed(int(weights.generate_state(1)[0]))
        self._saved = trial.load_checkpoint() or {}
        self.global_step: int = self._saved.get("global_step", 0)
        self.evaluation.returns = self._saved.get("evaluations", [])
        self.pruned: TrialPruned | None = None

    def observations(self) -> Array:
        """Gives what its environments show, (environments, numbers)."""
        return np.stack([episode.observation for episode in self.episodes])

    def begin(self, named_parameters: Any, parts: Mapping[str, Stateful]) -> Array | None:
        """Makes the optimizer, and goes on from the trial's checkpoint if there is one.

        Args:
            named_parameters: what the optimizer trains.
            parts: what else a checkpoint holds.

        Returns:
            The networks' inputs when the checkpoint was made, (environments, numbers), or None.
        """
        self.optimizer, scheduler = build_optimizer(self.params, named_parameters)
        self._parts = dict(parts) | {"generators": self.generators, "optimizer": self.optimizer}
        self._parts |= {f"episode{i}": episode for i, episode in enumerate(self.episodes)}
        if scheduler is not None:
            self._parts["scheduler"] = scheduler
        saved, self._saved = self._saved, {}
        if saved:
            load_states(self.trial, self._parts, saved)
        self.trial.watch(self.optimizer, scheduler, step=lambda: self.global_step)
        if not saved:
            return None
        self.trial.log(f"resumed at step {self.global_step}")
        inputs: Array = saved["inputs"].numpy()
        return inputs

    def set_learning_rate(self, progress: float) -> None:
        """Sets the step size for a share of the training that is done."""
        if self.params.anneal_lr:
            for group in self.optimizer.param_groups:
                group["lr"] = self.params.learning_rate * (1 - progress)

    def is_due(self, interval: int) -> bool:
        """Whether a multiple of `interval` steps was reached with the latest rollout."""
        return self.global_step % interval < self.params.batch_size

    def end_episode(self, number: int) -> None:
        """Records the episode of an environment, and begins the next."""
        episode = self.episodes[number]
        self.trial.record(episode.charts(), self.global_step)
        episode.begin()

    def evaluate(self, policy: Callable[[Array], Array]) -> None:
        """Plays without noise and reports the mean of the latest evaluations."""
        try:
            self.evaluation.report(self.trial, policy, step=self.global_step, metrics={})
        except TrialPruned as pruned:
            self.pruned = pruned

    def checkpoint(self, inputs: Array) -> None:
        """Saves all that is needed to go on.

        Args:
            inputs: the networks' next inputs, (environments, numbers).
        """
        save(
            self.trial,
            self._parts,
            inputs=torch.from_numpy(inputs.copy()),
            global_step=self.global_step,
            evaluations=self.evaluation.returns,
        )

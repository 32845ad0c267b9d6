"""Episodes without exploration, played beside the training: what a policy is judged by."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from alphagrad.studies.environment import Episode, Observation
from alphagrad.tuner import Trial, TrialPruned


class Evaluation:
    """Plays always from the same states; the value is the mean of the latest evaluations.

    Args:
        env_id: a name that gymnasium knows.
        actions: the space that its actions must be in.
        seed: where the episodes' seeds come from.
        episodes: how many make an evaluation.
        window: how many evaluations make the value.

    Attributes:
        episode: the environment.
        returns: mean return of each evaluation so far.

    Raises:
        ValueError: the environment's spaces do not fit.
    """

    def __init__(
        self,
        env_id: str,
        *,
        actions: type[Box] | type[Discrete],
        seed: np.random.SeedSequence,
        episodes: int,
        window: int,
    ) -> None:
        self.episode = Episode(env_id, actions=actions, seed=seed)
        self.returns: list[float] = []
        self._seeds = np.random.default_rng(seed).integers(2**31, size=episodes).tolist()
        self._window = window

    @property
    def value(self) -> float:
        """Mean of the latest evaluations."""
        return float(np.mean(self.returns[-self._window :]))

    def report(
        self,
        trial: Trial,
        policy: Callable[[Observation], Any],
        *,
        step: int,
        metrics: Mapping[str, float],
    ) -> None:
        """Plays, records the mean return beside `metrics`, and reports the value.

        Args:
            trial: whose evaluation it is.
            policy: gives the action for an observation.
            step: where training stands.
            metrics: what else to record.

        Raises:
            TrialPruned: the study's pruner asked for an end.
        """
        played = [self.episode.play(policy, seed=seed) for seed in self._seeds]
        self.returns.append(float(np.mean(played)))
        trial.record({**metrics, "charts/eval_return": self.returns[-1]}, step)
        trial.report(self.value, step)
        if trial.should_prune():
            raise TrialPruned(f"pruned at step {step}")

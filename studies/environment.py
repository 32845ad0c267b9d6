"""gymnasium environments that a checkpoint can bring back, in the middle of an episode too."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

# Takes a third of a second. Done here, it is done once for all the trials that are forked from a
# process that has it.
import gymnasium.envs.mujoco.mujoco_env
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

Observation = NDArray[np.float32]


class Episode:
    """An environment that remembers its episode: the seed and the actions since the reset.

    That is enough to bring any deterministic environment back, by playing the episode again.
    Observations come out flat, in float32.

    Args:
        env_id: a name that gymnasium knows; its registered time limit holds.
        actions: the space that its actions must be in.
        seed: where the seeds of the episodes come from.

    Attributes:
        action_space: the environment's.
        low: least action, float32, where actions are in a Box.
        high: greatest action, likewise.
        observation: the latest observation, flat.
        reward: the latest reward.
        episodic_return: sum of the episode's rewards so far.
        episodic_length: number of its steps so far.

    Raises:
        ValueError: the observations are in no Box, or the actions not in an `actions` (a Discrete
            must begin at 0, a Box must be bounded and have one dimension).
        gymnasium.error.Error: gymnasium does not know the name, or cannot make it.

    Example:
        >>> episode = Episode("CartPole-v1", actions=Discrete, seed=np.random.SeedSequence(1))
        >>> for action in (0, 1, 1):
        ...     terminated, truncated = episode.act(action)
        >>> again = Episode("CartPole-v1", actions=Discrete, seed=np.random.SeedSequence(2))
        >>> again.load_state_dict(episode.state_dict())
        >>> (again.observation == episode.observation).all(), again.episodic_return
        (np.True_, 3.0)
    """

    def __init__(
        self, env_id: str, *, actions: type[Box] | type[Discrete], seed: np.random.SeedSequence
    ) -> None:
        self._environment = _make(env_id, actions)
        self.action_space = self._environment.action_space
        if isinstance(self.action_space, Box):
            self.low: Observation = self.action_space.low.astype(np.float32)
            self.high: Observation = self.action_space.high.astype(np.float32)
        self._env_id = env_id
        self._seeds = np.random.default_rng(seed)
        self._seed = 0
        self._actions: list[Any] = []
        self.begin()

    def begin(self, *, seed: int | None = None) -> None:
        """Resets the environment.

        Args:
            seed: the episode's seed (default: the next of this environment's own).
        """
        self._seed = int(self._seeds.integers(2**31)) if seed is None else seed
        self._actions = []
        self.reward = self.episodic_return = 0.0
        self._look(self._environment.reset(seed=self._seed)[0])

    def act(self, action: Any) -> tuple[bool, bool]:
        """Takes a step; after the episode's end, call `begin` before the next one.

        Args:
            action: an action that nobody changes afterwards.

        Returns:
            Whether the task has ended, and whether a time limit has cut it off.
        """
        reached, reward, terminated, truncated, _ = self._environment.step(action)
        self._actions.append(action)
        self.reward = float(reward)
        self.episodic_return += self.reward
        self._look(reached)
        return terminated, truncated

    def play(self, policy: Callable[[Observation], Any], *, seed: int) -> float:
        """Plays an episode from its reset to its end.

        Args:
            policy: gives the action for an observation.
            seed: the episode's seed.

        Returns:
            The undiscounted sum of its rewards.
        """
        self.begin(seed=seed)
        while not any(self.act(policy(self.observation))):
            pass
        return self.episodic_return

    def charts(self) -> dict[str, float]:
        """Gives what is recorded at an episode's end, under CleanRL's names."""
        return {
            "charts/episodic_return": self.episodic_return,
            "charts/episodic_length": self.episodic_length,
        }

    @property
    def episodic_length(self) -> int:
        """Number of steps since the reset."""
        return len(self._actions)

    def state_dict(self) -> dict[str, Any]:
        """Gives the episode so far, and the state of the seeds of those to come."""
        return {
            "seed": self._seed,
            "actions": torch.from_numpy(np.array(self._actions)),
            "observation": torch.from_numpy(self.observation.copy()),
            "seeds": self._seeds.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Plays the episode of `state_dict` again, up to where it was.

        Warns where that leads to another observation: the environment is not deterministic.
        """
        self.begin(seed=state["seed"])
        for action in state["actions"].numpy():
            self.act(action)
        self._seeds.bit_generator.state = state["seeds"]
        if not np.array_equal(self.observation, state["observation"].numpy(), equal_nan=True):
            warnings.warn(
                f"{self._env_id}: the same seed and actions led to another state, "
                "so training goes on from a similar episode, not from the same",
                stacklevel=2,
            )

    def _look(self, observation: NDArray[Any]) -> None:
        # A copy: an environment may write its next observation into the same array.
        self.observation = np.array(observation, np.float32).reshape(-1)


def _make(env_id: str, actions: type[Box] | type[Discrete]) -> gym.Env[NDArray[Any], Any]:
    # The checker costs a tenth of a step.
    environment: gym.Env[NDArray[Any], Any] = gym.make(env_id, disable_env_checker=True)
    observed, acted = environment.observation_space, environment.action_space
    if not isinstance(observed, Box):
        raise ValueError(f"env_id={env_id!r} has observations in {observed}, not in a Box")
    if not isinstance(acted, actions):
        raise ValueError(f"env_id={env_id!r} has actions in {acted}, not in a {actions.__name__}")
    if isinstance(acted, Discrete) and acted.start != 0:
        raise ValueError(f"env_id={env_id!r} has actions in {acted}, which do not begin at 0")
    if isinstance(acted, Box) and not acted.is_bounded():
        raise ValueError(f"env_id={env_id!r} has actions in {acted}, which are not all bounded")
    if isinstance(acted, Box) and len(acted.shape) != 1:
        raise ValueError(f"env_id={env_id!r} has actions of shape {acted.shape}, not in a row")
    return environment

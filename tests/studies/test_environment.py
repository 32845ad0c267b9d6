from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from alphagrad.studies.environment import Episode
from alphagrad.tuner.checkpoints import CheckpointStore
from tests.studies.environments import Clock, registered


class Forgetful(Clock):
    """Shows a number that has nothing to do with its seed."""

    seen = 0

    def look(self) -> NDArray[Any]:
        Forgetful.seen += 1
        return np.full((2, 1), float(Forgetful.seen))


class Thrifty(Clock):
    """Shows the same array at every step, of the numbers of that step."""

    observation_space = Box(0, 1000, (2,), np.float32)

    def reset(self, **options: Any) -> Any:
        self.array = np.zeros(2, np.float32)
        return super().reset(**options)

    def look(self) -> NDArray[Any]:
        self.array[:] = self.steps
        return self.array


def episode_of(name: str, *, seed: int = 1) -> Episode:
    actions: Any = Discrete if name.startswith("CartPole") else Box
    return Episode(name, actions=actions, seed=np.random.SeedSequence(seed))


def moves(episode: Episode, count: int, *, seed: int) -> list[Any]:
    """Plays at random, over the ends of episodes, and tells what was seen."""
    rng = np.random.default_rng(seed)
    seen: list[Any] = []
    for _ in range(count):
        if isinstance(episode.action_space, Box):
            action: Any = rng.uniform(episode.low, episode.high).astype(np.float32)
        else:
            action = int(rng.integers(2))
        ended = episode.act(action)
        seen += [episode.observation.tolist(), episode.reward, episode.episodic_return, *ended]
        seen.append(episode.episodic_length)
        if any(ended):
            episode.begin()
    return seen


def test_observations_are_flat_and_in_single_precision() -> None:
    with registered(Clock) as name:
        episode = episode_of(name)
        for step in (0, 1, 2):
            assert episode.observation.tolist() == [step, step]
            assert episode.observation.dtype == np.float32
            assert episode.episodic_length == episode.episodic_return == step
            assert episode.act(np.zeros(1, np.float32)) == (False, False)
        assert episode.reward == 1


def test_an_observation_stays_as_it_was() -> None:
    with registered(Thrifty) as name:
        episode = episode_of(name)
        before = episode.observation
        episode.act(np.zeros(1, np.float32))
        assert before.tolist() == [0, 0]
        assert episode.observation.tolist() == [1, 1]


def test_the_bounds_of_the_actions_are_known() -> None:
    episode = episode_of("InvertedPendulum-v5")
    assert (episode.low.tolist(), episode.high.tolist()) == ([-3], [3])
    assert episode.low.dtype == episode.high.dtype == np.float32


def test_an_end_and_a_time_limit_are_told_apart() -> None:
    action = np.zeros(1, np.float32)
    with registered(Clock, time_limit=3) as name:
        episode = episode_of(name)
        assert [episode.act(action) for _ in range(3)][1:] == [(False, False), (False, True)]
    with registered(Clock, time_limit=4, length=3) as name:
        episode = episode_of(name)
        assert [episode.act(action) for _ in range(3)][1:] == [(False, False), (True, False)]


def test_a_seed_fixes_the_episodes() -> None:
    one, same, other = (episode_of("Hopper-v5", seed=seed) for seed in (1, 1, 2))
    starts = [episode.observation for episode in (one, same, other)]
    assert np.array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])
    assert moves(one, 100, seed=5) == moves(same, 100, seed=5)
    # The next episode starts elsewhere, as the other one's does.
    for episode in (one, same):
        episode.begin()
    assert not np.array_equal(one.observation, starts[0])
    assert np.array_equal(one.observation, same.observation)


def test_a_given_seed_uses_none_of_its_own() -> None:
    one, other = episode_of("Hopper-v5"), episode_of("Hopper-v5")
    one.begin(seed=7)
    first = one.observation
    one.act(np.zeros(3, np.float32))
    one.begin(seed=7)
    assert np.array_equal(one.observation, first)
    assert one.episodic_length == one.episodic_return == 0
    one.begin()
    other.begin()
    assert np.array_equal(one.observation, other.observation)


@pytest.mark.parametrize("name", ["Hopper-v5", "CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("steps", [0, 1, 60])
def test_an_episode_comes_back_from_a_checkpoint(name: str, steps: int, tmp_path: Path) -> None:
    checkpoints = CheckpointStore(tmp_path, fence=1)
    episode, other = episode_of(name, seed=1), episode_of(name, seed=2)
    moves(episode, steps, seed=3)
    checkpoints.save(episode.state_dict())
    moves(other, 10, seed=4)

    state = checkpoints.load()
    assert state is not None
    other.load_state_dict(state)
    assert np.array_equal(other.observation, episode.observation)
    for attribute in ("reward", "episodic_return", "episodic_length"):
        assert getattr(other, attribute) == getattr(episode, attribute)
    # Steps enough for episodes that begin after the checkpoint.
    later = moves(episode, 250, seed=5)
    assert episode.episodic_length < 250
    assert moves(other, 250, seed=5) == later


def test_a_state_is_a_copy() -> None:
    episode = episode_of("Hopper-v5")
    moves(episode, 3, seed=1)
    state = episode.state_dict()
    observation = state["observation"].tolist()
    moves(episode, 3, seed=2)
    assert len(state["actions"]) == 3
    assert state["observation"].tolist() == observation


def test_an_environment_that_is_not_deterministic_is_told_of() -> None:
    with registered(Forgetful) as name:
        episode = episode_of(name)
        episode.act(np.zeros(1, np.float32))
        state = episode.state_dict()
        with pytest.warns(UserWarning, match=f"{name}: the same seed and actions led to another"):
            episode.load_state_dict(state)
        assert episode.episodic_length == 1


@pytest.mark.parametrize(
    ("name", "actions", "message"),
    [
        ("FrozenLake-v1", Discrete, r"observations in Discrete\(16\), not in a Box"),
        ("Pendulum-v1", Discrete, r"actions in Box\(.*\), not in a Discrete"),
        ("CartPole-v1", Box, r"actions in Discrete\(2\), not in a Box"),
    ],
)
def test_unfit_spaces_are_named(name: str, actions: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"env_id='{name}' has {message}"):
        Episode(name, actions=actions, seed=np.random.SeedSequence(1))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Discrete(3, start=1), r"Discrete\(3, start=1\), which do not begin at 0"),
        (Box(-np.inf, np.inf, (2,)), r"Box\(-inf, inf.*, which are not all bounded"),
        (Box(0, np.inf, (2,)), r"Box\(0.0, inf.*, which are not all bounded"),
        (Box(-1, 1, (2, 3)), r"of shape \(2, 3\), not in a row"),
        (Box(-1, 1, ()), r"of shape \(\), not in a row"),
    ],
)
def test_unfit_actions_are_named(space: gym.Space[Any], message: str) -> None:
    actions: Any = type(space)
    with (
        registered(Clock, actions=space) as name,
        pytest.raises(ValueError, match=f"env_id='{name}' has actions (in )?{message}"),
    ):
        Episode(name, actions=actions, seed=np.random.SeedSequence(1))


def test_an_unknown_environment_is_gymnasiums_error() -> None:
    with pytest.raises(gym.error.Error, match="NoSuchThing"):
        episode_of("NoSuchThing-v0")


def test_a_played_episode_returns_its_sum_of_rewards() -> None:
    with registered(Clock, length=9) as name:
        episode = episode_of(name)
        seen: list[float] = []

        def policy(observation: NDArray[np.float32]) -> NDArray[np.float32]:
            seen.append(float(observation[0]))
            return np.zeros(1, np.float32)

        assert episode.play(policy, seed=1) == 9
        assert seen == list(range(9))
        assert episode.play(policy, seed=1) == 9
    with registered(Clock, time_limit=5) as name:
        assert episode_of(name).play(policy, seed=1) == 5


def test_a_played_episode_depends_on_its_seed_alone() -> None:
    episode = episode_of("Hopper-v5")
    played = [episode.play(lambda x: np.tanh(x[:3]), seed=seed) for seed in (1, 2, 1)]
    assert played[0] == played[2] != played[1]
    assert episode.episodic_return == played[2]
    expected, again = gym.make("Hopper-v5"), 0.0
    observation, _ = expected.reset(seed=1)
    ended = False
    while not ended:
        row = observation.astype(np.float32)
        observation, reward, terminated, truncated, _ = expected.step(np.tanh(row[:3]))
        again += float(reward)
        ended = terminated or truncated
    assert played[0] == again

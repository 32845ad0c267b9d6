"""The running statistics are those of gymnasium's wrappers."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import NormalizeObservation, NormalizeReward
from gymnasium.wrappers.utils import RunningMeanStd
from numpy.typing import NDArray

from alphagrad.studies.normalisation import ObservationNorm, RewardNorm
from alphagrad.tuner.checkpoints import CheckpointStore

STEPS = 200


class Played:
    """What an environment shows and pays under actions at random, with wrappers and without."""

    def __init__(self, name: str, *, seed: int) -> None:
        plain = gym.make(name)
        self.wrapped = NormalizeObservation(NormalizeReward(gym.make(name), gamma=0.9))
        self.rewards: list[tuple[float, float]] = []
        self.terminations: list[bool] = []
        self.observations = [(plain.reset(seed=seed)[0], self.wrapped.reset(seed=seed)[0])]
        plain.action_space.seed(seed)
        for _ in range(STEPS):
            action = plain.action_space.sample()
            observation, reward, terminated, truncated, _ = plain.step(action)
            normalised, paid, *_ = self.wrapped.step(action)
            self.observations.append((observation, normalised))
            self.rewards.append((float(reward), float(paid)))
            self.terminations.append(bool(terminated))
            if terminated or truncated:
                self.observations.append((plain.reset()[0], self.wrapped.reset()[0]))
        self.wrapped.update_running_mean = False


def by_loop(
    rewards: NDArray[np.float64], ends: NDArray[np.bool_], *, gamma: float
) -> NDArray[np.float64]:
    """Normalises one environment's rewards as the wrapper does, but forgets at an episode's end."""
    make: Any = RunningMeanStd  # without types
    statistics, discounted, found = make(), 0.0, []
    for reward, end in zip(rewards, ends, strict=True):
        discounted = gamma * discounted + reward
        statistics.update(np.array([discounted]))
        found.append(reward / np.sqrt(statistics.var + 1e-8))
        discounted *= not end
    return np.array(found).clip(-10, 10)


def drawn_rewards(
    *shape: int, seed: int = 0, frequency: float = 0.05
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rewards of another scale in each environment, and where episodes end."""
    rng = np.random.default_rng(seed)
    scales = 10 ** rng.uniform(-3, 3, size=(shape[0], 1, shape[2]))
    return rng.normal(1, 2, size=shape) * scales, rng.random(shape) < frequency


def test_one_environment_sees_what_its_wrapper_shows() -> None:
    played = Played("Hopper-v5", seed=3)
    assert len(played.observations) > STEPS + 3  # over the ends of some episodes
    norm = ObservationNorm((1, 1, 11))
    for observation, expected in played.observations:
        found = norm.update(observation[None, None].astype(np.float32))
        assert found.dtype == np.float32
        assert found[0, 0] == pytest.approx(expected.clip(-10, 10), rel=1e-5, abs=1e-5)


def test_each_of_several_has_statistics_of_its_own() -> None:
    played = [Played("HalfCheetah-v5", seed=seed) for seed in range(4)]
    norm = ObservationNorm((2, 2, 17))
    for step in range(STEPS + 1):
        rows, expected = np.array([one.observations[step] for one in played]).swapaxes(0, 1)
        found = norm.update(rows.reshape(2, 2, 17).astype(np.float32))
        bounded = expected.reshape(2, 2, 17).clip(-10, 10)
        assert found == pytest.approx(bounded, rel=1e-5, abs=1e-5)
    for place, one in enumerate(played):
        for observation, _ in played[0].observations[:50]:
            row = observation.astype(np.float32)
            before, expected = row.copy(), one.wrapped.observation(row).clip(-10, 10)
            for _ in range(2):  # to look twice is the same as once
                found = norm(row, agent=place // 2, environment=place % 2)
                assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)
            assert np.array_equal(row, before)


def test_what_is_far_out_is_clipped() -> None:
    norm = ObservationNorm((1, 1, 2))
    for _ in range(1000):
        norm.update(np.zeros((1, 1, 2), np.float32))
    far = np.array([1e6, -1e6], np.float32)
    assert norm(far, agent=0, environment=0).tolist() == [10, -10]
    assert norm.update(far[None, None]).tolist() == [[[10, -10]]]


def test_an_observation_that_never_changes_is_zero() -> None:
    norm = ObservationNorm((1, 1, 1))
    found = [norm.update(np.full((1, 1, 1), 1e6, np.float32)).item() for _ in range(5000)]
    assert np.isfinite(found).all()
    assert abs(found[-1]) < 0.02


def test_rewards_are_those_of_the_wrapper_within_an_episode() -> None:
    # At ends they differ: the wrapper forgets before the step that ends the task, and at no limit.
    played = [Played("HalfCheetah-v5", seed=seed) for seed in (1, 2)]
    rewards, expected = np.array([one.rewards for one in played]).transpose(2, 0, 1)[..., None]
    ends = np.zeros(rewards.shape, np.bool_)
    norm = RewardNorm((2, 1), gamma=0.9)
    found = [norm.update(rewards[:, i : i + 7], ends[:, i : i + 7]) for i in range(0, STEPS, 7)]
    assert np.concatenate(found, 1) == pytest.approx(expected.clip(-10, 10), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("rollout", [1, 7, STEPS])
def test_rewards_are_those_of_the_wrapper_over_ends_where_it_forgets_before(rollout: int) -> None:
    played = [Played("Hopper-v5", seed=seed) for seed in (1, 2)]
    rewards, expected = np.array([one.rewards for one in played]).transpose(2, 0, 1)[..., None]
    ends = np.array([one.terminations for one in played])[..., None]
    assert ends.sum() > 6
    norm = RewardNorm((2, 1), gamma=0.9, forgets_before=True)
    parts = [slice(i, i + rollout) for i in range(0, STEPS, rollout)]
    found = np.concatenate([norm.update(rewards[:, part], ends[:, part]) for part in parts], 1)
    assert found == pytest.approx(expected.clip(-10, 10), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("rollout", [1, 16, 200])
def test_rewards_are_those_of_a_loop_over_ends(gamma: float, rollout: int) -> None:
    rewards, ends = drawn_rewards(3, 200, 2)
    # An end with the last step of a rollout, and without.
    ends[:, 15], ends[0, 31] = True, False
    before = rewards.copy()
    norm = RewardNorm((3, 2), gamma=gamma)
    parts = range(0, 200, rollout)
    found = np.concatenate(
        [norm.update(rewards[:, i : i + rollout], ends[:, i : i + rollout]) for i in parts], 1
    )
    assert found.dtype == np.float32
    assert np.array_equal(rewards, before)
    for agent in range(3):
        for number in range(2):
            one = (agent, slice(None), number)
            expected = by_loop(rewards[one], ends[one], gamma=gamma)
            assert found[one] == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("reward", [1e-3, 1.0, 1e8 / 3])
def test_a_reward_that_never_changes_stays_finite(reward: float) -> None:
    norm = RewardNorm((1, 1), gamma=0.0)
    ends = np.zeros((1, 2048, 1), np.bool_)
    for _ in range(100):
        found = norm.update(np.full((1, 2048, 1), reward), ends)
    assert np.isfinite(found).all()
    assert found.min() > 0


def through_a_checkpoint(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    CheckpointStore(folder, fence=1).save(state)
    loaded = CheckpointStore(folder, fence=1).load()
    assert loaded is not None
    return loaded


def test_observation_statistics_come_back(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3, 2, 4)).astype(np.float32)
    norm, other = ObservationNorm((3, 2, 4)), ObservationNorm((2, 2, 4))
    for row in rows[:30]:
        norm.update(row)
        other.update(-2 * row[:2])
    state = through_a_checkpoint(norm.state_dict(2), tmp_path)
    expected = [norm.update(row) for row in rows[30:]]
    other.load_state_dict(state, 0)
    found = [other.update(row[[2, 1]]) for row in rows[30:]]
    for one, twin in zip(expected, found, strict=True):
        assert np.array_equal(one[2], twin[0])
        assert not np.array_equal(one[1], twin[1])


def test_reward_statistics_come_back(tmp_path: Path) -> None:
    rewards, ends = drawn_rewards(3, 60, 2)
    norm, other = RewardNorm((3, 2), gamma=0.9), RewardNorm((2, 2), gamma=0.9)
    norm.update(rewards[:, :30], ends[:, :30])
    other.update(-2 * rewards[:2, :30], ends[:2, :30])
    state = through_a_checkpoint(norm.state_dict(2), tmp_path)
    expected = norm.update(rewards[:, 30:], ends[:, 30:])
    other.load_state_dict(state, 0)
    found = other.update(rewards[[2, 1], 30:], ends[[2, 1], 30:])
    assert np.array_equal(expected[2], found[0])
    assert not np.array_equal(expected[1], found[1])


def test_an_agents_numbers_do_not_depend_on_its_company() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 4, 2, 5)).astype(np.float32)
    rewards, ends = drawn_rewards(4, 50, 2)
    together, apart = ObservationNorm((4, 2, 5)), [ObservationNorm((1, 2, 5)) for _ in range(4)]
    for row in rows:
        found = together.update(row)
        for agent, norm in enumerate(apart):
            assert np.array_equal(norm.update(row[agent : agent + 1])[0], found[agent])
    paid = RewardNorm((4, 2), gamma=0.9).update(rewards, ends)
    for agent in range(4):
        one = slice(agent, agent + 1)
        alone = RewardNorm((1, 2), gamma=0.9).update(rewards[one], ends[one])
        assert np.array_equal(alone, paid[one])

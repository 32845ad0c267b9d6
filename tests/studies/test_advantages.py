"""The sums along episodes are those of a plain loop over the steps."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alphagrad.studies.advantages import advantages
from alphagrad.studies.discount import discounted_sums

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 3))
DECAYS = st.sampled_from([0.0, 0.5, 0.99, 1.0])
# How often an episode ends with a step.
FREQUENCIES = st.sampled_from([0.0, 0.2, 1.0])


def drawn(shape: tuple[int, ...], *, seed: int, frequency: float) -> tuple[Any, NDArray[np.bool_]]:
    """Three tables of numbers, and where episodes end."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, *shape)).astype(np.float32), rng.random(shape) < frequency


@settings(deadline=None, derandomize=True)
@given(shape=SHAPES, decay=DECAYS, frequency=FREQUENCIES, seed=st.integers(0, 2**31))
def test_discounted_sums_are_those_of_a_loop(
    shape: tuple[int, int, int], decay: float, frequency: float, seed: int
) -> None:
    (values, _, _), ends = drawn(shape, seed=seed, frequency=frequency)
    expected = np.zeros(shape)
    running = np.zeros((shape[0], shape[2]))
    for step in range(shape[1]):
        running = decay * running + values[:, step]
        expected[:, step] = running
        running = np.where(ends[:, step], 0, running)
    found = discounted_sums(values.astype(np.float64), ends, decay=decay)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(deadline=None, derandomize=True)
@given(
    shape=SHAPES, gamma=DECAYS, gae_lambda=DECAYS, frequency=FREQUENCIES, seed=st.integers(0, 2**31)
)
def test_advantages_are_those_of_a_loop(
    shape: tuple[int, int, int], gamma: float, gae_lambda: float, frequency: float, seed: int
) -> None:
    (rewards, values, next_values), ends = drawn(shape, seed=seed, frequency=frequency)
    expected = np.zeros(shape)
    following = np.zeros((shape[0], shape[2]))
    for step in reversed(range(shape[1])):
        surprise = rewards[:, step] + gamma * next_values[:, step] - values[:, step]
        goes_on = 1 - ends[:, step]
        following = surprise + gamma * gae_lambda * goes_on * following
        expected[:, step] = following
    found = advantages(rewards, values, next_values, ends, gamma=gamma, gae_lambda=gae_lambda)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_what_is_reached_at_an_end_counts_and_what_follows_does_not() -> None:
    # A time limit at the second step, where a value of 8 was reached; the task's end at the third.
    rewards = np.ones((1, 4, 1), np.float32)
    values = np.array([2, 4, 6, 10], np.float32).reshape(1, 4, 1)
    next_values = np.array([4, 8, 0, 20], np.float32).reshape(1, 4, 1)
    ends = np.array([False, True, True, False]).reshape(1, 4, 1)
    found = advantages(rewards, values, next_values, ends, gamma=0.5, gae_lambda=0.5)
    assert found.ravel().tolist() == [1 + 2 - 2 + 0.25 * 1, 1 + 4 - 4, 1 + 0 - 6, 1 + 10 - 10]


def test_the_arguments_stay_as_they_are() -> None:
    (rewards, values, next_values), ends = drawn((2, 9, 2), seed=1, frequency=0.3)
    before = [array.copy() for array in (rewards, values, next_values, ends)]
    advantages(rewards, values, next_values, ends, gamma=0.9, gae_lambda=0.9)
    after = (rewards, values, next_values, ends)
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))

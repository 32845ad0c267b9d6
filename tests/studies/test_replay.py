import numpy as np
import pytest

from alphagrad.studies.replay import ReplayBuffer


def filled(count: int, *, capacity: int = 5) -> ReplayBuffer:
    """A buffer of `count` transitions, each with its number in all of its parts."""
    buffer = ReplayBuffer(capacity, observation_size=2, action_size=3)
    for number in range(count):
        observation = np.full(2, number, np.float32)
        buffer.add(
            observation,
            np.full(3, -number, np.float32),
            observation + 1,
            reward=number / 2,
            terminated=number % 2 == 1,
        )
    return buffer


def test_the_oldest_transitions_go_first() -> None:
    buffer = filled(12)
    batch = buffer.sample(200, np.random.default_rng(0))
    assert len(buffer) == 5
    assert set(batch.observation[:, 0].tolist()) == {7, 8, 9, 10, 11}


def test_a_row_stays_together() -> None:
    batch = filled(4).sample(50, np.random.default_rng(0))
    numbers = batch.observation[:, 0]
    assert {array.dtype for array in batch} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(batch.observation, np.stack([numbers] * 2, axis=1))
    np.testing.assert_array_equal(batch.action, np.stack([-numbers] * 3, axis=1))
    np.testing.assert_array_equal(batch.state_action, np.hstack([batch.observation, batch.action]))
    np.testing.assert_array_equal(batch.reached, batch.observation + 1)
    np.testing.assert_array_equal(batch.reward, numbers / 2)
    np.testing.assert_array_equal(batch.terminated, numbers % 2)


def test_every_transition_is_as_likely() -> None:
    numbers = filled(5).sample(50_000, np.random.default_rng(0)).observation[:, 0]
    # Three deviations of a binomial of 50,000 draws are 270.
    assert np.bincount(numbers.astype(int)) == pytest.approx([10_000] * 5, abs=270)


def test_a_batch_is_a_copy() -> None:
    buffer = filled(5)
    before = buffer.sample(20, np.random.default_rng(0))
    before.observation[:] = before.reward[:] = 77
    after = buffer.sample(20, np.random.default_rng(0))
    assert after.observation.max() < 77
    assert after.reward.max() < 77


def test_a_discrete_action_is_a_column_of_one() -> None:
    buffer = ReplayBuffer(5, observation_size=1, action_size=1)
    buffer.add(np.zeros(1), np.int64(3), np.ones(1), reward=0, terminated=False)
    batch = buffer.sample(2, np.random.default_rng(0))
    assert batch.action.tolist() == [[3.0], [3.0]]


@pytest.mark.parametrize("count", [0, 3, 12])
def test_a_restored_buffer_goes_on_alike(count: int) -> None:
    buffer = filled(count)
    restored = ReplayBuffer(5, observation_size=2, action_size=3)
    restored.load_state_dict(buffer.state_dict())
    for ring in (buffer, restored):
        ring.add(np.zeros(2), np.ones(3), np.ones(2), reward=9.0, terminated=False)
    drawn, again = (ring.sample(20, np.random.default_rng(1)) for ring in (buffer, restored))
    for one, other in zip(drawn, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_state_is_a_copy() -> None:
    buffer = filled(5)
    state = buffer.state_dict()
    buffer.add(np.full(2, -1), np.full(3, -1), np.full(2, -1), reward=-1, terminated=False)
    assert state["rows"][:, 0].min() == 0
    assert state["added"] == 5


def test_errors_name_the_value() -> None:
    buffer = ReplayBuffer(5, observation_size=2, action_size=3)
    with pytest.raises(ValueError, match="7 transitions from an empty buffer"):
        buffer.sample(7, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\(8, 9\) do not fit into \(5, 9\)"):
        buffer.load_state_dict(filled(8, capacity=8).state_dict())
    narrow = ReplayBuffer(5, observation_size=1, action_size=3)
    with pytest.raises(ValueError, match=r"\(4, 9\) do not fit into \(5, 7\)"):
        narrow.load_state_dict(filled(4).state_dict())

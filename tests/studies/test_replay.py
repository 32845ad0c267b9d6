import numpy as np
import pytest
import torch

from alphagrad.studies.replay import ReplayBuffer


def filled(count: int, *, capacity: int = 5) -> ReplayBuffer:
    buffer = ReplayBuffer(capacity, observation_size=2)
    for number in range(count):
        observation = np.full(2, number, np.float32)
        buffer.add(observation, observation + 1, number % 3, number / 2, number % 2 == 1)
    return buffer


def test_the_oldest_transitions_go_first() -> None:
    buffer = filled(12)
    batch = buffer.sample(200, np.random.default_rng(0))
    assert len(buffer) == 5
    assert set(batch.observations[:, 0].tolist()) == {7, 8, 9, 10, 11}


def test_a_row_stays_together() -> None:
    batch = filled(4).sample(50, np.random.default_rng(0))
    numbers = batch.observations[:, 0]
    assert batch.observations.shape == (50, 2)
    assert torch.equal(batch.next_observations, batch.observations + 1)
    assert torch.equal(batch.actions.squeeze(1), (numbers % 3).long())
    assert torch.equal(batch.rewards, numbers / 2)
    assert torch.equal(batch.terminated, numbers % 2)


@pytest.mark.parametrize("count", [0, 3, 12])
def test_a_restored_buffer_goes_on_alike(count: int) -> None:
    buffer = filled(count)
    restored = ReplayBuffer(5, observation_size=2)
    restored.load_state_dict(buffer.state_dict())
    for ring in (buffer, restored):
        ring.add(np.zeros(2, np.float32), np.ones(2, np.float32), 1, 9.0, False)
    drawn, again = (ring.sample(20, np.random.default_rng(1)) for ring in (buffer, restored))
    assert all(torch.equal(one, other) for one, other in zip(drawn, again, strict=True))


def test_a_state_is_a_copy() -> None:
    buffer = filled(5)
    state = buffer.state_dict()
    buffer.add(np.full(2, -1, np.float32), np.full(2, -1, np.float32), 0, 0.0, False)
    assert state["observations"].min() == 0


def test_errors_name_the_value() -> None:
    buffer = ReplayBuffer(5, observation_size=2)
    with pytest.raises(ValueError, match="7 transitions from an empty buffer"):
        buffer.sample(7, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\(8, 2\) do not fit into \(5, 2\)"):
        buffer.load_state_dict(filled(8, capacity=8).state_dict())

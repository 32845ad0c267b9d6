import numpy as np
import pytest
import torch

from alphagrad.studies.digits import load_split
from alphagrad.studies.torch_networks import perceptron
from alphagrad.tuner import run_task


@pytest.mark.parametrize(
    "params",
    [
        {"alpha": 10.0},
        {"alpha_rule": "sqrt_d", "k": 1.0, "learning_rate": 3e-4},
        {"alpha_rule": "saturation", "learning_rate": 3e-4},
        {"optimizer": "adam"},
    ],
    ids=["alpha", "sqrt_d", "saturation", "adam"],
)
def test_it_learns(params: dict[str, object]) -> None:
    assert run_task("digits", params, seed=3) >= 0.9


def test_the_split_is_fixed_and_parts_the_images() -> None:
    images, labels, validation_images, validation_labels = load_split()
    assert images.shape == (1437, 64)
    assert validation_images.shape == (360, 64)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert 0 <= images.min() < images.max() == 1
    assert set(validation_labels.tolist()) == set(range(10))
    again = load_split()
    assert torch.equal(again[0], images)
    assert torch.equal(again[3], validation_labels)


def test_the_images_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    expected, expected_labels = load_digits(return_X_y=True)
    images, labels, validation_images, validation_labels = load_split()
    rows = torch.cat(
        [
            torch.cat([images, validation_images]) * 16,
            torch.cat([labels, validation_labels]).unsqueeze(1),
        ],
        dim=1,
    )
    twins = np.column_stack([expected, expected_labels])
    assert sorted(rows.tolist()) == sorted(twins.tolist())


@pytest.mark.parametrize("hidden_sizes", [(), (16,), (32, 16)])
def test_hidden_sizes_shape_the_network(hidden_sizes: tuple[int, ...]) -> None:
    network = perceptron((64, *hidden_sizes, 10), activation=torch.nn.ReLU, output="logits")
    assert network(torch.zeros(3, 64)).shape == (3, 10)
    widths = [m.out_features for m in network if isinstance(m, torch.nn.Linear)]
    assert widths == [*hidden_sizes, 10]

"""The task `digits`: a multilayer perceptron on scikit-learn's 8 × 8 handwritten digits."""

import gzip
from importlib.metadata import distribution

import numpy as np
import torch
from torch import nn

from alphagrad.studies.classification import Split, train_classifier
from alphagrad.studies.digits_params import DigitsParams
from alphagrad.studies.torch_networks import perceptron
from alphagrad.tuner import Trial

VALIDATION_IMAGES = 360  # of 1,797: a fifth


def load_split() -> Split:
    """Loads the images, split the same way for every trial and seed.

    Returns:
        Training images (1437, 64) as float32 in [0, 1], their labels as int64, and the same of
        the 360 validation images.

    Raises:
        importlib.metadata.PackageNotFoundError: scikit-learn is not installed.
        FileNotFoundError: scikit-learn is installed without its data.
    """
    # The file that `load_digits` reads: importing scikit-learn takes three seconds, and brings in
    # Arrow with a thread of its own, which a process that forks trials must not have.
    path = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    with gzip.open(str(path), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    pixels = torch.tensor(table[:, :-1] / 16, dtype=torch.float32)
    classes = torch.tensor(table[:, -1])
    order = np.random.default_rng(0).permutation(len(table))
    validation, training = order[:VALIDATION_IMAGES], order[VALIDATION_IMAGES:]
    return Split(pixels[training], classes[training], pixels[validation], classes[validation])


def digits(trial: Trial) -> float:
    """Trains a classifier and returns its accuracy on images it has not seen.

    Reports and records after each epoch as `train_classifier` says; the split is fixed.

    Args:
        trial: parameters as in `DigitsParams`, the seed, and where to report.

    Returns:
        The fraction of validation images classified correctly, in [0, 1]; to be maximised.

    Raises:
        TrialPruned: the study's pruner asked for an end.
    """
    params = DigitsParams(**trial.params)
    return train_classifier(
        trial,
        params,
        split=load_split(),
        build=lambda: perceptron(
            (64, *params.hidden_sizes, 10), activation=nn.ReLU, output="logits"
        ),
    )

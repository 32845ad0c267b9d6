"""The task `digits`: a multilayer perceptron on scikit-learn's 8 × 8 handwritten digits."""

import gzip
from importlib.metadata import distribution
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from alphagrad.studies.digits_params import DigitsParams
from alphagrad.studies.optimizers import build_optimizer
from alphagrad.tuner import Trial, TrialPruned

VALIDATION_IMAGES = 360  # of 1,797: a fifth


def load_split() -> tuple[Tensor, Tensor, Tensor, Tensor]:
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
    return pixels[training], classes[training], pixels[validation], classes[validation]


def classifier(hidden_sizes: tuple[int, ...]) -> nn.Sequential:
    """Returns a ReLU network from 64 pixels to 10 logits, with the given hidden widths."""
    network = nn.Sequential()
    width = 64
    for number, size in enumerate(hidden_sizes, start=1):
        network.add_module(f"hidden{number}", nn.Linear(width, size))
        network.add_module(f"relu{number}", nn.ReLU())
        width = size
    network.add_module("logits", nn.Linear(width, 10))
    return network


def digits(trial: Trial) -> float:
    """Trains a classifier and returns its accuracy on images it has not seen.

    Reports the validation accuracy after each epoch (step 1 is the first epoch's end), and
    returns the last one. The split is fixed; the seed decides the initial weights and the order
    of the batches. One seed gives the same numbers, bit for bit, on the same machine and library
    versions, with or without a stop and a resume from a checkpoint.

    Args:
        trial: parameters as in `DigitsParams`, the seed, and where to report.

    Returns:
        The fraction of validation images classified correctly, in [0, 1]; to be maximised.

    Raises:
        TrialPruned: the study's pruner asked for an end.
    """
    params = DigitsParams(**trial.params)
    torch.set_num_threads(1)  # the network is far too small to be worth sharing

    network_seed, order_seed = np.random.SeedSequence(trial.seed).spawn(2)
    shuffle = np.random.default_rng(order_seed)
    torch.manual_seed(int(network_seed.generate_state(1)[0]))
    images, labels, validation_images, validation_labels = load_split()
    network = classifier(params.hidden_sizes)
    optimizer, scheduler = build_optimizer(params, network.named_parameters())

    epochs_done, optimizer_steps, accuracy = 0, 0, 0.0
    parts: dict[str, Any] = {"network": network, "optimizer": optimizer}
    if scheduler is not None:
        parts["scheduler"] = scheduler
    state = trial.load_checkpoint()
    if state is not None:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        shuffle.bit_generator.state = state["shuffle"]
        epochs_done, optimizer_steps = state["epochs_done"], state["optimizer_steps"]
        accuracy = state["accuracy"]
        trial.log(f"resumed after epoch {epochs_done}")
    trial.watch(optimizer, scheduler, step=lambda: optimizer_steps)

    while epochs_done < params.epochs:
        order = torch.from_numpy(shuffle.permutation(len(labels)))
        for start in range(0, len(order), params.batch_size):
            batch = order[start : start + params.batch_size]
            loss = functional.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer_steps += 1
            optimizer.step()
        epochs_done += 1

        with torch.no_grad():
            hits = network(validation_images).argmax(1) == validation_labels
        accuracy = hits.double().mean().item()
        trial.report(accuracy, epochs_done)
        if trial.should_prune():
            raise TrialPruned(f"pruned after epoch {epochs_done}")
        trial.save_checkpoint(
            {name: part.state_dict() for name, part in parts.items()}
            | {"shuffle": shuffle.bit_generator.state, "epochs_done": epochs_done}
            | {"optimizer_steps": optimizer_steps, "accuracy": accuracy}
        )
    return accuracy

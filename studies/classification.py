"""The training loop of the tasks that classify: epochs over shuffled batches."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from alphagrad.studies.checkpoint import Stateful, restore, save
from alphagrad.studies.classification_params import ClassificationParams
from alphagrad.studies.generators import Generators
from alphagrad.studies.optimizers import build_optimizer
from alphagrad.studies.threads import one_thread
from alphagrad.tuner import Trial, TrialPruned


class Split(NamedTuple):
    """Examples to learn from and examples to be judged by; the first dimension counts them.

    Attributes:
        inputs: training examples.
        labels: their classes, int64.
        validation_inputs: examples that training never sees.
        validation_labels: their classes, int64.
    """

    inputs: Tensor
    labels: Tensor
    validation_inputs: Tensor
    validation_labels: Tensor


@one_thread()
def train_classifier(
    trial: Trial, params: ClassificationParams, *, split: Split, build: Callable[[], nn.Module]
) -> float:
    """Trains a network by cross-entropy and returns its accuracy on examples it has not seen.

    After each epoch (step 1 is the first epoch's end) the validation accuracy is reported, and
    the mean loss of the epoch's batches and the validation loss are recorded. The seed decides
    the initial weights and the order of the batches. One seed gives the same numbers, bit for
    bit, on the same machine and library versions, with or without a stop and a resume from a
    checkpoint.

    Args:
        trial: the seed, and where to report.
        params: the optimizer's parameters, the number of epochs and the size of a batch.
        split: the examples.
        build: makes the network, with torch's global generator already seeded.

    Returns:
        The fraction of validation examples classified correctly at the end, in [0, 1].

    Raises:
        TrialPruned: the study's pruner asked for an end.
    """
    generators = Generators(trial.seed, "network", "order")
    torch.manual_seed(int(generators["network"].integers(2**32)))
    network = build()
    optimizer, scheduler = build_optimizer(params, network.named_parameters())

    epochs_done, optimizer_steps, accuracy = 0, 0, 0.0
    parts: dict[str, Stateful] = {"network": network, "optimizer": optimizer}
    parts["generators"] = generators
    if scheduler is not None:
        parts["scheduler"] = scheduler
    if state := restore(trial, parts):
        epochs_done, optimizer_steps = state["epochs_done"], state["optimizer_steps"]
        accuracy = state["accuracy"]
        trial.log(f"resumed after epoch {epochs_done}")
    trial.watch(optimizer, scheduler, step=lambda: optimizer_steps)

    while epochs_done < params.epochs:
        order = torch.from_numpy(generators["order"].permutation(len(split.labels)))
        losses = []
        for batch in torch.split(order, params.batch_size):
            loss = functional.cross_entropy(network(split.inputs[batch]), split.labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer_steps += 1
            optimizer.step()
            losses.append(loss.detach())
        epochs_done += 1

        with torch.no_grad():
            logits = network(split.validation_inputs)
            validation_loss = functional.cross_entropy(logits, split.validation_labels)
        hits = logits.argmax(1) == split.validation_labels
        accuracy = hits.double().mean().item()
        trial.record(
            {"losses/training": torch.stack(losses).mean(), "losses/validation": validation_loss},
            epochs_done,
        )
        trial.report(accuracy, epochs_done)
        if trial.should_prune():
            raise TrialPruned(f"pruned after epoch {epochs_done}")
        save(
            trial,
            parts,
            epochs_done=epochs_done,
            optimizer_steps=optimizer_steps,
            accuracy=accuracy,
        )
    return accuracy

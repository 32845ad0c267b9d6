"""The task `chars`: a small character language model on the Python manual's help topics."""

import re
from pydoc_data.topics import topics

import torch
from torch import Tensor
from torch.nn import functional

from alphagrad.studies.character_model import CharacterModel
from alphagrad.studies.chars_params import CharsParams
from alphagrad.studies.checkpoint import Stateful, restore, save
from alphagrad.studies.generators import Generators
from alphagrad.studies.optimizers import build_optimizer
from alphagrad.studies.threads import one_thread
from alphagrad.tuner import Trial, TrialPruned

VALIDATION_BATCH = 64


def read_text() -> str:
    """Joins what `help("for")` and its like show, by topic, each paragraph once.

    Topics quote each other: kept twice, a paragraph could be on both sides of the split. The text
    depends on Python's version.

    Returns:
        350,000 to 420,000 characters of English with grammar and examples.
    """
    paragraphs = (
        paragraph
        for name in sorted(topics)
        for paragraph in re.split(r"\n{2,}", topics[name].strip("\n"))
    )
    return "\n\n".join(dict.fromkeys(paragraphs))


def load_split() -> tuple[Tensor, Tensor, str]:
    """Loads the text, split the same way for every trial and seed.

    Returns:
        The first nine tenths to learn from and the last tenth to be judged by, as int64 indices
        into the vocabulary, and the vocabulary: all characters of the text, sorted.
    """
    text = read_text()
    vocabulary = "".join(sorted(set(text)))
    index = {character: i for i, character in enumerate(vocabulary)}
    indices = torch.tensor([index[character] for character in text])
    training, validation = indices.tensor_split([len(text) * 9 // 10])
    return training, validation, vocabulary


def next_character_loss(model: CharacterModel, windows: Tensor) -> Tensor:
    """Gives the mean cross-entropy, in nats, of each character but the first of each window.

    Args:
        model: whose logits to take.
        windows: int64, (batch, time), with time up to the model's context + 1.

    Returns:
        A scalar.
    """
    logits = model(windows[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def validate(model: CharacterModel, windows: Tensor) -> float:
    """Gives the mean of `next_character_loss` over many windows of one length, without gradient."""
    with torch.no_grad():
        totals = [
            next_character_loss(model, some).item() * len(some)
            for some in torch.split(windows, VALIDATION_BATCH)
        ]
    return sum(totals) / len(windows)


@one_thread()
def chars(trial: Trial) -> float:
    """Trains a causal transformer and returns its loss on text it has not seen.

    The loss is the mean cross-entropy of the next character, in nats, over the validation text
    cut into windows of `context` characters. Every `eval_interval` steps, and at the end, it is
    reported, and the mean training loss since the last time is recorded. Counts of
    single characters come to 3.2 nats, of pairs to 2.4, of triples to 1.8.

    The split is fixed; the seed decides the initial weights and the training windows. One seed
    gives the same numbers, bit for bit, on the same machine and library versions, with or without
    a stop and a resume from a checkpoint.

    Args:
        trial: parameters as in `CharsParams`, the seed, and where to report.

    Returns:
        Nats per character; to be minimised.

    Raises:
        TrialPruned: the study's pruner asked for an end.
    """
    params = CharsParams(**trial.params)
    training, validation, vocabulary = load_split()
    # Views: a window starts at each character, or, to validate, where the last one ended.
    windows = training.unfold(0, params.context + 1, 1)
    validation_windows = validation.unfold(0, params.context + 1, params.context)

    generators = Generators(trial.seed, "network", "windows")
    torch.manual_seed(int(generators["network"].integers(2**32)))
    model = CharacterModel(
        len(vocabulary),
        context=params.context,
        width=params.width,
        layers=params.layers,
        heads=params.heads,
    )
    optimizer, scheduler = build_optimizer(params, model.named_parameters())

    steps_done, value = 0, float("nan")
    parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer}
    parts["generators"] = generators
    if scheduler is not None:
        parts["scheduler"] = scheduler
    if state := restore(trial, parts):
        steps_done, value = state["steps_done"], state["value"]
        trial.log(f"resumed after step {steps_done}")
    trial.watch(optimizer, scheduler, step=lambda: steps_done)

    losses: list[Tensor] = []
    while steps_done < params.total_steps:
        starts = generators["windows"].integers(len(windows), size=params.batch_size)
        loss = next_character_loss(model, windows[torch.from_numpy(starts)])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps_done += 1
        optimizer.step()
        losses.append(loss.detach())

        if steps_done % params.eval_interval == 0 or steps_done == params.total_steps:
            value = validate(model, validation_windows)
            trial.record({"losses/training": torch.stack(losses).mean()}, steps_done)
            losses.clear()
            trial.report(value, steps_done)
            if trial.should_prune():
                raise TrialPruned(f"pruned at step {steps_done}")
            save(trial, parts, steps_done=steps_done, value=value)
    return value

"""α in Ray Tune and Ray Train: numbers for a report, and the folder of a checkpoint.

Ray calls a function of yours that trains in plain torch, so a scheduler follows the optimizer by
its own ``attach``; what Ray adds are reports and checkpoints. Nothing here imports Ray: both of its
``Checkpoint`` classes are folders.
"""

import os
from pathlib import Path
from typing import Any

import torch

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.alpha_metrics import alpha_metrics, alpha_summary
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler

FILE = "alphagrad.pt"
"""The file that a checkpoint's folder gets."""


def alpha_report(optimizer: AlphaGrad) -> dict[str, float]:
    """Give what ``ray.tune.report`` or ``ray.train.report`` can take of α and saturation.

    Args:
        optimizer: the optimizer.

    Returns:
        :func:`alpha_summary` and, per layer, :func:`alpha_metrics`; no value is NaN.

    Example:
        >>> alpha_report(AlphaGrad([torch.zeros(4)], alpha=3.0))
        {'alpha_mean': 3.0, 'alpha_min': 3.0, 'alpha_max': 3.0, 'alpha/0.0': 3.0}
    """
    return alpha_summary([optimizer]) | alpha_metrics(optimizer)


def save_checkpoint(
    folder: str | os.PathLike[str],
    *,
    optimizer: AlphaGrad,
    scheduler: AlphaScheduler | None = None,
    **more: Any,
) -> None:
    """Write the states of optimizer and scheduler into the folder of a checkpoint.

    Args:
        folder: the folder, from which ``Checkpoint.from_directory`` then makes a checkpoint.
        optimizer: the optimizer.
        scheduler: its scheduler (default: None).
        more: what else to keep, such as ``model=model.state_dict()`` and ``epoch=3``: tensors,
            numbers, strings and lists and dicts of them.
    """
    states = {
        "optimizer": optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
    }
    torch.save({"more": more} | states, Path(folder) / FILE)


def load_checkpoint(
    folder: str | os.PathLike[str],
    *,
    optimizer: AlphaGrad,
    scheduler: AlphaScheduler | None = None,
) -> dict[str, Any]:
    """Load what :func:`save_checkpoint` wrote, so that training goes on with the same α.

    Args:
        folder: the folder, from the checkpoint's ``as_directory``.
        optimizer: an optimizer made like the one that was saved.
        scheduler: its scheduler, made like the one that was saved (default: None).

    Returns:
        What ``more`` was.

    Raises:
        ValueError: optimizer or scheduler is not like the one that was saved.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> optimizer = AlphaGrad([torch.zeros(4)], alpha=3.0)
        >>> with TemporaryDirectory() as folder:
        ...     save_checkpoint(folder, optimizer=optimizer, epoch=7)
        ...     optimizer.set_alpha(9.0)
        ...     load_checkpoint(folder, optimizer=optimizer), optimizer.alphas()
        ['0.0']
        ({'epoch': 7}, {'0.0': 3.0})
    """
    file = Path(folder) / FILE
    saved: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    if (scheduler is None) != (saved["scheduler"] is None):
        one, other = ("none", "one") if scheduler is None else ("one", "none")
        raise ValueError(f"Invalid scheduler: given is {one}, the checkpoint has {other}")
    optimizer.load_state_dict(saved["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(saved["scheduler"])
    more: dict[str, Any] = saved["more"]
    return more

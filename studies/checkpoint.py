"""Saving and restoring the parts of a training, each by its own state."""

from collections.abc import Mapping
from typing import Any, Protocol

from torch.optim import Optimizer

from alphagrad.studies.optimizers import follow_params
from alphagrad.tuner import Trial


class Stateful(Protocol):
    """What torch's modules and optimizers, α schedulers, generators and buffers have in common."""

    def state_dict(self) -> dict[str, Any]:
        """Gives all that is needed to go on."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Goes on from there."""


def save(trial: Trial, parts: Mapping[str, Stateful], **values: Any) -> None:
    """Stores the states of `parts`, `values` and the parameters as the trial's checkpoint.

    Args:
        trial: whose checkpoint it is.
        parts: what has a state, by name.
        values: numbers, strings, tensors, and lists and dicts of them.
    """
    states = {name: part.state_dict() for name, part in parts.items()}
    trial.save_checkpoint(states | {"params": trial.params} | values)


def restore(trial: Trial, parts: Mapping[str, Stateful]) -> dict[str, Any] | None:
    """Puts `parts` back into the state of the trial's newest checkpoint, see `load_states`.

    Args:
        trial: whose checkpoint to read.
        parts: as they were saved.

    Returns:
        The checkpoint, with the values that were saved beside the parts; None where there is none.
    """
    state = trial.load_checkpoint()
    if state is not None:
        load_states(trial, parts, state)
    return state


def load_states(trial: Trial, parts: Mapping[str, Stateful], checkpoint: Mapping[str, Any]) -> None:
    """Puts `parts` back into the state of a checkpoint that has been read.

    A member of a population may have other parameters than the checkpoint was made with; then the
    optimizers' settings follow those of the trial.
    """
    for name, part in parts.items():
        part.load_state_dict(checkpoint[name])
    before = checkpoint.get("params", trial.params)
    if before != trial.params:
        optimizers = [part for part in parts.values() if isinstance(part, Optimizer)]
        follow_params(optimizers, before=before, now=trial.params)


class OfAgent:
    """One agent's part of what holds the state of several.

    Args:
        whole: what takes the agent's index beside the state.
        agent: that index.
    """

    def __init__(self, whole: Any, agent: int) -> None:
        self._whole = whole
        self._agent = agent

    def state_dict(self) -> dict[str, Any]:
        """Gives the agent's state."""
        state: dict[str, Any] = self._whole.state_dict(self._agent)
        return state

    def load_state_dict(self, state: Any) -> None:
        """Takes over the agent's state."""
        self._whole.load_state_dict(state, self._agent)

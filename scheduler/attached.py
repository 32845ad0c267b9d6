"""One scheduler on each AlphaGrad of a program: what the callbacks for training libraries share."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.alpha_metrics import alpha_metrics, alpha_summary
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler
from alphagrad.scheduler.resume import Factory, resume
from alphagrad.scheduler.saturation import SaturationScheduler
from alphagrad.scheduler.trace_writer import AlphaTraceWriter, Trace


def unwrap(optimizer: Optimizer) -> Optimizer:
    """Give the optimizer inside of the wrappers of Accelerate, Lightning and the like.

    Args:
        optimizer: an optimizer, whose wrapper calls it ``optimizer``.
    """
    while isinstance(inner := getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = inner
    return optimizer


class AttachedSchedulers:
    """Schedulers, and trace writers if wanted, attached to every AlphaGrad among some optimizers.

    Args:
        optimizers: optimizers by name, wrapped or not; those that are no AlphaGrad are let be.
        factory: makes the scheduler of one (default: :class:`SaturationScheduler`).
        states: from :meth:`state_dict`, to go on from there (default: None).
        trace: what to write a trace to, see :class:`AlphaTraceWriter` (default: None).
        every: steps between the trace's writes (default: 1).

    Attributes:
        optimizers: the AlphaGrads by name.
        schedulers: their schedulers by name.
        writers: their trace writers by name.

    Raises:
        TypeError: there is no AlphaGrad among the optimizers.
        ValueError: the states are of other optimizers, or of another class of scheduler.

    Example:
        >>> optimizers = {"actor": AlphaGrad([torch.zeros(4)], alpha=3.0)}
        >>> attached = AttachedSchedulers(optimizers)
        >>> attached.metrics(), list(attached.state_dict())
        ({'alpha/0.0': 3.0}, ['actor'])
    """

    def __init__(
        self,
        optimizers: Mapping[str, Optimizer],
        factory: Factory = SaturationScheduler,
        *,
        states: Mapping[str, Any] | None = None,
        trace: Trace | None = None,
        every: int = 1,
    ) -> None:
        inner = {name: unwrap(optimizer) for name, optimizer in optimizers.items()}
        self.optimizers = {n: o for n, o in inner.items() if isinstance(o, AlphaGrad)}
        if not self.optimizers:
            found = ", ".join(sorted({type(o).__name__ for o in inner.values()}) or ["none"])
            raise TypeError(f"optimizers must have an AlphaGrad among them, got {found}")
        if states and set(states) != set(self.optimizers):
            raise ValueError(
                f"Invalid states of {sorted(states)}, must be of {sorted(self.optimizers)}"
            )
        self.schedulers: dict[str, AlphaScheduler] = {}
        self.writers: dict[str, AlphaTraceWriter] = {}
        prefixes = self._prefixes()
        for name, optimizer in self.optimizers.items():
            state = (states or {}).get(name)
            scheduler = (
                resume(factory, optimizer, state["scheduler"]) if state else factory(optimizer)
            )
            self.schedulers[name] = scheduler.attach()
            if trace is not None:
                writer = AlphaTraceWriter(optimizer, trace, every=every, prefix=prefixes[name])
                if state and "writer" in state:
                    writer.load_state_dict(state["writer"])
                self.writers[name] = writer.attach()

    def detach(self) -> None:
        """Let go of the optimizers; the states can still be had."""
        for scheduler in self.schedulers.values():
            scheduler.detach()
        for writer in self.writers.values():
            writer.detach()

    def start_once(self, optimizer: Optimizer) -> None:
        """Let the scheduler of an optimizer, wrapped or not, set α by the first gradients."""
        for name, own in self.optimizers.items():
            if own is unwrap(optimizer):
                self.schedulers[name].start_once()

    def metrics(self) -> dict[str, float]:
        """Give :func:`alpha_metrics` of all optimizers."""
        prefixes = self._prefixes()
        metrics: dict[str, float] = {}
        for name, optimizer in self.optimizers.items():
            metrics |= alpha_metrics(optimizer, prefix=prefixes[name])
        return metrics

    def summary(self) -> dict[str, float]:
        """Give :func:`alpha_summary` over all optimizers."""
        return alpha_summary(self.optimizers.values())

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Give the states of schedulers and writers by the names of the optimizers."""
        states = {name: {"scheduler": one.state_dict()} for name, one in self.schedulers.items()}
        for name, writer in self.writers.items():
            states[name]["writer"] = writer.state_dict()
        return states

    def _prefixes(self) -> dict[str, str]:
        """Nothing, or each optimizer's name where two have a layer of the same name."""
        names = [name for one in self.optimizers.values() for name in one.layer_names()]
        clash = len(set(names)) < len(names)
        return {name: f"{name}/" if clash else "" for name in self.optimizers}


def as_text(states: Mapping[str, Any]) -> str:
    """Pack states into a string, for checkpoints that hold JSON.

    Args:
        states: tensors, numbers, strings and lists and dicts of them.

    Example:
        >>> from_text(as_text({"a": torch.arange(3)}))
        {'a': tensor([0, 1, 2])}
    """
    file = io.BytesIO()
    torch.save(dict(states), file)
    return base64.b64encode(file.getvalue()).decode()


def from_text(text: str) -> dict[str, Any]:
    """Unpack what :func:`as_text` packed, with tensors on the CPU; nothing in it is executed.

    Args:
        text: the string.
    """
    file = io.BytesIO(base64.b64decode(text))
    states: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return states

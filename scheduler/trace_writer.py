"""α and saturation of each layer, written down while training runs."""

import math
import os
from collections.abc import Sequence
from typing import Any, Protocol, Self, runtime_checkable

from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from alphagrad.optim import AlphaGrad
from alphagrad.optim.hooks import register_first_step_post_hook
from alphagrad.scheduler.alpha_metrics import read_layers
from alphagrad.scheduler.csv_trace import CsvTrace


@runtime_checkable
class TraceSink(Protocol):
    """Where traces can go: a :class:`CsvTrace`, or an object of your own."""

    def write_step(
        self,
        step: int,
        layers: Sequence[str],
        alphas: Sequence[float],
        saturations: Sequence[float],
    ) -> None:
        """Take one step's α and saturation, NaN where none was measured."""


@runtime_checkable
class ScalarWriter(Protocol):
    """What TensorBoard's ``SummaryWriter`` can do."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int, /) -> None:
        """Take one number."""


@runtime_checkable
class Watcher(Protocol):
    """What a :class:`alphagrad.tuner.Trial` can do."""

    def watch(self, optimizer: Optimizer, /) -> None:
        """Record α and saturation from now on, at steps of its own choice."""


Trace = str | os.PathLike[str] | TraceSink | ScalarWriter | Watcher
"""What a trace can be written to."""


class AlphaTraceWriter:
    """Writes down α and saturation of each layer after every n-th step of the optimizer.

    α is the one that the step used and saturation what it measured, whichever of writer and
    scheduler was attached first. A write waits for the device once.

    Args:
        optimizer: the optimizer.
        sink: the path of a CSV file (see :class:`CsvTrace`); a TensorBoard ``SummaryWriter``, which
            gets ``alpha/<layer>`` and, where one was measured, ``saturation/<layer>``; a
            :class:`alphagrad.tuner.Trial`, whose ``watch`` is called and samples by itself; or an
            object of your own with :class:`TraceSink`'s ``write_step``.
        every: n: steps between writes (default: 1).
        prefix: put before each layer's name, for optimizers whose layers have the same names
            (default: none).

    Attributes:
        last_step: number of steps so far. It starts at the last step in the CSV file, if the layers
            are in it, so that nothing in it is lost; :meth:`load_state_dict` moves it back.

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`, or ``sink`` is nothing of the above.
        ValueError: ``every`` is below 1, or the CSV file is there with other columns.

    Example:
        >>> import torch
        >>> class Print:
        ...     def write_step(self, step, layers, alphas, saturations):
        ...         print(step, *zip(layers, alphas, saturations, strict=True))
        >>> weight = torch.zeros(4, requires_grad=True)
        >>> optimizer = AlphaGrad([("weight", weight)], alpha=9.0)
        >>> writer = AlphaTraceWriter(optimizer, Print(), every=2).attach()
        >>> for _ in range(4):
        ...     weight.grad = torch.ones(4)
        ...     optimizer.step()
        2 ('weight', 9.0, 1.0)
        4 ('weight', 9.0, 1.0)
    """

    def __init__(
        self, optimizer: AlphaGrad, sink: Trace, *, every: int = 1, prefix: str = ""
    ) -> None:
        if not isinstance(optimizer, AlphaGrad):
            raise TypeError(f"optimizer must be an AlphaGrad, got {type(optimizer).__name__}")
        if every < 1:
            raise ValueError(f"Invalid every: {every}, must be >= 1")
        self.optimizer, self.every, self.prefix = optimizer, every, prefix
        self._watcher = sink if isinstance(sink, Watcher) else None
        self._sink = None if isinstance(sink, Watcher) else as_sink(sink)
        self.last_step = 0
        if isinstance(self._sink, CsvTrace):
            names = [prefix + name for name in optimizer.layer_names()]
            self.last_step = self._sink.last_step(names)
        self._handle: RemovableHandle | None = None

    def attach(self) -> Self:
        """Follow every step of the optimizer; a second call changes nothing.

        Returns:
            The writer itself.
        """
        if self._handle is not None:
            return self
        if self._watcher is not None:
            self._watcher.watch(self.optimizer)
            self._watcher = None  # a trial watches to its end
        self._handle = register_first_step_post_hook(self.optimizer, self._after_step)
        return self

    def detach(self) -> None:
        """Undo :meth:`attach`; only a trial goes on watching."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: not the hook."""
        return self.__dict__ | {"_handle": None}

    def write(self) -> None:
        """Write now, whatever the step."""
        if self._sink is not None:
            names, alphas, saturations = read_layers(self.optimizer)
            layers = [self.prefix + name for name in names]
            self._sink.write_step(self.last_step, layers, alphas, saturations)

    def state_dict(self) -> dict[str, Any]:
        """Give the number of steps so far."""
        return {"last_step": self.last_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after that step; what a CSV file has of later steps is replaced.

        Args:
            state_dict: from :meth:`state_dict`.
        """
        self.last_step = int(state_dict["last_step"])

    def _after_step(self, optimizer: object, args: object, kwargs: object) -> None:
        if self.optimizer.rehearsed:
            return
        self.last_step += 1
        if self.last_step % self.every == 0:
            self.write()


def as_sink(trace: str | os.PathLike[str] | TraceSink | ScalarWriter) -> TraceSink:
    """Give the sink of a path or a ``SummaryWriter``; a sink is given back as it is.

    Args:
        trace: one of the three.

    Raises:
        TypeError: it is none of them.
    """
    if isinstance(trace, str | os.PathLike):
        return CsvTrace(trace)
    if isinstance(trace, TraceSink):
        return trace
    if isinstance(trace, ScalarWriter):
        return ScalarSink(trace)
    raise TypeError(
        "sink must be a path, a SummaryWriter, a Trial or have a write_step method, "
        f"got {type(trace).__name__}"
    )


class ScalarSink:
    """Writes to TensorBoard.

    Args:
        writer: a ``SummaryWriter``.
    """

    def __init__(self, writer: ScalarWriter) -> None:
        self.writer = writer

    def write_step(
        self,
        step: int,
        layers: Sequence[str],
        alphas: Sequence[float],
        saturations: Sequence[float],
    ) -> None:
        """Write one step's α and saturation; NaN is left out, which TensorBoard draws as a gap."""
        for layer, alpha, saturation in zip(layers, alphas, saturations, strict=True):
            self.writer.add_scalar(f"alpha/{layer}", alpha, step)
            if not math.isnan(saturation):
                self.writer.add_scalar(f"saturation/{layer}", saturation, step)

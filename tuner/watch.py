"""Watching optimizers: α and saturation go out as traces, knob commands come in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from alphagrad.tuner.channel import Channel
from alphagrad.tuner.messages import (
    Command,
    HistogramQuestion,
    KnobAnswer,
    KnobCommand,
    Layers,
    Trace,
)
from alphagrad.tuner.steps import checked_step
from alphagrad.tuner.watch_histograms import Answering

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from alphagrad.optim import AlphaGrad

SAMPLE_SPACING = 200
"""A sample at step n is followed by one at ``n + max(1, n // 200)``: 1,900 samples in 10⁶ steps."""
FLUSH_SECONDS = 0.25


class Watcher:
    """Hooks the optimizers of one trial; the first one watched sets the pace of the samples.

    A command is applied before an optimizer step, so the step it names is the first one made with
    the new α; a sample holds the α that the step used and the saturation that it measured. Layers
    that are added to an optimizer later come last, so that columns keep their places.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._optimizers: list[AlphaGrad] = []
        self._parts: list[tuple[AlphaGrad, slice]] = []
        """The columns of a sample: an optimizer, and some of its layers."""
        self._without_alpha: list[str] = []
        self._layers: list[str] = []
        self._steps_taken = 0
        self._next_sample = 1
        self._step: Callable[[], int] = lambda: self._steps_taken
        self._due = False
        self._samples: list[tuple[int, Tensor, Tensor]] = []
        self._sent = 0
        self._flushed_at = time.monotonic()
        self._answering: list[Answering] = []

    def add(self, optimizer: Optimizer, *, step: Callable[[], int] | None) -> None:
        """Hook one more optimizer.

        Raises:
            ValueError: one of its layers has the name of a layer already watched.
        """
        from alphagrad.optim import AlphaGrad
        from alphagrad.optim.hooks import register_first_step_post_hook

        if not isinstance(optimizer, AlphaGrad):
            self._without_alpha.append(type(optimizer).__name__)
            optimizer.register_step_pre_hook(self._before_step)
            return
        self._take_up(optimizer)
        self._optimizers.append(optimizer)
        optimizer.register_step_pre_hook(self._before_step)
        if len(self._optimizers) == 1:
            if step is not None:
                self._step = step
            register_first_step_post_hook(optimizer, self._after_step)

    def _take_up(self, optimizer: AlphaGrad) -> None:
        """Watch those of an optimizer's layers that are not watched yet: the last ones."""
        known = self._watched(optimizer)
        names = optimizer.layer_names()[known:]
        if clash := sorted(set(names) & set(self._layers)):
            raise ValueError(f"layers {clash} are watched already; name the parameters apart")
        self.flush()  # samples so far have fewer layers
        self._layers += names
        self._parts.append((optimizer, slice(known, known + len(names))))
        self._channel.send(Layers(names=list(self._layers)))

    def _watched(self, optimizer: AlphaGrad) -> int:
        """How many of an optimizer's layers are watched."""
        return max((part.stop for of, part in self._parts if of is optimizer), default=0)

    def close(self) -> None:
        """Send the samples still held, and reject the commands that came too late."""
        self.flush()
        ended = "the trial has ended"
        for answering in self._answering:
            self._channel.send(answering.refusal(ended))
        while self._channel.commands:
            self._refuse(self._channel.commands.popleft(), ended)

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        paced = bool(self._optimizers) and optimizer is self._optimizers[0]
        if paced:
            self._steps_taken += 1
        applied = False
        while self._channel.commands:
            command = self._channel.commands.popleft()
            if isinstance(command, HistogramQuestion):
                self._answering.append(Answering(command, self._optimizers))
            else:
                applied |= self._obey(command)
        if self._answering:
            self._look(optimizer)
        if paced and (applied or self._steps_taken >= self._next_sample):
            self._due = True

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not self._due:
            return
        self._due = False
        packed = {one: one.packed() for one in self._optimizers}
        for one, (alpha, _) in packed.items():
            if len(alpha) > self._watched(one):
                self._take_up(one)
        alphas, saturations = (
            _joined([packed[one][i][part] for one, part in self._parts]) for i in (0, 1)
        )
        self._samples.append((self._now(), alphas, saturations))
        self._next_sample = self._steps_taken + max(1, self._steps_taken // SAMPLE_SPACING)
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send the samples held so far."""
        self._flushed_at = time.monotonic()
        if not self._samples:
            return
        import torch

        # The copies to the host wait for the device once per flush, not once per sample.
        steps, alphas, saturations = zip(*self._samples, strict=True)
        self._samples.clear()
        first, self._sent = self._sent, self._sent + len(steps)
        self._channel.send(
            Trace(
                first=first,
                steps=list(steps),
                alpha=torch.stack(alphas).cpu().numpy().astype(np.float32),
                saturation=torch.stack(saturations).cpu().numpy().astype(np.float32),
            )
        )

    def _now(self) -> int:
        return checked_step("watch", self._step())

    def _obey(self, command: KnobCommand) -> bool:
        from alphagrad.optim import matching_layers

        if not self._optimizers:
            names = ", ".join(self._without_alpha)
            self._answer(command, reason=f"the optimizer has no alpha: {names}")
            return False
        if not matching_layers(self._layers, command.layers):
            reason = f"no layer matches {command.layers!r}; the layers are {self._layers}"
            self._answer(command, reason=reason)
            return False
        try:
            for optimizer in self._optimizers:
                if matching_layers(optimizer.layer_names(), command.layers):
                    _turn(optimizer, command)
        except ValueError as error:
            self._answer(command, reason=str(error))  # a bad command must not end the training
            return False
        self._answer(command)
        # The trace shows the change at once.
        self._flushed_at = 0.0
        return True

    def _look(self, optimizer: Optimizer) -> None:
        """Count the gradients of the optimizer that is about to step, for those who asked."""
        for answering in list(self._answering):
            if (answer := answering.look(optimizer, step=self._now())) is not None:
                self._answering.remove(answering)
                self._channel.send(answer)

    def _refuse(self, command: Command, reason: str) -> None:
        if isinstance(command, HistogramQuestion):
            self._channel.send(Answering(command, []).refusal(reason))
        else:
            self._answer(command, reason=reason)

    def _answer(self, command: KnobCommand, *, reason: str | None = None) -> None:
        self._channel.send(
            KnobAnswer(id=command.id, applied=reason is None, step=self._now(), reason=reason)
        )


def _joined(vectors: list[Tensor]) -> Tensor:
    """Join vectors on the device; nothing waits for it before the flush."""
    import torch

    return vectors[0] if len(vectors) == 1 else torch.cat(vectors)


def _turn(optimizer: AlphaGrad, command: KnobCommand) -> None:
    if command.alpha is not None:
        optimizer.set_alpha(command.alpha, command.layers, pin=command.pin)
    elif command.pin is not None:
        optimizer.pin(command.layers, pin=command.pin)

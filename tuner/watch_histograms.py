"""A trial's answer to a question for histograms, put together over its optimizers' next steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from alphagrad.tuner.messages import HistogramAnswer, HistogramQuestion

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from alphagrad.optim import AlphaGrad

PATIENCE_SECONDS = 0.5
"""An optimizer that has not stepped for so long is left out of the answer."""


class Answering:
    """Gathers the histograms of one question.

    Only the optimizer that is about to step has its gradients there for sure, so each is looked at
    before its own next step.

    Args:
        question: what is asked.
        optimizers: those that are watched.
    """

    def __init__(self, question: HistogramQuestion, optimizers: Sequence[AlphaGrad]) -> None:
        self._question = question
        self._waiting = list(optimizers)
        self._names = [name for optimizer in optimizers for name in optimizer.layer_names()]
        self._answer = HistogramAnswer(
            id=question.id, step=0, edges=[], counts={}, zeros={}, tau={}
        )
        self._since = time.monotonic()

    def look(self, optimizer: Optimizer, *, step: int) -> HistogramAnswer | None:
        """Count what an optimizer's tanh is about to receive.

        Args:
            optimizer: it is about to step.
            step: where training stands.

        Returns:
            The answer, when it is complete.
        """
        from alphagrad.optim import matching_layers
        from alphagrad.optim.diagnostics import tanh_input_histograms

        layers = self._question.layers
        if not matching_layers(self._names, layers):
            return self.refusal(
                f"no layer matches {layers!r}; the layers are {self._names}"
                if self._names
                else "the trial's optimizer has no alpha"
            )
        if optimizer in self._waiting:
            found = next(one for one in self._waiting if one is optimizer)
            self._waiting.remove(found)
            if matching_layers(found.layer_names(), layers):
                histograms = tanh_input_histograms(found, layers=layers, bins=self._question.bins)
                for name, histogram in histograms.items():
                    self._answer.counts[name] = histogram.counts
                    self._answer.zeros[name] = histogram.zeros
                    self._answer.tau[name] = histogram.tau
                    self._answer.edges[:] = histogram.edges
        if self._waiting and time.monotonic() - self._since < PATIENCE_SECONDS:
            return None
        return HistogramAnswer(
            id=self._question.id,
            step=step,
            edges=self._answer.edges,
            counts=self._answer.counts,
            zeros=self._answer.zeros,
            tau=self._answer.tau,
        )

    def refusal(self, reason: str) -> HistogramAnswer:
        """The answer of one that cannot be given."""
        return HistogramAnswer(
            id=self._question.id, step=0, edges=[], counts={}, zeros={}, tau={}, reason=reason
        )

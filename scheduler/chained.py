"""Several schedulers at once."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler


class ChainedAlpha(AlphaScheduler):
    """Steps several schedulers of one optimizer, one after the other.

    Say, one that holds saturation on the weights and one that decays α on the biases; or a curve on
    top of another, whose factors multiply. One that moves by a metric gets it from :meth:`observe`,
    and is not stepped.

    Args:
        schedulers: at least one, not attached, all of the same optimizer.

    Attributes:
        schedulers: those schedulers.

    Raises:
        ValueError: there is none, they belong to different optimizers, or one is attached.

    Example:
        >>> import torch
        >>> from alphagrad.scheduler import ExponentialAlpha
        >>> weights = {"w": torch.zeros(4), "b": torch.zeros(4)}
        >>> optimizer = AlphaGrad(weights.items(), alpha=8.0)
        >>> scheduler = ChainedAlpha(
        ...     [
        ...         ExponentialAlpha(optimizer, gamma=0.5, layers="w"),
        ...         ExponentialAlpha(optimizer, gamma=2.0, layers="b"),
        ...     ]
        ... ).attach()
        >>> optimizer.step()
        >>> optimizer.alphas()
        {'w': 4.0, 'b': 16.0}
    """

    _not_saved: ClassVar[frozenset[str]] = AlphaScheduler._not_saved | {"schedulers"}

    def __init__(self, schedulers: Sequence[AlphaScheduler]) -> None:
        if not schedulers:
            raise ValueError("Invalid schedulers: none given, must be at least one")
        optimizer: AlphaGrad = schedulers[0].optimizer
        for i, scheduler in enumerate(schedulers):
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"Invalid schedulers: number {i} is of another optimizer")
            if scheduler.attached:
                raise ValueError(f"Invalid schedulers: number {i} is attached, it would step twice")
        self.schedulers = list(schedulers)
        super().__init__(optimizer)

    def get_alpha(self) -> list[Tensor]:
        """Give α as the schedulers left it."""
        return self.alpha_vectors()

    def start_once(self) -> None:
        """Let each scheduler set α by the first gradients."""
        for scheduler in self.schedulers:
            scheduler.start_once()

    @property
    def starts(self) -> bool:
        """Whether one of the schedulers does."""
        return any(scheduler.starts for scheduler in self.schedulers)

    def observe(self, metric: float) -> None:
        """Tell each scheduler of a metric.

        Args:
            metric: a Python number.
        """
        for scheduler in self.schedulers:
            scheduler.observe(metric)

    def _advance(self) -> None:
        for scheduler in self.schedulers:
            if not scheduler.by_metric:
                scheduler.step()
        super()._advance()

    def state_dict(self) -> dict[str, Any]:
        """Give a copy of this scheduler's state and of the others'."""
        return super().state_dict() | {"schedulers": [s.state_dict() for s in self.schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where another chain of the same schedulers was.

        Args:
            state_dict: from :meth:`state_dict`.

        Raises:
            ValueError: it is of another class, or of another number of schedulers.
        """
        own = dict(state_dict)
        states = own.pop("schedulers", [])
        if len(states) != len(self.schedulers):
            raise ValueError(
                f"Invalid scheduler state for {len(states)} schedulers, "
                f"must be for {len(self.schedulers)}"
            )
        super().load_state_dict(own)
        for scheduler, state in zip(self.schedulers, states, strict=True):
            scheduler.load_state_dict(state)

"""One scheduler after another."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler
from alphagrad.scheduler.resume import Factory, resume


class SequentialAlpha(AlphaScheduler):
    """Steps one scheduler up to each milestone, then makes the next and steps that.

    A scheduler is made when its turn comes, since making one may set α. One that moves by a metric
    gets it from :meth:`observe` while its turn lasts, and is not stepped.

    Args:
        optimizer: the optimizer whose α to move.
        schedulers: functions that make a scheduler of the optimizer, such as a scheduler's class.
        milestones: the steps at which the second, third … takes over, rising, one less than there
            are schedulers.

    Attributes:
        current: the scheduler at work.

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: the milestones are not rising, or not one less than the schedulers; or one that
            is made is attached.

    Example:
        >>> import torch
        >>> from alphagrad.scheduler import ExponentialAlpha, SqrtDAlpha
        >>> optimizer = AlphaGrad([torch.zeros(4)], alpha=16.0)
        >>> scheduler = SequentialAlpha(
        ...     optimizer,
        ...     schedulers=[lambda o: ExponentialAlpha(o, gamma=0.5), SqrtDAlpha],
        ...     milestones=[2],
        ... ).attach()
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     print(optimizer.alphas()["0.0"])
        8.0
        4.0
        3.0
    """

    _not_saved: ClassVar[frozenset[str]] = AlphaScheduler._not_saved | {"_factories", "current"}

    def __init__(
        self, optimizer: AlphaGrad, *, schedulers: Sequence[Factory], milestones: Sequence[int]
    ) -> None:
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"Invalid milestones: {list(milestones)}, must be one less than the "
                f"{len(schedulers)} schedulers"
            )
        if sorted({0, *milestones}) != [0, *milestones]:
            raise ValueError(f"Invalid milestones: {list(milestones)}, must be rising and >= 1")
        self.milestones = list(milestones)
        self._factories = list(schedulers)
        super().__init__(optimizer)
        self.current = self._made(0)
        self._index = 0

    def get_alpha(self) -> list[Tensor]:
        """Give α as the scheduler at work left it."""
        return self.alpha_vectors()

    def start_once(self) -> None:
        """Let the scheduler at work set α by the first gradients that it sees."""
        self.current.start_once()

    def observe(self, metric: float) -> None:
        """Tell the scheduler at work of a metric.

        Args:
            metric: a Python number.
        """
        self.current.observe(metric)

    def _advance(self) -> None:
        index = bisect_right(self.milestones, self.last_step - 1)
        if index != self._index:
            self._index = index
            self.current = self._made(index)
        if not self.current.by_metric:
            self.current.step()
        super()._advance()

    def _made(self, index: int) -> AlphaScheduler:
        scheduler = self._factories[index](self.optimizer)
        if scheduler.attached:
            scheduler.detach()
            raise ValueError(f"Invalid schedulers: number {index} is attached, it would step twice")
        return scheduler

    def state_dict(self) -> dict[str, Any]:
        """Give a copy of this scheduler's state and of the one at work."""
        return super().state_dict() | {"current": self.current.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where another sequence of the same schedulers was; α stays as it is.

        Args:
            state_dict: from :meth:`state_dict`.

        Raises:
            ValueError: it is of another class, or of a scheduler that is not in the sequence.
        """
        own = dict(state_dict)
        current = own.pop("current", {})
        index = own.get("_index", 0)
        if not 0 <= index < len(self._factories):
            raise ValueError(
                f"Invalid scheduler state at number {index}, must be below {len(self._factories)}"
            )
        super().load_state_dict(own)
        self.current = resume(lambda _: self._made(index), self.optimizer, current)

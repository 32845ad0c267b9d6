"""The base of all α schedulers."""

import copy
import warnings
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from alphagrad.optim import AlphaGrad, Layer, find_layers, knob_vector, match_layers


class AlphaScheduler:
    """Moves α after each optimizer step, in the manner of torch's ``LRScheduler``.

    A subclass overrides :meth:`get_alpha`. The base keeps every α as it is. Pinned layers, and
    layers outside ``layers``, never change, whatever :meth:`get_alpha` says. Nothing waits for the
    device. The optimizer owns α: the scheduler reads and writes ``group["alpha"]`` and keeps no
    reference to it, so parameter groups may be added, loaded or moved at any time.

    Args:
        optimizer: the optimizer whose α to move; a float α becomes a packed vector.
        layers: glob of the layers to act on (default: all).

    Attributes:
        knob: what it moves: ``"alpha"``, or ``"beta"`` or ``"mix"`` in a subclass that says so.
        by_metric: whether it moves by what :meth:`observe` tells it; nothing else steps it then.
        optimizer: that optimizer.
        layers: that glob.
        last_step: number of steps so far.

    Raises:
        TypeError: the optimizer is not an :class:`AlphaGrad`.
        ValueError: no layer matches ``layers``.

    Example:
        >>> weights = {"weight": torch.zeros(4), "bias": torch.zeros(2)}
        >>> class Halve(AlphaScheduler):
        ...     def get_alpha(self):
        ...         return [alpha / 2 for alpha in super().get_alpha()]
        >>> optimizer = AlphaGrad(weights.items(), alpha=8.0)
        >>> scheduler = Halve(optimizer, layers="weight").attach()
        >>> optimizer.step()
        >>> optimizer.alphas()
        {'weight': 4.0, 'bias': 8.0}
    """

    knob: ClassVar[str] = "alpha"
    by_metric: ClassVar[bool] = False
    _not_saved: ClassVar[frozenset[str]] = frozenset(
        {"optimizer", "_handle", "_start_handle", "_masks", "_devices"}
    )

    def __init__(self, optimizer: AlphaGrad, *, layers: str = "*") -> None:
        if not isinstance(optimizer, AlphaGrad):
            raise TypeError(f"optimizer must be an AlphaGrad, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.layers = layers
        self.covered_layers()  # a glob that matches nothing fails here, not at the first step
        self.last_step = 0
        self._masks: list[Tensor] = []
        self._devices: list[torch.device] = []
        self.alpha_vectors()  # packs what is still a float
        self._handle: RemovableHandle | None = None
        self._start_handle: RemovableHandle | None = None

    def covered_layers(self) -> list[Layer]:
        """Give the layers that the scheduler acts on, pinned ones included."""
        return match_layers(find_layers(self.optimizer.param_groups), self.layers)

    def alpha_vectors(self) -> list[Tensor]:
        """Give the optimizer's own packed α, one float32 vector per group; a write is a change."""
        return [knob_vector(group, self.knob) for group in self.optimizer.param_groups]

    def get_alpha(self) -> list[Tensor]:
        """Compute the next α: the hook for subclasses.

        Returns:
            One float32 vector per group with one entry per tensor, on the group's device. Entries
            of layers that the scheduler may not change are ignored. The optimizer's own vectors
            must not be changed in place here.
        """
        return self.alpha_vectors()

    def get_last_alpha(self) -> list[Tensor]:
        """Give copies of α as it is now, one float32 vector per group."""
        return [alpha.clone() for alpha in self.alpha_vectors()]

    def on_groups(self) -> None:
        """Rebuild constants that depend on the groups: a hook for subclasses.

        Called before the first :meth:`get_alpha`, and again after groups were added or moved, or a
        state was loaded. The one place to bring numbers from the host to the device.
        """

    def step(self) -> None:
        """Count a step and write the next α; before the optimizer's first step only warn."""
        if not self.optimizer.stepped:
            warnings.warn(
                f"{type(self).__name__}.step() before the optimizer's first step does nothing; "
                "call optimizer.step() first, then scheduler.step()",
                stacklevel=2,
            )
            return
        self.last_step += 1
        self._advance()

    def observe(self, metric: float) -> None:
        """Take note of a metric, such as an evaluation's: a hook for subclasses.

        A task's :meth:`alphagrad.tuner.Trial.report` calls it on each watched scheduler. Where
        several ranks train, give all of them the same metric.

        Args:
            metric: a Python number.
        """

    @property
    def attached(self) -> bool:
        """Whether each step of the optimizer steps this scheduler."""
        return self._handle is not None

    def attach(self) -> Self:
        """Call :meth:`step` after every step of the optimizer; a second call changes nothing.

        A copy, or what was pickled, has to be attached anew: its optimizer has lost its hooks, as
        all of torch's do.

        Returns:
            The scheduler itself.
        """
        if self._handle is None:
            self._handle = self.optimizer.register_step_post_hook(self._after_step)
            if self.starts:
                self._start_handle = self.optimizer.register_step_pre_hook(self._before_step)
        return self

    def start_once(self) -> None:
        """Set α by the first gradients, once: a hook for subclasses, called before each step."""

    @property
    def starts(self) -> bool:
        """Whether :meth:`start_once` does anything, so that it has to be called."""
        return type(self).start_once is not AlphaScheduler.start_once

    def detach(self) -> None:
        """Undo :meth:`attach`."""
        for handle in (self._handle, self._start_handle):
            if handle is not None:
                handle.remove()
        self._handle = self._start_handle = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: not the hooks."""
        return self.__dict__ | {"_handle": None, "_start_handle": None}

    def state_dict(self) -> dict[str, Any]:
        """Give a copy of everything but the optimizer and the hook; the optimizer saves α."""
        state = {key: value for key, value in self.__dict__.items() if key not in self._not_saved}
        return copy.deepcopy(state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where another scheduler of this class was; then load the optimizer's state too.

        Args:
            state_dict: from :meth:`state_dict`.

        Raises:
            ValueError: keys are missing or unknown: it is from another class.
        """
        known = set(self.__dict__) - set(self._not_saved)
        if set(state_dict) != known:
            raise ValueError(
                f"Invalid scheduler state with keys {sorted(state_dict)}, must be {sorted(known)}"
            )
        self.__dict__.update(copy.deepcopy(state_dict))
        self._devices = []

    def _refresh(self) -> None:
        groups = self.optimizer.param_groups
        devices = [group["pinned"].device for group in groups]
        if devices == self._devices:
            return
        covered = [[False] * len(group["params"]) for group in groups]
        for layer in self.covered_layers():
            size = layer.index.stop - layer.index.start
            covered[layer.group][layer.index] = [True] * size
        self._masks = [
            torch.tensor(entries, dtype=torch.bool).to(device)
            for entries, device in zip(covered, devices, strict=True)
        ]
        self._devices = devices
        self.on_groups()

    def _advance(self) -> None:
        self._write()

    @torch.no_grad()
    def _write(self) -> None:
        alphas = self.alpha_vectors()
        self._refresh()
        groups, computed = self.optimizer.param_groups, self.get_alpha()
        # A GradScaler leaves this here during a step that it masks.
        found_inf = getattr(self.optimizer, "found_inf", None)
        for group, mask, alpha, new in zip(groups, self._masks, alphas, computed, strict=True):
            free = mask & ~group["pinned"]
            if found_inf is not None:
                free = free & (found_inf.to(free.device) == 0)
            alpha.copy_(torch.where(free, new, alpha))

    def _before_step(self, optimizer: object, args: object, kwargs: object) -> None:
        self.start_once()

    def _after_step(self, optimizer: object, args: object, kwargs: object) -> None:
        if not self.optimizer.rehearsed:
            self.step()

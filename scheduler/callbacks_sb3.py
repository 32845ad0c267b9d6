"""α schedulers in Stable-Baselines3 (extra ``integrations``)."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from torch.optim import Optimizer

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.attached import AttachedSchedulers, as_text, from_text
from alphagrad.scheduler.resume import Factory
from alphagrad.scheduler.saturation import SaturationScheduler
from alphagrad.scheduler.trace_writer import AlphaTraceWriter, Trace

try:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import Logger
except ImportError as error:
    raise ImportError(
        "callbacks_sb3 needs Stable-Baselines3: pip install 'alphagrad[integrations]'"
    ) from error

SAVED_AS = "alpha_schedulers"
"""The attribute of a model that holds the schedulers' states, and so is in its ``save``."""


class AlphaGradCallback(BaseCallback):
    """Puts a scheduler on each AlphaGrad of an algorithm, while ``learn`` runs.

    An algorithm calls its callbacks once per step of the environment and takes many optimizer
    steps, or none, in between; the schedulers therefore follow the optimizers themselves: one in
    PPO, A2C and DQN, actor's and critic's in TD3 and SAC. Layers are called by the policy's names,
    such as ``actor.mu.0.weight``.

    ``model.save`` holds the schedulers' states, and ``learn`` of the loaded model goes on with
    them, given this callback again. α itself is in the optimizers' states, as ever.

    Args:
        scheduler: makes the scheduler of an optimizer (default: :class:`SaturationScheduler`).
        trace: what to write α and saturation of each layer to, see :class:`AlphaTraceWriter`
            (default: None).
        trace_every: optimizer steps between the trace's writes (default: 1).
        log_every: optimizer steps between the values whose means go to the algorithm's logger, as
            ``alpha/mean`` and ``saturation/mean`` and, except on the console, per layer; 0 for none
            (default: 100).
        verbose: as for any callback (default: 0).

    Raises:
        TypeError: when training starts, there is no AlphaGrad in the algorithm.
        ValueError: when training starts, the model was saved with another class of scheduler.
    """

    def __init__(
        self,
        scheduler: Factory = SaturationScheduler,
        *,
        trace: Trace | None = None,
        trace_every: int = 1,
        log_every: int = 100,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        self.factory = scheduler
        self.trace, self.trace_every, self.log_every = trace, trace_every, log_every
        self.schedulers: AttachedSchedulers | None = None
        self._attached: _Attached | None = None

    def _on_training_start(self) -> None:
        saved = vars(self.model).get(SAVED_AS)
        if isinstance(saved, _Attached):  # by an earlier learn, which may have been broken off
            saved.detach()
            states = saved.schedulers.state_dict()
        else:
            states = from_text(saved) if saved else {}
        optimizers = dict(find_optimizers(self.model))
        for optimizer in optimizers.values():
            name_layers(self.model, optimizer)
        self.schedulers = AttachedSchedulers(
            optimizers, self.factory, states=states, trace=self.trace, every=self.trace_every
        )
        self._attached = _Attached(self.schedulers, self.logger, self.log_every)
        vars(self.model)[SAVED_AS] = self._attached

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        if self._attached is not None:
            self._attached.detach()


def find_optimizers(model: BaseAlgorithm) -> Iterator[tuple[str, Optimizer]]:
    """Find an algorithm's optimizers among what it saves, such as ``policy.optimizer``.

    Args:
        model: the algorithm.

    Yields:
        The names of its optimizers, and the optimizers.
    """
    for name in model.get_parameters():
        found: Any = model
        for part in name.split("."):
            found = getattr(found, part)
        if isinstance(found, Optimizer):
            yield name, found


def name_layers(model: BaseAlgorithm, optimizer: Optimizer) -> None:
    """Call an AlphaGrad's layers by the policy's names, where they have none.

    Args:
        model: the algorithm, which passed the parameters on without their names.
        optimizer: one of its optimizers.
    """
    names = {p: name for name, p in model.policy.named_parameters()}
    groups = optimizer.param_groups
    if not isinstance(optimizer, AlphaGrad) or any("param_names" in group for group in groups):
        return
    if all(p in names for group in groups for p in group["params"]):
        for group in groups:
            group["param_names"] = [names[p] for p in group["params"]]


class _Attached:
    """What a model holds of a learn; when the model is saved it is the schedulers' states."""

    def __init__(self, schedulers: AttachedSchedulers, logger: Logger, log_every: int) -> None:
        self.schedulers = schedulers
        self._to_logger = [
            AlphaTraceWriter(optimizer, _LoggerSink(logger), every=log_every).attach()
            for optimizer in (schedulers.optimizers.values() if log_every else ())
        ]

    def detach(self) -> None:
        self.schedulers.detach()
        for writer in self._to_logger:
            writer.detach()

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (as_text(self.schedulers.state_dict()),)


class _LoggerSink:
    """Hands values to the algorithm's logger, which writes their means at its next dump."""

    def __init__(self, logger: Logger) -> None:
        self.logger = logger

    def write_step(
        self,
        step: int,
        layers: Sequence[str],
        alphas: Sequence[float],
        saturations: Sequence[float],
    ) -> None:
        for tag, values in {"alpha": alphas, "saturation": saturations}.items():
            for layer, value in zip(layers, values, strict=True):
                if not math.isnan(value):
                    # The console's table fails where names of layers are cut to the same one.
                    self.logger.record_mean(f"{tag}/{layer}", value, exclude=("stdout", "log"))
                    self.logger.record_mean(f"{tag}/mean", value)

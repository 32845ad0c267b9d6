"""α schedulers in Lightning (extra ``integrations``)."""

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from alphagrad.scheduler.attached import AttachedSchedulers
from alphagrad.scheduler.resume import Factory
from alphagrad.scheduler.saturation import SaturationScheduler
from alphagrad.scheduler.trace_writer import Trace

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise ImportError(
        "callbacks_lightning needs Lightning: pip install 'alphagrad[integrations]'"
    ) from error


class AlphaGradCallback(Callback):
    """Puts a scheduler on each AlphaGrad of a ``LightningModule``, while ``fit`` runs.

    The schedulers follow the optimizers' own steps, so that accumulated batches count once and
    manual optimization works. Their states are part of the trainer's checkpoints, beside the
    optimizers', which hold α.

    The trainer's loggers get ``alpha/<layer>`` and ``saturation/<layer>``; with several optimizers
    whose layers have the same names, an optimizer's number comes before the name.

    Args:
        scheduler: makes the scheduler of an optimizer (default: :class:`SaturationScheduler`).
        trace: what the main process writes α and saturation of each layer to, see
            :class:`AlphaTraceWriter` (default: None).
        trace_every: optimizer steps between the trace's writes (default: 1).
        log_every: batches with a step between the values that loggers get; 0 for none
            (default: 50).

    Raises:
        TypeError: when ``fit`` starts, the module has configured no AlphaGrad.
        ValueError: when ``fit`` starts from a checkpoint, that is of another class of scheduler.
    """

    def __init__(
        self,
        scheduler: Factory = SaturationScheduler,
        *,
        trace: Trace | None = None,
        trace_every: int = 1,
        log_every: int = 50,
    ) -> None:
        self.factory = scheduler
        self.trace, self.trace_every, self.log_every = trace, trace_every, log_every
        self.schedulers: AttachedSchedulers | None = None
        self._loaded: Mapping[str, Any] | None = None
        self._batches = 0
        self._step = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget states that another stage loaded: this one's checkpoint is loaded next."""
        self._loaded = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attach the schedulers: the optimizers are made, and have loaded their states."""
        self._let_go()
        self.schedulers = AttachedSchedulers(
            {str(number): optimizer for number, optimizer in enumerate(trainer.optimizers)},
            self.factory,
            states=self._loaded,
            trace=self.trace if trainer.is_global_zero else None,
            every=self.trace_every,
        )
        self._loaded = None
        self._batches, self._step = 0, trainer.global_step

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Start from the first gradients: Lightning computes them inside of the step."""
        if self.schedulers is not None:
            self.schedulers.start_once(optimizer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *args: object, **kwargs: object
    ) -> None:
        """Log α and saturation."""
        if self.schedulers is None or trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        self._batches += 1
        if trainer.loggers and self.log_every and self._batches % self.log_every == 0:
            metrics = self.schedulers.metrics()
            for logger in trainer.loggers:
                logger.log_metrics(metrics, step=self._step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let go of the optimizers."""
        self._let_go()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Let go of the optimizers."""
        self._let_go()

    def state_dict(self) -> dict[str, Any]:
        """Give the schedulers' states for a checkpoint."""
        return {} if self.schedulers is None else dict(self.schedulers.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states from a checkpoint until training starts.

        Args:
            state_dict: from :meth:`state_dict`.
        """
        self._loaded = state_dict

    def _let_go(self) -> None:
        if self.schedulers is not None:
            self.schedulers.detach()

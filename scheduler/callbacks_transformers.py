"""α schedulers in Hugging Face Transformers (extra ``integrations``)."""

from typing import Any

from torch.optim import Optimizer

from alphagrad.scheduler.attached import AttachedSchedulers, as_text, from_text, unwrap
from alphagrad.scheduler.resume import Factory
from alphagrad.scheduler.saturation import SaturationScheduler
from alphagrad.scheduler.trace_writer import Trace

try:
    from transformers.trainer_callback import (
        ExportableState,
        TrainerCallback,
        TrainerControl,
        TrainerState,
    )
    from transformers.training_args import TrainingArguments
except ImportError as error:
    raise ImportError(
        "callbacks_transformers needs Transformers and Accelerate: "
        "pip install 'alphagrad[integrations]'"
    ) from error


class AlphaGradCallback(TrainerCallback, ExportableState):
    """Puts a scheduler on the AlphaGrad of a ``Trainer``, while ``train`` runs.

    Give the trainer the optimizer with ``optimizers=(AlphaGrad(…), None)``. The scheduler follows
    the optimizer inside of Accelerate's wrapper, so that accumulated batches do not count, and
    steps that a gradient scaler skips move nothing. Its state is in ``trainer_state.json`` of each
    checkpoint, and ``train(resume_from_checkpoint=…)`` goes on with it; the optimizer's own state
    holds α.

    Training logs get mean, least and largest α and saturation: ``alpha_mean``, ``saturation_mean``
    and so on. Callbacks that the trainer adds by itself for ``report_to`` run before this one and
    do not see them; use ``trace`` for TensorBoard.

    Args:
        scheduler: makes the scheduler of the optimizer (default: :class:`SaturationScheduler`).
        trace: what the main process writes α and saturation of each layer to, see
            :class:`AlphaTraceWriter` (default: None).
        trace_every: optimizer steps between the trace's writes (default: 1).

    Raises:
        TypeError: when training starts, the trainer's optimizer is no AlphaGrad.
        ValueError: when training resumes, from a checkpoint of another class of scheduler, or with
            ``restore_callback_states_from_checkpoint``, which makes callbacks anew and would lose
            ``scheduler`` and ``trace``; without that option the state is loaded all the same.
    """

    def __init__(
        self,
        scheduler: Factory = SaturationScheduler,
        *,
        trace: Trace | None = None,
        trace_every: int = 1,
        _remade: bool = False,
    ) -> None:
        if _remade:
            raise ValueError(
                "AlphaGradCallback cannot be made anew from a checkpoint: leave "
                "restore_callback_states_from_checkpoint off, its state is loaded all the same"
            )
        self.factory = scheduler
        self.trace, self.trace_every = trace, trace_every
        self.schedulers: AttachedSchedulers | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Attach the scheduler: the optimizer is made, and has loaded its state."""
        self._let_go()
        # What an earlier train of this process left, or what the checkpoint brought.
        name = type(self).__name__
        known: Any = state.stateful_callbacks  # a dict, once the state is made
        saved = known.get(name) or self.state()
        states = from_text(saved["attributes"]["states"])
        if not state.global_step and not self._follows(kwargs["optimizer"]):
            states = {}  # a new optimizer that resumes nothing: of `model_init`, say
        self.schedulers = AttachedSchedulers(
            {"optimizer": kwargs["optimizer"]},
            self.factory,
            states=states,
            trace=self.trace if state.is_world_process_zero else None,
            every=self.trace_every,
        )
        # A checkpoint from before this callback has no place for its state.
        known[name] = self.state()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add α and saturation to what is logged during training."""
        if self.schedulers is not None and logs is not None and "loss" in logs:
            summary = self.schedulers.summary()
            logs.update(summary)
            state.log_history[-1].update(summary)

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Let go of the optimizer."""
        self._let_go()

    def state(self) -> dict[str, Any]:
        """Give the scheduler's state as JSON for a checkpoint."""
        states = {} if self.schedulers is None else self.schedulers.state_dict()
        return {"args": {"_remade": True}, "attributes": {"states": as_text(states)}}

    def _follows(self, optimizer: Optimizer) -> bool:
        """Whether the schedulers are those of an optimizer, wrapped or not."""
        known = [] if self.schedulers is None else self.schedulers.optimizers.values()
        return any(one is unwrap(optimizer) for one in known)

    def _let_go(self) -> None:
        if self.schedulers is not None:
            self.schedulers.detach()

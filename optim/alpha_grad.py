"""The AlphaGrad optimizer."""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any, ClassVar, Literal, overload

import torch
from torch import Tensor
from torch.compiler import disable, is_compiling
from torch.optim.optimizer import Optimizer, ParamsT

from alphagrad.optim.functional import alphagrad
from alphagrad.optim.knob import Knob
from alphagrad.optim.layers import find_layers
from alphagrad.optim.options import KNOBS, check_options, check_params
from alphagrad.optim.packed import as_knob, is_packed, knob_vector, pack_group
from alphagrad.optim.rehearsal import is_rehearsal
from alphagrad.optim.sharded import refuse_flat_shards


class AlphaGrad(Optimizer, Knob):
    r"""Normalise each gradient, then shape it with tanh (S. Sane, AlphaGrad, 2025, section 2).

    With g the gradient of a layer θ, one step is

    .. math::
        \tilde g &= g / (\lVert g\rVert_2 + \epsilon) \\
        g' &= \lambda\,\beta\tanh(\alpha\tilde g) + (1-\lambda)\,\tilde g \\
        \theta &\leftarrow \theta - \eta w\,\theta - \eta g'
        && \text{without momentum} \\
        v &\leftarrow \gamma v + (1-\delta)\,\eta g', \quad
        \theta \leftarrow \theta - \eta w\,\theta - v && \text{with momentum } \gamma

    where v starts at 0. A layer is one tensor, or one group when ``norm="group"``. A layer whose
    gradient is zero, non-finite or missing is left untouched, with its momentum, and counted once.
    With ``norm="group"`` one non-finite gradient skips the whole group, and only a group without
    any gradient is missing.

    ``group["alpha"]`` is the only place α lives, a float or a float32 vector with one entry per
    tensor, read at each step; ``beta`` and ``mix`` are its like. The group also holds
    ``saturation``, ``pinned`` and ``skipped``, packed the same way, on the device of its tensors.
    The methods of :class:`Knob` read and write them by layer name. docs/optimizer.md has more.

    Args:
        params: tensors, named tensors or groups, as for any torch optimizer; each of these options
            may be set per group. The tensors of one group lie on one device.
        lr: η, the length of a step per entry, a number or a tensor of one element (default: 1e-3).
        alpha: α, a number, one number per tensor of a group, or None for k·√d per layer
            (default: None).
        k: k of that rule (default: 1.5).
        momentum: γ in [0, 1); 0 keeps no state per parameter (default: 0.0). The steady step
            is 1/(1−γ) times η.
        dampening: δ in [0, 1]; γ makes v an average, with the steady step η (default: 0.0).
        nesterov: step by η·g' + γ·v instead of v (default: False).
        weight_decay: w, decoupled as in AdamW (default: 0.0).
        eps: ε, added to the norm (default: 1e-8).
        tau: τ: an entry is saturated when |α·g̃| > τ (default: 2.5).
        norm: ``"tensor"``, ``"group"``, or ``"none"`` for g̃ = g, an ablation
            (default: ``"tensor"``).
        transform: ``"tanh"``, or ``"sin"`` for sin(β·tanh(α·g̃)) (section 7.1), where β is the
            paper's k (default: ``"tanh"``).
        beta: β, given like α (default: 1.0).
        mix: λ in [0, 1] of the hybrid (section 7.5), given like α (default: 1.0).
        unit_rms: divide g' by its RMS over the non-zero entries of the layer, so that α changes the
            shape of a step and the learning rate alone its size (default: False).
        stochastic_rounding: round bfloat16 and float16 parameters up or down at random, so that
            steps too small for them count in the mean (default: False).
        maximize: ascend (default: False).
        foreach: use ``torch._foreach_*``; None means on CUDA only, where ``fused`` cannot run
            (default: None).
        fused: use the native CPU kernel, or Triton's on CUDA; None means where they take the
            tensors, and ``foreach`` is None (default: None).
        capturable: keep α, β and λ in vectors always, so that a recorded CUDA graph or a graph of
            torch.compile sees each change (default: False).
        differentiable: let autograd see the step, with ``foreach`` and ``fused`` off
            (default: False).

    Raises:
        TypeError: a tensor is not of a floating point or complex type, or ``lr`` has many elements.
        ValueError: an option is out of its range, the tensors of a group lie on several devices,
            two layers have one name, or a tensor is a flat shard of FSDP1.

    Example:
        >>> model = torch.nn.Linear(3, 2)
        >>> optimizer = AlphaGrad(model.named_parameters(), lr=1e-2, alpha=50.0)
        >>> model(torch.ones(1, 3)).sum().backward()
        >>> optimizer.step()
        >>> optimizer.set_alpha(20, "w*")
        ['weight']
        >>> optimizer.alphas()
        {'weight': 20.0, 'bias': 50.0}
        >>> optimizer.saturation()
        {'weight': 1.0, 'bias': 1.0}
    """

    # Whether this object has taken a step, which schedulers wait for; a capturable one is believed.
    stepped: bool = False
    rehearsed: bool = False  # whether the last step was torch's own, for a checkpoint: see step
    # torch's GradScaler then hands grad_scale and found_inf over instead of reading them itself.
    _step_supports_amp_scaling: ClassVar[bool] = True

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        *,
        alpha: float | Sequence[float] | Tensor | None = None,
        k: float = 1.5,
        momentum: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        eps: float = 1e-8,
        tau: float = 2.5,
        norm: Literal["tensor", "group", "none"] = "tensor",
        transform: Literal["tanh", "sin"] = "tanh",
        beta: float | Sequence[float] | Tensor = 1.0,
        mix: float | Sequence[float] | Tensor = 1.0,
        unit_rms: bool = False,
        stochastic_rounding: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {
            "lr": lr,
            "alpha": alpha,
            "k": k,
            "momentum": momentum,
            "dampening": dampening,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
            "eps": eps,
            "tau": tau,
            "norm": norm,
            "transform": transform,
            "beta": beta,
            "mix": mix,
            "unit_rms": unit_rms,
            "stochastic_rounding": stochastic_rounding,
            "maximize": maximize,
            "foreach": foreach,
            "fused": fused,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        check_options(defaults)
        self.stepped = capturable
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, with the options it does not set taken from the constructor.

        Args:
            param_group: ``{"params": …}`` and any option; changed in place.

        Raises:
            TypeError: as for the constructor.
            ValueError: as for the constructor; the optimizer is then as it was.
        """
        super().add_param_group(param_group)
        try:
            check_options(param_group)
            check_params(param_group["params"])
            refuse_flat_shards(param_group["params"])
            find_layers(self.param_groups)
            # The vectors are this optimizer's own, even when the dict comes from another one.
            for key in ("saturation", "pinned", "skipped"):
                param_group.pop(key, None)
            for knob in KNOBS:
                param_group[knob] = as_knob(knob, param_group[knob], param_group)
            pack_group(param_group)
        except BaseException:
            self.param_groups.pop()
            raise

    def __setstate__(self, state: dict[str, Any]) -> None:
        names = [group.get("param_names") for group in self.__dict__.get("param_groups", ())]
        super().__setstate__(state)
        # Torch takes the saved names; but globs, pins and traces go by those of this optimizer.
        for group, own in zip(self.param_groups, names, strict=False):
            if own is not None:
                group["param_names"] = own
        # A state from an older version lacks the options that came later.
        for name, parameter in signature(AlphaGrad.__init__).parameters.items():
            if parameter.default is not parameter.empty:
                self.defaults.setdefault(name, parameter.default)
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)
            pack_group(group)
        self.stepped = self.stepped or self.defaults["capturable"]  # torch copies no such thing

    def state_dict(self) -> dict[str, Any]:
        """Give the state per tensor and the groups, which share their vectors with the optimizer.

        Where torch.distributed.checkpoint asks before the first step, α, β and λ are vectors: it is
        about to load into what it gets, and loads a vector only where there is one.
        """
        state = super().state_dict()
        if self.rehearsed and not self.stepped:
            for group, saved in zip(self.param_groups, state["param_groups"], strict=True):
                saved |= {knob: knob_vector(dict(group), knob) for knob in KNOBS}
        self.rehearsed = False  # in a compiled step, what it writes here is lost
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` gave; α, β, λ, pins and counts come back as they were.

        Layers keep the names they have here: those of a compiled or a distributed module, which
        have a prefix, may be loaded into a plain one.

        Args:
            state_dict: of an optimizer with as many groups and tensors.

        Raises:
            ValueError: the groups or the numbers of their tensors differ.
        """
        # Where it is empty, torch.distributed.checkpoint leaves the state per parameter out.
        super().load_state_dict({"state": {}} | state_dict)
        self.rehearsed = False

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step on every group.

        To create an optimizer's state, torch.distributed.checkpoint takes a step at learning rate 0
        with gradients of zeros. Such a step makes the momentum buffers and does nothing else.

        Args:
            closure: computes the loss anew, with gradients, before the step (default: None).

        Returns:
            What the closure returned, else None.

        Raises:
            RuntimeError: a gradient is sparse; ``fused`` is True and cannot run; or the tensors of
                a group were replaced by fewer or more.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if is_compiling() and not self.defaults["capturable"]:
            self._pack_outside_the_graph()
        rehearsed = not is_compiling() and not self.state and is_rehearsal(self.param_groups)
        for group in self.param_groups:
            if group["params"]:
                self._step_group(group, rehearsed)
        if not is_compiling():  # a compiled step does not keep what it writes here
            self.rehearsed = rehearsed
            self.stepped = self.stepped or not rehearsed
        return loss

    def _step_group(self, group: dict[str, Any], rehearsed: bool) -> None:
        params: list[Tensor] = group["params"]
        if not is_packed(group, params[0].device):
            pack_group(group)
        grads = [p.grad for p in params]
        momentum, differentiable = group["momentum"], group["differentiable"]
        buffers = self._momentum_buffers(params, grads) if momentum else ()
        if rehearsed:
            return
        alphagrad(
            params,
            grads,
            buffers,
            alpha=group["alpha"],
            saturation=group["saturation"],
            skipped=group["skipped"],
            lr=group["lr"],
            momentum=momentum,
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            tau=group["tau"],
            norm=group["norm"],
            transform=group["transform"],
            beta=group["beta"],
            mix=group["mix"],
            unit_rms=group["unit_rms"],
            stochastic_rounding=group["stochastic_rounding"],
            maximize=group["maximize"],
            foreach=False if differentiable else group["foreach"],
            fused=False if differentiable else group["fused"],
            differentiable=differentiable,
            grad_scale=getattr(self, "grad_scale", None),
            found_inf=getattr(self, "found_inf", None),
        )

    @disable  # type: ignore[untyped-decorator]
    def _pack_outside_the_graph(self) -> None:
        """Turn numbers into vectors, so that a change of α compiles nothing anew."""
        self.stepped = True  # a compiled step does not keep what it writes here
        for group in self.param_groups:
            for knob in KNOBS:
                knob_vector(group, knob)

    def _momentum_buffers(
        self, params: list[Tensor], grads: list[Tensor | None]
    ) -> list[Tensor | None]:
        buffers: list[Tensor | None] = []
        for p, g in zip(params, grads, strict=True):
            if g is None:
                buffers.append(None)
                continue
            state = self.state[p]
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = torch.zeros_like(p.detach())
            buffers.append(buffer)
        return buffers

"""From parameters to an optimizer, with its α scheduler where the α rule has one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

# The first optimizer of a process imports this, for a second. Done here, where the module is
# imported, it is done once for all the trials that are forked from a process that has it.
import torch._dynamo
from torch import Tensor, nn

from alphagrad.optim import AlphaGrad, matching_layers
from alphagrad.optim.options import KNOBS
from alphagrad.scheduler import AlphaScheduler, ChainedAlpha
from alphagrad.studies.params import OptimizerParams
from alphagrad.studies.schedulers import build_schedulers

Named = list[tuple[str, nn.Parameter]]
Knob = float | Tensor

# Of a parameter group: what it trains, and what it counts.
NO_SETTING = {"params", "param_names", "saturation", "pinned", "skipped"}


def build_optimizer(
    params: OptimizerParams,
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    other_layers: Iterable[str] = (),
    name: str | None = None,
) -> tuple[torch.optim.Optimizer, AlphaScheduler | None]:
    """Builds the optimizer that a task's parameters ask for.

    A task with several optimizers calls this for each; what names layers of another one alone is
    left to that one. The tensors and their gradients stay where they are in memory.

    Args:
        params: the optimizer's name, α rule and settings.
        named_parameters: what to train, as `Module.named_parameters` gives it; the names are
            those of the layers in α traces and knob commands.
        other_layers: the layers of the task's other optimizers (default: there are none).
        name: of the layer that all tensors are together with `norm="group"`; a task with several
            optimizers needs it (default: group0).

    Returns:
        The optimizer, and the scheduler that moves its α, attached to the optimizer's step unless
        it moves by a metric alone, which `Trial.watch` sees to; None where α is left as it starts.

    Raises:
        ValueError: a glob matches no layer, or two for α match the same.
    """
    named, elsewhere = list(named_parameters), list(other_layers)
    if params.optimizer != "alphagrad":
        return OTHERS[params.optimizer](params, named), None
    optimizer = _alphagrad(params, named)
    if name is not None and params.norm == "group":
        optimizer.param_groups[0]["name"] = name
    if params.alpha_by_layer:
        alphas = alpha_of_layers(
            params.alpha_by_layer, optimizer.layer_names(), elsewhere=elsewhere
        )
        if alphas:
            optimizer.set_alpha(alphas)
    schedulers = build_schedulers(params, optimizer, elsewhere=elsewhere)
    if not schedulers:
        return optimizer, None
    scheduler = schedulers[0] if len(schedulers) == 1 else ChainedAlpha(schedulers)
    return optimizer, scheduler if scheduler.by_metric else scheduler.attach()


def alpha_of_layers(
    by_glob: Mapping[str, float], layers: Iterable[str], *, elsewhere: Iterable[str] = ()
) -> dict[str, float]:
    """Finds the α of each layer that a glob matches.

    Args:
        by_glob: α by glob, as `alphagrad.optim.matching_layers` reads it.
        layers: the names of an optimizer's layers.
        elsewhere: those of the task's other optimizers: a glob may be for one of them.

    Returns:
        α by the layer's name; the others are left as they are.

    Raises:
        ValueError: a glob matches no layer, or a layer is matched by two.

    Example:
        >>> alpha_of_layers({"actor.*": 50.0}, ["actor.w", "critic.w"])
        {'actor.w': 50.0}
    """
    names, others = list(layers), list(elsewhere)
    chosen: dict[str, str] = {}
    for glob in by_glob:
        if not matching_layers(names + others, glob):
            known = ", ".join(names + others)
            raise ValueError(f"alpha[{glob}] matches no layer, the layers are: {known}")
        for name in matching_layers(names, glob):
            if name in chosen:
                raise ValueError(
                    f"alpha[{chosen[name]}] and alpha[{glob}] both match the layer {name!r}"
                )
            chosen[name] = glob
    return {name: by_glob[glob] for name, glob in chosen.items()}


def follow_params(
    optimizers: Sequence[torch.optim.Optimizer],
    *,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
) -> None:
    """Brings the settings of a task's optimizers from one set of parameters to another.

    A setting that the parameters give is set; α, which a scheduler or the knob may have moved,
    is multiplied by the change of the α that it started from, and so is β. What an optimizer has
    gathered, such as momentum, stays.

    Args:
        optimizers: made by `build_optimizer`, their tensors with their names.
        before: the task's parameters that their state comes from.
        now: the parameters that they are to have, which name the same optimizer and α rule.
    """
    named = [
        [
            pair
            for group in optimizer.param_groups
            for pair in zip(group["param_names"], group["params"], strict=True)
        ]
        for optimizer in optimizers
    ]
    layers = [one.layer_names() if isinstance(one, AlphaGrad) else [] for one in optimizers]
    for place, (optimizer, pairs) in enumerate(zip(optimizers, named, strict=True)):
        others = [layer for names in layers[:place] + layers[place + 1 :] for layer in names]
        name = optimizer.param_groups[0].get("name")
        old, new = (
            build_optimizer(_of_optimizer(params), pairs, other_layers=others, name=name)[0]
            for params in (before, now)
        )
        groups = zip(optimizer.param_groups, old.param_groups, new.param_groups, strict=True)
        for group, was, wanted in groups:
            for key in wanted.keys() - NO_SETTING:
                if key in KNOBS:
                    group[key] = _moved(group[key], was[key], wanted[key])
                elif was[key] != wanted[key]:
                    group[key] = wanted[key]


def _moved(value: Knob, was: Knob, wanted: Knob) -> Knob:
    if not any(isinstance(one, Tensor) for one in (value, was, wanted)):
        return wanted if value == was else value * (wanted / was)
    value, was, wanted = (torch.as_tensor(one, dtype=torch.float32) for one in (value, was, wanted))
    moved = torch.where(was == wanted, value, value * wanted / was)
    return torch.where(value == was, wanted, moved)  # exactly as wanted where nothing moved it


def _of_optimizer(params: Mapping[str, Any]) -> OptimizerParams:
    """Takes the optimizer's parameters out of a task's."""
    fields = OptimizerParams.model_fields
    return OptimizerParams(**{name: params[name] for name in fields if name in params})


def _alphagrad(params: OptimizerParams, named: Named) -> AlphaGrad:
    one_value = params.alpha_rule == "constant" and params.alpha_layers is not None
    return AlphaGrad(
        named,
        lr=params.learning_rate,
        alpha=None if one_value else params.alpha,
        k=params.k,
        momentum=params.momentum,
        dampening=params.dampening,
        nesterov=params.nesterov,
        weight_decay=params.weight_decay,
        eps=params.eps,
        norm=params.norm,
        transform=params.transform,
        beta=params.beta,
        mix=params.mix,
        unit_rms=params.unit_rms,
    )


def _adam(params: OptimizerParams, named: Named) -> torch.optim.Optimizer:
    return torch.optim.Adam(named, lr=params.learning_rate, eps=params.eps, fused=True)


def _sgd(params: OptimizerParams, named: Named) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        named,
        lr=params.learning_rate,
        momentum=params.momentum,
        dampening=params.dampening,
        nesterov=params.nesterov,
        fused=True,
    )


def _lion(params: OptimizerParams, named: Named) -> torch.optim.Optimizer:
    # Brings in transformers where that is installed, for a second.
    from pytorch_optimizer import Lion

    return Lion(named, lr=params.learning_rate, foreach=True)


OTHERS: dict[str, Callable[[OptimizerParams, Named], torch.optim.Optimizer]] = {
    "adam": _adam,
    "sgd": _sgd,
    "lion": _lion,
}

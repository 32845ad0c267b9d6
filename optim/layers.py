"""Layers: what α belongs to, their names, and choosing them with a glob pattern."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, slots=True)
class Layer:
    """One named layer: a parameter tensor, or a whole group when the norm is per group.

    Attributes:
        name: unique over the optimizer.
        group: index of the parameter group.
        index: the layer's entries in the group's packed vectors.
    """

    name: str
    group: int
    index: slice


def find_layers(param_groups: Sequence[dict[str, Any]]) -> list[Layer]:
    """List the layers of an optimizer, in the order of its groups and tensors.

    A tensor is called by its name in ``group["param_names"]`` (given by
    ``model.named_parameters()``), else ``"{group}.{index}"``. A group with ``norm="group"`` is
    called ``group["name"]``, else ``"group{index}"``. A group without tensors has no layers.

    Args:
        param_groups: the optimizer's groups.

    Returns:
        The layers.

    Raises:
        ValueError: two layers have the same name.

    Example:
        >>> import torch
        >>> [layer.name for layer in find_layers([{"params": [torch.zeros(2)], "norm": "tensor"}])]
        ['0.0']
    """
    layers: list[Layer] = []
    for g, group in enumerate(param_groups):
        size = len(group["params"])
        if group["norm"] == "group":
            if size:
                layers.append(Layer(str(group.get("name", f"group{g}")), g, slice(0, size)))
            continue
        names = group.get("param_names") or [f"{g}.{i}" for i in range(size)]
        layers.extend(Layer(name, g, slice(i, i + 1)) for i, name in enumerate(names))
    seen: set[str] = set()
    for layer in layers:
        if layer.name in seen:
            raise ValueError(f"Duplicate layer name: {layer.name!r}, names must be unique")
        seen.add(layer.name)
    return layers


def matching_layers(names: Iterable[str], pattern: str) -> list[str]:
    """Choose names by a glob pattern; upper and lower case differ.

    Args:
        names: the names to choose from.
        pattern: a pattern of :func:`fnmatch.fnmatchcase`, such as ``"actor.*"``. A name that is the
            pattern itself matches too, so names with brackets need no escape.

    Returns:
        The names that match, in their order; none is not an error here.

    Example:
        >>> matching_layers(["actor.0", "critic.0"], "actor.*")
        ['actor.0']
    """
    return [name for name in names if name == pattern or fnmatchcase(name, pattern)]


def match_layers(layers: Iterable[Layer], pattern: str) -> list[Layer]:
    """Choose layers whose names match a glob pattern, at least one.

    Args:
        layers: the layers to choose from.
        pattern: as for :func:`matching_layers`.

    Returns:
        The layers that match, in their order.

    Raises:
        ValueError: no layer matches; the message lists the known layers.

    Example:
        >>> layers = [Layer("actor.0", 0, slice(0, 1)), Layer("critic.0", 0, slice(1, 2))]
        >>> match_layers(layers, "critic.*")
        [Layer(name='critic.0', group=0, index=slice(1, 2, None))]
    """
    known = {layer.name: layer for layer in layers}
    chosen = matching_layers(known, pattern)
    if not chosen:
        raise ValueError(f"No layer matches {pattern!r}, known layers: {', '.join(known)}")
    return [known[name] for name in chosen]

"""Conditions that never hold: what stands in a `when`, held against the parameter it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alphagrad.tuner.errors import FieldError
from alphagrad.tuner.space import (
    CategoricalDimension,
    FloatDimension,
    IntDimension,
    Parameter,
    dimensions,
)

_Numbers = FloatDimension | IntDimension


def idle_conditions(params: Mapping[str, Parameter]) -> list[FieldError]:
    """Values in conditions that the parameters never have.

    Of a dimension every one counts, as it may be mistyped. A constant was perhaps a dimension of
    which one choice is left: there it is enough if one of several is the constant.

    Example:
        >>> params = {
        ...     "optimizer": CategoricalDimension(type="categorical", choices=["sgd", "adam"]),
        ...     "alpha": FloatDimension(type="float", low=1, high=9, when={"optimizer": "sdg"}),
        ... }
        >>> idle_conditions(params)[0].message
        "'sdg' is never the value of optimizer; allowed: ['sgd', 'adam']"
    """
    return [
        FieldError(f"params.{name}.when", {needed: wanted}, message)
        for name, dimension in dimensions(params).items()
        for needed, wanted in (dimension.when or {}).items()
        if (message := _idle(needed, params[needed], wanted))
    ]


def _idle(name: str, parent: Parameter, wanted: Any) -> str | None:
    values = wanted if isinstance(wanted, list) else [wanted]
    allowed = _allowed(parent)
    if not values:
        return f"names no value of {name}; allowed: {allowed}"
    never = [value for value in values if not _may_be(parent, value)]
    is_constant = not isinstance(parent, CategoricalDimension | _Numbers)
    if not never or (is_constant and len(never) < len(values)):
        return None
    return f"{', '.join(map(repr, never))} is never the value of {name}; allowed: {allowed}"


def _may_be(parent: Parameter, value: Any) -> bool:
    """Whether the parameter can equal a value, as Python compares when a trial is drawn."""
    if isinstance(parent, CategoricalDimension):
        return value in parent.choices
    if not isinstance(parent, _Numbers):
        return bool(parent == value)
    if not isinstance(value, str) and value == int(value):
        value = int(value)  # 2.0 and 2 are equal
    return parent.allows(value)


def _allowed(parent: Parameter) -> Any:
    if isinstance(parent, CategoricalDimension):
        return parent.choices
    if isinstance(parent, _Numbers):
        return parent.model_dump(exclude={"when"}, exclude_none=True)
    return repr(parent)

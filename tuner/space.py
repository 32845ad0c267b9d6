"""Search spaces: what a study may vary, and how one trial's values are drawn from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from optuna.trial import BaseTrial
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from alphagrad.tuner.ranges import check_range, top_of
from alphagrad.tuner.text import Text

Scalar = bool | int | Annotated[float, Field(allow_inf_nan=False)] | Text
"""JSON has no NaN and no infinities, and PostgreSQL refuses them in it."""


_Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class _Dimension(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    when: dict[str, Scalar | list[Scalar]] | None = Field(
        default=None,
        description="draw this only in trials where each named parameter has this value, or one "
        "of these values",
    )


class FloatDimension(_Dimension):
    """A real number in [low, high]."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = False
    step: float | None = None

    @field_validator("low", "high", "step")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        if value is not None and not math.isfinite(value):
            raise ValueError(f"must be a finite number, got {value}")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range(self.low, self.high, log=self.log, step=self.step)
        return self

    @property
    def top(self) -> float:
        """The largest value that could be drawn: ``high``, or where the steps below it end."""
        return self.high if self.step is None else top_of(self.low, self.high, self.step)

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Draw a value."""
        return trial.suggest_float(name, self.low, self.top, log=self.log, step=self.step)

    def probes(self) -> list[Scalar]:
        """Values that a task must allow if it is to allow all."""
        # Between two whole ends is what an integer of the task would refuse.
        within = [] if self.step is not None else [self.low + 0.618 * (self.high - self.low)]
        return [self.low, self.high, *within]

    def allows(self, value: Any) -> bool:
        """Whether a value is one that could be drawn."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return math.isfinite(steps) and math.isclose(steps, round(steps), rel_tol=0, abs_tol=1e-8)


class IntDimension(_Dimension):
    """An integer in [low, high]."""

    type: Literal["int"]
    low: _Int64
    high: _Int64
    log: bool = False
    step: Annotated[_Int64, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_range(self.low, self.high, log=self.log, step=None if self.step == 1 else self.step)
        return self

    @property
    def top(self) -> int:
        """The largest value that could be drawn: ``high``, or where the steps below it end."""
        return self.high - (self.high - self.low) % self.step

    def suggest(self, trial: BaseTrial, name: str) -> int:
        """Draw a value."""
        return trial.suggest_int(name, self.low, self.top, log=self.log, step=self.step)

    def probes(self) -> list[Scalar]:
        """Values that a task must allow if it is to allow all."""
        return [self.low, self.high]

    def allows(self, value: Any) -> bool:
        """Whether a value is one that could be drawn."""
        number = isinstance(value, int) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and (value - self.low) % self.step == 0


class CategoricalDimension(_Dimension):
    """One of a list of values."""

    type: Literal["categorical"]
    choices: Annotated[list[Scalar], Field(min_length=1)]

    @field_validator("choices")
    @classmethod
    def _distinct(cls, choices: list[Scalar]) -> list[Scalar]:
        if len({(type(choice), choice) for choice in choices}) < len(choices):
            raise ValueError(f"the choices must differ, got {choices}")
        return choices

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Draw a value."""
        return trial.suggest_categorical(name, self.choices)

    def probes(self) -> list[Scalar]:
        """Values that a task must allow if it is to allow all."""
        return list(self.choices)

    def allows(self, value: Any) -> bool:
        """Whether a value is one that could be drawn."""
        return any(type(value) is type(choice) and value == choice for choice in self.choices)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("type", "a missing type"))
    if isinstance(value, _Dimension):
        return str(value.type)  # type: ignore[attr-defined]
    return "constant"


Value = Scalar | list[Scalar] | list[list[Scalar]]
Constant = Value | list[dict[Text, Value]] | None
"""A table in a list is flat: it holds no other table."""

Parameter = Annotated[
    Annotated[FloatDimension, Tag("float")]
    | Annotated[IntDimension, Tag("int")]
    | Annotated[CategoricalDimension, Tag("categorical")]
    | Annotated[Constant, Tag("constant")],
    Discriminator(
        _kind,
        custom_error_type="unknown_dimension",
        custom_error_message="a dimension's type must be 'float', 'int' or 'categorical'; "
        "a constant is a plain value or a list, not an object",
    ),
]
"""A plain value or a list is a constant; an object with a ``type`` is a dimension to search."""

Dimension = FloatDimension | IntDimension | CategoricalDimension


def dimensions(params: Mapping[str, Parameter]) -> dict[str, Dimension]:
    """The parameters to search, each after those that its ``when`` names.

    Raises:
        ValueError: a ``when`` names no parameter, or the conditions go round in a circle.
    """
    found = {name: value for name, value in params.items() if isinstance(value, _Dimension)}
    ordered: dict[str, Dimension] = {}
    waiting = dict(found)
    while waiting:
        ready = [n for n, d in waiting.items() if not (set(d.when or {}) & set(waiting))]
        if not ready:
            raise ValueError(
                f"the conditions of {sorted(waiting)} depend on each other in a circle"
            )
        for name in ready:
            ordered[name] = waiting.pop(name)
            for needed in ordered[name].when or {}:
                if needed not in params:
                    raise ValueError(f"{name}.when names {needed!r}, which is not a parameter")
    return ordered


def nth(dimension: FloatDimension | IntDimension, place: int) -> float:
    """The value so many steps above the lowest; beyond the last one it is the last one."""
    assert dimension.step is not None
    return min(dimension.low + place * dimension.step, dimension.top)


def suggest(trial: BaseTrial, params: Mapping[str, Parameter]) -> dict[str, Any]:
    """Draw one trial's parameters; a dimension whose condition does not hold is left out.

    Example:
        >>> from optuna.trial import FixedTrial
        >>> params = {
        ...     "optimizer": CategoricalDimension(type="categorical", choices=["sgd", "adam"]),
        ...     "alpha": FloatDimension(
        ...         type="float", low=1, high=300, log=True, when={"optimizer": "sgd"}
        ...     ),
        ...     "epochs": 3,
        ... }
        >>> suggest(FixedTrial({"optimizer": "adam"}), params)
        {'epochs': 3, 'optimizer': 'adam'}
    """
    values = {name: value for name, value in params.items() if not isinstance(value, _Dimension)}
    for name, dimension in dimensions(params).items():
        if holds(dimension.when, values):
            values[name] = dimension.suggest(trial, name)
    return values


def check_point(
    params: Mapping[str, Parameter], point: Mapping[str, Any], *, name: str = "params"
) -> None:
    """Check parameters that a trial is to try.

    Args:
        params: the study's.
        point: values of some of those that are searched.
        name: what errors call the point.

    Raises:
        ValueError: a name is not searched, a value could not be drawn, or one would not be used.
    """
    space = dimensions(params)
    known = {name: v for name, v in params.items() if name not in space} | dict(point)
    for key, value in point.items():
        if key not in space:
            raise ValueError(f"{name}: {key!r} is not searched; searched are {sorted(space)}")
        if not space[key].allows(value):
            allowed = space[key].model_dump(exclude={"when"}, exclude_none=True)
            raise ValueError(f"{name}: {key} = {value!r} is not within {allowed}")
        for needed, wanted in (space[key].when or {}).items():
            if needed in known and not holds({needed: wanted}, known):
                raise ValueError(
                    f"{name}: {key} = {value!r} would not be used: it is searched where {needed} "
                    f"is {wanted!r}, and {needed} is {known[needed]!r}"
                )


def probe_points(params: Mapping[str, Parameter]) -> Iterable[tuple[str | None, dict[str, Any]]]:
    """Points of the space that a task must accept: each edge of each dimension once.

    Yields:
        The name of the dimension at its edge (``None`` for the first point), and the values.
    """
    space = dimensions(params)
    constants = {name: v for name, v in params.items() if not isinstance(v, _Dimension)}

    def point(forced: Mapping[str, Any]) -> dict[str, Any]:
        values = dict(constants)
        for name, dimension in space.items():
            if holds(dimension.when, values):
                values[name] = forced.get(name, dimension.probes()[0])
        return values

    yield None, point({})
    for name, dimension in space.items():
        needed, *others = _needed(space, name)
        for probe in dimension.probes():
            yield name, point({**needed, name: probe})
        for also in others:
            yield name, point({**also, name: dimension.probes()[0]})


def _needed(space: Mapping[str, Dimension], name: str) -> list[dict[str, Any]]:
    """Values of other dimensions under which ``name`` is drawn at all: for each wanted one."""
    needed: dict[str, Any] = {}
    others: list[tuple[str, Any]] = []
    for parent, wanted in (space[name].when or {}).items():
        if parent in space:
            first, *rest = wanted if isinstance(wanted, list) else [wanted]
            needed |= _needed(space, parent)[0] | {parent: first}
            others += [(parent, other) for other in rest]
    return [needed, *({**needed, parent: other} for parent, other in others)]


def holds(when: Mapping[str, Any] | None, values: Mapping[str, Any]) -> bool:
    """Whether a dimension's condition holds for the values drawn before it."""
    return all(
        name in values and values[name] in (wanted if isinstance(wanted, list) else [wanted])
        for name, wanted in (when or {}).items()
    )

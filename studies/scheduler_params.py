"""The parameters that choose an α scheduler by name and give it arguments, searchable one by one.

Only pydantic is imported here, so a server can list and validate parameters without torch.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_serializer, model_validator

from alphagrad.studies.alpha_params import AlphaParams, Count, Positive
from alphagrad.studies.alpha_rules import PART_ARGUMENTS, PART_NEEDED, Arguments

PartRule = Literal[
    "constant",
    "sqrt_d",
    "saturation",
    "linear",
    "cosine",
    "exponential",
    "lambda",
    "plateau",
    "dynag",
]


def _name_in_part(parameter: str) -> str:
    return parameter.removeprefix("alpha_")


class AlphaPart(AlphaParams):
    """One rule of several: a table of a rule and its arguments, without "alpha_" in their names."""

    model_config = ConfigDict(alias_generator=_name_in_part)

    takes: ClassVar[Arguments] = PART_ARGUMENTS
    needs: ClassVar[Arguments] = PART_NEEDED

    alpha_rule: PartRule = Field(description="the rule")
    alpha: Positive | None = Field(default=None, description="the value of a constant")
    k: Positive | None = Field(default=None, description="k of k·√d; none means 1.5")

    @field_validator("alpha_rule", mode="before")
    @classmethod
    def _is_no_group(cls, rule: object) -> object:
        if rule in ("sequential", "chained"):
            raise ValueError(f"a part cannot be {rule!r} itself: parts do not nest")
        return rule

    @model_validator(mode="after")
    def _one_k(self) -> Self:
        if self.k is not None and self.alpha_saturation is not None:
            raise ValueError(
                f"k={self.k} has no effect with saturation={self.alpha_saturation}, which gives k"
            )
        return self

    @model_serializer
    def _as_given(self) -> dict[str, Any]:
        fields = [name for name in type(self).model_fields if name in self.model_fields_set]
        return {_name_in_part(name): getattr(self, name) for name in fields}

    def __repr_args__(self) -> Iterable[tuple[str, Any]]:
        return self._as_given().items()


class SchedulerParams(AlphaParams):
    """Which scheduler moves α, and λ, with what arguments. Raises as `AlphaParams` does."""

    alpha_rule: Literal[PartRule, "sequential", "chained"] = Field(
        default="constant",
        description="constant: alpha as given; sqrt_d: k·√d for each tensor of d elements; "
        "saturation: holds each layer's saturation in a band; linear, cosine, exponential, "
        "lambda: alpha, or k·√d, times a curve; plateau: times a factor when the reported values "
        "stop improving; dynag: DynAG's rule; sequential, chained: alpha_parts, one after the "
        "other or all at once",
    )
    alpha_parts: tuple[AlphaPart, ...] | None = Field(
        default=None,
        description="tables of a rule, layers (a glob) and its arguments without 'alpha_'",
    )
    alpha_milestones: tuple[Count, ...] | None = Field(
        default=None, description="steps at which the second part, the third … takes over"
    )
    mix: float = Field(
        default=1.0, ge=0, le=1, description="λ of the hybrid λ·tanh(α·g̃) + (1−λ)·g̃, at first"
    )
    mix_end: float | None = Field(
        default=None, ge=0, le=1, description="λ in the end; none keeps it as it is"
    )
    mix_total_steps: Count | None = Field(
        default=None, description="steps from mix to mix_end; none means 1000"
    )
    mix_curve: Literal["linear", "cosine"] | None = Field(
        default=None, description="the way from mix to mix_end; none means linear"
    )
    mix_layers: str | None = Field(
        default=None, min_length=1, description="glob of the layers whose λ moves; none means all"
    )

    @model_validator(mode="after")
    def _mix_moves(self) -> Self:
        for name in ("mix_total_steps", "mix_curve", "mix_layers"):
            value = getattr(self, name)
            if value is not None and self.mix_end is None:
                raise ValueError(f"{name}={value!r} has no effect without mix_end")
        return self

    @model_validator(mode="after")
    def _milestones_rise(self) -> Self:
        milestones = list(self.alpha_milestones or ())
        if sorted(set(milestones)) != milestones:
            raise ValueError(f"alpha_milestones must rise, got {milestones}")
        if milestones and len(milestones) != len(self.alpha_parts or ()) - 1:
            raise ValueError(
                f"alpha_milestones={milestones} must be one less than the "
                f"{len(self.alpha_parts or ())} alpha_parts"
            )
        return self

"""What the API gives of a look at a running trial."""

from __future__ import annotations

from pydantic import BaseModel, Field


class HistogramOut(BaseModel):
    """How the magnitudes |α·g̃| of each layer are distributed at a step.

    A layer without a finite gradient that is not zero is left out.
    """

    step: int
    edges: list[float] = Field(
        description="of the bins, evenly spaced in the logarithm; the first bin also holds what is "
        "smaller, the last what is larger"
    )
    counts: dict[str, list[int]] = Field(description="entries per bin, by layer")
    zeros: dict[str, int] = Field(description="entries that are exactly 0, by layer")
    tau: dict[str, float] = Field(description="by layer: the entries above it are saturated")

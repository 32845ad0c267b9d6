"""Seeds: all of a study's randomness follows from one number."""

from __future__ import annotations

import hashlib
from typing import Literal


def derive_seed(
    study_seed: int, purpose: Literal["trial", "sampler", "exploit", "explore"], *numbers: int
) -> int:
    """A seed in [0, 2³²) for one purpose of a trial; equal for studies of equal seed.

    Args:
        study_seed: the study's seed.
        purpose: what it is for.
        numbers: the trial's number, and which exploit of the trial it is.

    Example:
        >>> derive_seed(1, "trial", 0) == derive_seed(1, "trial", 0)
        True
        >>> derive_seed(1, "trial", 0) == derive_seed(1, "sampler", 0)
        False
    """
    parts = "/".join(map(str, ("alphagrad", study_seed, purpose, *numbers)))
    digest = hashlib.sha256(parts.encode()).digest()
    return int.from_bytes(digest[:4], "little")

"""Seeds: all of a study's randomness follows from one number."""

from __future__ import annotations

import hashlib
from typing import Literal


def derive_seed(study_seed: int, purpose: Literal["trial", "sampler"], number: int) -> int:
    """A seed in [0, 2³²) for one purpose of trial ``number``; equal for studies of equal seed.

    Example:
        >>> derive_seed(1, "trial", 0) == derive_seed(1, "trial", 0)
        True
        >>> derive_seed(1, "trial", 0) == derive_seed(1, "sampler", 0)
        False
    """
    digest = hashlib.sha256(f"alphagrad/{study_seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "little")

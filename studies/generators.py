"""Random generators by name, all from one seed, in a form that a checkpoint can hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class Generators:
    """One numpy generator for each purpose, so that using one does not disturb the others.

    Args:
        seed: where all of them come from.
        names: the purposes.

    Example:
        >>> a, b = Generators(7, "noise", "order"), Generators(7, "noise", "order")
        >>> before = a["noise"].random()
        >>> b.load_state_dict(a.state_dict())
        >>> a["noise"].random() == b["noise"].random()
        True
    """

    def __init__(self, seed: int | np.random.SeedSequence, *names: str) -> None:
        if not isinstance(seed, np.random.SeedSequence):
            seed = np.random.SeedSequence(seed)
        seeds = zip(names, seed.spawn(len(names)), strict=True)
        self._generators = {name: np.random.default_rng(child) for name, child in seeds}

    def __getitem__(self, name: str) -> np.random.Generator:
        return self._generators[name]

    def state_dict(self) -> dict[str, Any]:
        """Gives the generators' states by name."""
        return {name: one.bit_generator.state for name, one in self._generators.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from where the generators of `state_dict` were."""
        for name, generator in self._generators.items():
            generator.bit_generator.state = state[name]

"""The policy of the saturation pruner: when the layers' saturation ends a trial."""

from __future__ import annotations

import numpy as np

from alphagrad.tuner.errors import NonRetryableError
from alphagrad.tuner.pruners import Saturation
from alphagrad.tuner.saturation_window import SaturationWindow

MOST_NAMED = 3


class SaturationPruner:
    """Judges one trial by its saturation.

    It never reads the database: whoever receives the trial's traces adds them to ``window``.

    Args:
        spec: the bounds and shares.
    """

    def __init__(self, spec: Saturation) -> None:
        self._spec = spec
        self.window = SaturationWindow(
            spec.window, first_step=spec.n_warmup_steps, layers=spec.layers
        )

    def reason(self) -> str | None:
        """Why the trial should stop now, or ``None`` if it should not.

        Raises:
            NonRetryableError: the spec's glob matches none of the trial's layers.
        """
        spec, window = self._spec, self.window
        if window.names and not window.chosen:
            known = ", ".join(window.names)
            raise NonRetryableError(
                f"pruner.layers={spec.layers!r} matches no layer; the layers are {known}"
            )
        if not window.is_full:
            return None
        shares = window.shares(high=spec.high, low=spec.low)
        saturated, linear = shares.above >= spec.share, shares.below >= spec.share
        stuck = saturated | linear
        if not stuck.any() or stuck.mean() < spec.layer_share:
            return None
        named = [
            f"{shares.layers[place]} ({'saturated' if saturated[place] else 'linear'})"
            for place in np.flatnonzero(stuck)[:MOST_NAMED]
        ]
        more = int(stuck.sum()) - len(named)
        return (
            f"by the saturation pruner: {stuck.sum()} of {len(stuck)} layers are stuck in "
            f"{spec.share:.0%} of the last {spec.window} samples: "
            f"{', '.join(named)}{f' and {more} more' if more else ''}"
        )

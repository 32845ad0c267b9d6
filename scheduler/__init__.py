"""Schedulers of α: a static rule, and one that holds saturation in a band."""

from alphagrad.scheduler.alpha_scheduler import AlphaScheduler
from alphagrad.scheduler.saturation import SaturationScheduler
from alphagrad.scheduler.sqrt_d import SqrtDAlpha

__all__ = ["AlphaScheduler", "SaturationScheduler", "SqrtDAlpha"]

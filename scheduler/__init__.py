"""Schedulers of α: rules, curves in time, and one that holds saturation in a band."""

from alphagrad.scheduler.alpha_metrics import alpha_metrics, alpha_summary
from alphagrad.scheduler.alpha_scheduler import AlphaScheduler
from alphagrad.scheduler.band import Band, BandSchedule
from alphagrad.scheduler.band_rule import BandRule
from alphagrad.scheduler.chained import ChainedAlpha
from alphagrad.scheduler.constant import ConstantAlpha
from alphagrad.scheduler.cosine import CosineAlpha
from alphagrad.scheduler.csv_trace import CsvTrace
from alphagrad.scheduler.dynag import DynAGAlpha
from alphagrad.scheduler.exponential import ExponentialAlpha
from alphagrad.scheduler.factor import FactorAlpha
from alphagrad.scheduler.lambda_alpha import LambdaAlpha
from alphagrad.scheduler.linear import LinearAlpha
from alphagrad.scheduler.mix import MixScheduler
from alphagrad.scheduler.plateau import PlateauAlpha
from alphagrad.scheduler.points import PointCurve
from alphagrad.scheduler.quantile_start import quantile_alpha
from alphagrad.scheduler.saturation import SaturationScheduler
from alphagrad.scheduler.sequential import SequentialAlpha
from alphagrad.scheduler.sqrt_d import SqrtDAlpha
from alphagrad.scheduler.trace_writer import AlphaTraceWriter, TraceSink

__all__ = [
    "AlphaScheduler",
    "AlphaTraceWriter",
    "Band",
    "BandRule",
    "BandSchedule",
    "ChainedAlpha",
    "ConstantAlpha",
    "CosineAlpha",
    "CsvTrace",
    "DynAGAlpha",
    "ExponentialAlpha",
    "FactorAlpha",
    "LambdaAlpha",
    "LinearAlpha",
    "MixScheduler",
    "PlateauAlpha",
    "PointCurve",
    "SaturationScheduler",
    "SequentialAlpha",
    "SqrtDAlpha",
    "TraceSink",
    "alpha_metrics",
    "alpha_summary",
    "quantile_alpha",
]

"""The AlphaGrad optimizer, its √d rule and its layers. This package brings torch."""

from alphagrad.optim.alpha_grad import AlphaGrad
from alphagrad.optim.alpha_rule import Size, k_from_saturation, layer_sizes, sqrt_d_alpha
from alphagrad.optim.functional import alphagrad
from alphagrad.optim.layers import Layer, find_layers, match_layers, matching_layers
from alphagrad.optim.options import check_alpha, check_mix
from alphagrad.optim.packed import SKIP_REASONS, knob_vector

__all__ = [
    "SKIP_REASONS",
    "AlphaGrad",
    "Layer",
    "Size",
    "alphagrad",
    "check_alpha",
    "check_mix",
    "find_layers",
    "k_from_saturation",
    "knob_vector",
    "layer_sizes",
    "match_layers",
    "matching_layers",
    "sqrt_d_alpha",
]

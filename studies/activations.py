"""What follows a hidden layer's matrix product: its bias and its activation, in place.

In C, `_activations.c`, where that was built when alphagrad was installed, and in numpy otherwise.
Both compute the same ReLU; a tanh differs by rounding.
"""

import logging
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from alphagrad.studies.flat_parameters import Array

logger = logging.getLogger(__name__)

try:
    from alphagrad.studies import _activations as built
except ImportError as error:
    built = None  # type: ignore[assignment]
    logger.warning("activations are computed by numpy, which takes longer: %s", error)


class Activation(NamedTuple):
    """An activation and its slope, each written over its first argument.

    Attributes:
        apply: takes x, (agents, batch, units), and the layer's bias, (agents, 1, units), or one row
            of numbers each, and makes of x the layer's outputs.
        slope: takes the gradient with respect to such outputs, and the outputs, both of one
            shape, and makes of it the gradient with respect to what the bias was added to.
    """

    apply: Callable[[Array, Array], None]
    slope: Callable[[Array, Array], None]


def activation(name: Literal["tanh", "relu"]) -> Activation:
    """Gives an activation by name.

    Example:
        >>> x = np.array([1.0, -3.0], np.float32)
        >>> activation("relu").apply(x, np.ones(2, np.float32))
        >>> x.tolist()
        [2.0, 0.0]
    """
    if built is None:
        return NUMPY[name]
    if name == "tanh":
        return Activation(built.tanh, built.tanh_slope)
    return Activation(built.relu, built.relu_slope)


def _tanh(x: Array, bias: Array) -> None:
    x += bias
    np.tanh(x, out=x)


def _tanh_slope(grad: Array, x: Array) -> None:
    grad *= 1 - x * x


def _relu(x: Array, bias: Array) -> None:
    x += bias
    np.maximum(x, 0, out=x)


def _relu_slope(grad: Array, x: Array) -> None:
    grad *= x > 0


NUMPY = {"tanh": Activation(_tanh, _tanh_slope), "relu": Activation(_relu, _relu_slope)}

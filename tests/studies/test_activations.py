"""The activations in C are those in numpy, and refuse arrays that do not fit."""

import subprocess
import sys
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphagrad.studies.activations import NUMPY, activation
from alphagrad.studies.flat_parameters import Array

Name = Literal["tanh", "relu"]
NAMES: tuple[Name, ...] = ("tanh", "relu")
SIZE = st.integers(0, 70)


def normal(*shape: int, seed: int = 0) -> Array:
    return (3 * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def test_they_are_built_here() -> None:
    assert all(activation(name) is not NUMPY[name] for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(agents=st.integers(1, 3), rows=SIZE, units=SIZE)
def test_what_c_computes_is_what_numpy_computes(
    name: Name, agents: int, rows: int, units: int
) -> None:
    found = normal(agents, rows, units)
    # As in a flat buffer: an agent's biases are far from the next one's.
    bias = normal(agents, units + 5)[:, None, :units]
    expected = found.copy()
    activation(name).apply(found, bias)
    NUMPY[name].apply(expected, bias)
    grad = normal(agents, rows, units, seed=1)
    expected_grad = grad.copy()
    activation(name).slope(grad, expected)
    NUMPY[name].slope(expected_grad, expected)
    if name == "relu":
        assert np.array_equal(found, expected)
    assert found == pytest.approx(expected, abs=5e-7)
    assert grad == pytest.approx(expected_grad, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_one_row_is_computed_as_many(name: Name) -> None:
    rows, bias = normal(1, 9, 33), normal(33, seed=1)
    alone = rows[0, 4].copy()
    activation(name).apply(rows, bias[None, None])
    activation(name).apply(alone, bias)
    assert np.array_equal(alone, rows[0, 4])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", ["in C", "in numpy"])
def test_what_is_not_finite_goes_through(name: Name, which: str) -> None:
    both = activation(name) if which == "in C" else NUMPY[name]
    x = np.array([np.nan, np.inf, -np.inf, 1.0] * 5, np.float32)
    both.apply(x, np.zeros_like(x))
    assert np.isnan(x[::4]).all()
    assert x[1::4] == pytest.approx(1.0 if name == "tanh" else np.inf, abs=5e-7)
    assert x[2::4] == pytest.approx(-1.0 if name == "tanh" else 0.0, abs=5e-7)
    grad = np.full(4, np.nan, np.float32)
    both.slope(grad, np.zeros_like(grad))
    assert np.isnan(grad).all()


X = np.ones((2, 3, 4), np.float32)
READ_ONLY = X.copy()
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("x", "bias", "error", "text"),
    [
        (X.astype(np.float64), X[:, :1], TypeError, "format d, not float32"),
        (X, X[:, :1].astype(np.int32), TypeError, "format i, not float32"),
        (X, X[:, :2], ValueError, "shapes must be"),
        (X, X[:1, :1], ValueError, "shapes must be"),
        (X, X[:, :1, :3], ValueError, "shapes must be"),
        (X, X[:, :1, ::-1], ValueError, "shapes must be"),
        (X, X[0, 0], ValueError, "shapes must be"),
        (X[0], X[0], ValueError, "shapes must be"),
        (np.ones((), np.float32), np.ones((), np.float32), ValueError, "shapes must be"),
        (X[:, :, ::2], X[:, :1, ::2], (BufferError, ValueError), "not C-contiguous"),
        (READ_ONLY, X[:, :1], (BufferError, ValueError), "read-only|not writeable"),
        ([1.0], X, TypeError, "bytes-like"),
        (X, 1.0, TypeError, "bytes-like"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(x: Any, bias: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        activation("relu").apply(x, bias)
    assert (X == 1).all()


def test_slopes_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="48 bytes of grad, 96 of x"):
        activation("tanh").slope(X[0].copy(), X)
    with pytest.raises(TypeError, match="format d, not float32"):
        activation("tanh").slope(X.copy(), X.astype(np.float64))
    with pytest.raises(TypeError, match="1 arguments, not grad and x"):
        activation("tanh").slope(X)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="3 arguments, not x and bias"):
        activation("tanh").apply(X, X, X)  # type: ignore[call-arg]


def test_without_the_extension_numpy_computes_and_a_line_is_logged() -> None:
    script = """
import logging, sys
logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
sys.modules["alphagrad.studies._activations"] = None
from alphagrad.studies.activations import NUMPY, activation
print(activation("tanh") is NUMPY["tanh"], activation("relu") is NUMPY["relu"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout == "True True\n"
    assert "WARNING alphagrad.studies.activations: activations are computed by numpy" in done.stderr

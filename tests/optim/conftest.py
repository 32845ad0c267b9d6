"""The ways a step can run: every test of the update's meaning runs on each."""

from __future__ import annotations

import os
from typing import Any

import pytest

from alphagrad.optim import native
from tests.optim.cases import PATHS


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> dict[str, Any]:
    """AlphaGrad's options that choose the path."""
    if request.param == "fused":
        request.getfixturevalue("kernel")
    return PATHS[request.param]


@pytest.fixture
def kernel() -> None:
    """The native kernel; without a C compiler at installation there is none."""
    if not native.is_built():
        message = "the native kernel was not built: install a C compiler, then alphagrad again"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)

"""The ways a step can run: every test of the update's meaning runs on each."""

from __future__ import annotations

import pytest

from alphagrad.optim import native

PATHS = {
    "loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> dict[str, bool]:
    """AlphaGrad's options that choose the path."""
    if request.param == "fused" and not native.is_built():
        pytest.fail("the native kernel was not built: gcc and Python's headers are needed")
    return PATHS[request.param]

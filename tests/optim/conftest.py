"""The ways a step can run: every test of the update's meaning runs on each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.optim.cases import PATHS


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> dict[str, Any]:
    """AlphaGrad's options that choose the path."""
    if request.param == "fused":
        request.getfixturevalue("kernel")
    return PATHS[request.param]

"""The reinforcement learning tasks on a GPU, against the same on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import alphagrad.studies.tasks  # noqa: F401  (registers them, installed or not)
from tests.studies import test_dqn, test_ppo, test_td3
from tests.studies.interrupted import Line, assert_resumes_exactly, checkpoint_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: no task ran on one")

SMALL: dict[str, dict[str, Any]] = {
    "ppo": test_ppo.SMALL | {"learning_rate": 1e-4, "ent_coef": 0.01},
    "td3": test_td3.SMALL | {"learning_rate": 1e-5},
    # At random throughout, so both see the same transitions.
    "dqn": test_dqn.SMALL | {"learning_rate": 1e-4, "start_e": 1.0, "end_e": 1.0},
}
STOPS = {"ppo": 384, "td3": 300, "dqn": 900}
ON_GPU = {"backend": "torch", "device": "cuda"}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    "rule", [{"alpha": 20.0}, {"alpha_rule": "saturation"}, {"optimizer": "adam"}]
)
def test_a_gpu_learns_as_a_cpu_does(name: str, rule: dict[str, Any], tmp_path: Path) -> None:
    """The same numbers, but for rounding."""
    params = SMALL[name] | rule
    cpu, gpu = Line(), Line()
    checkpoint_of(name, params | {"backend": "torch"}, tmp_path / "cpu", cpu)
    state = checkpoint_of(name, params | ON_GPU, tmp_path / "gpu", gpu)
    assert cpu.metrics
    assert cpu.metrics == pytest.approx(gpu.metrics, rel=1e-2, abs=1e-3)
    assert state["global_step"] > 0


@pytest.mark.parametrize("name", SMALL)
def test_a_trial_on_a_gpu_goes_on_from_its_checkpoint(name: str, tmp_path: Path) -> None:
    """To the bit."""
    params = SMALL[name] | ON_GPU | {"alpha_rule": "saturation"}
    assert_resumes_exactly(name, params, stop_at=STOPS[name], folder=tmp_path)

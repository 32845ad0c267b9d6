"""The Triton path: run in Triton's interpreter, compiled for a GPU, and absent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from alphagrad.optim import AlphaGrad, triton_plan, triton_update

ROOT = Path(__file__).parents[2]


@pytest.fixture
def triton() -> None:
    """The triton package, which alphagrad itself does not need."""
    if not triton_update.is_installed():
        message = "triton is not installed: install alphagrad[test], on Linux"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


def run(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.usefixtures("triton")
def test_the_kernels_step_like_the_loop() -> None:
    checks = ("tests/optim/triton_checks.py", "-q", "-p", "no:cacheprovider")
    printed = run("-m", "pytest", *checks, TRITON_INTERPRET="1")
    assert " passed" in printed
    assert "skipped" not in printed.splitlines()[-1]


@pytest.mark.usefixtures("triton")
def test_the_kernels_compile_for_a_gpu(tmp_path: Path) -> None:
    printed = run("-m", "tests.optim.triton_build", TRITON_CACHE_DIR=str(tmp_path))
    wide = json.loads(printed.splitlines()[-1])
    # A block of 4096 entries of float32 is 4 times 16 bytes to each of 256 threads, of bfloat16 2.
    assert wide == {
        "measure": 4,
        "measure, all": 2,
        "plain": 12,
        "preview": 2,
        "all": 10,
        "parts": 10,
        "unaligned": 0,
    }


def test_without_a_gpu_the_kernels_do_not_run() -> None:
    device = torch.device("cpu")
    reason = triton_update.reason_against(device)
    assert reason is not None
    assert "CUDA" in reason or "not installed" in reason
    p = torch.zeros(3, dtype=torch.float16, requires_grad=True)
    p.grad = torch.ones_like(p)
    with pytest.raises(RuntimeError, match=r"fused=True cannot run here: .*must be contiguous"):
        AlphaGrad([p], fused=True).step()


def test_alphagrad_does_without_triton() -> None:
    lines = (
        "import sys",
        "sys.modules['triton'] = None",
        "import torch",
        "from alphagrad.optim import AlphaGrad, triton_update",
        "assert triton_update.needs(torch.device('cuda')) == 'triton is not installed'",
        "p = torch.zeros(3, requires_grad=True)",
        "p.grad = torch.ones(3)",
        "AlphaGrad([p], foreach=True).step()",
        "assert p.any()",
    )
    run("-c", "\n".join(lines))


def test_a_table_is_the_same_when_it_is_written_for_a_graph() -> None:
    numbers = torch.tensor([[0, -1, 140_000_000_000_000], [2**62 + 1, 5, 4096]])
    device = torch.device("cpu")
    assert torch.equal(triton_plan._brought(numbers, device, capturing=True), numbers)
    assert torch.equal(triton_plan._brought(numbers, device, capturing=False), numbers)


def test_threads_share_no_memory() -> None:
    plans: list[triton_plan.Plan | None] = []
    p = torch.ones(8)

    def plan() -> None:
        plans.append(triton_plan.make_plan([p], [p], []))

    plan()
    plan()
    other = threading.Thread(target=plan)
    other.start()
    other.join()
    one, again, theirs = (found.layout.work for found in plans if found is not None)
    assert one is again
    assert one.data_ptr() != theirs.data_ptr()

"""Two ranks on gloo: DDP, FSDP2, DTensors, checkpoints; the checks are in ``ranks/``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from alphagrad.optim import AlphaGrad
from tests.optim.ranks.table import CHECKS

ROOT = Path(__file__).parents[2]
DEADLINE = 280  # seconds, for all checks together
pytestmark = pytest.mark.timeout(400)  # of which the first test waits for them

Outcomes = dict[str, list[str]]


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What each check of this session raised, on each rank; one start of the ranks for all."""
    wanted = {item.name for item in request.session.items if item.path == request.path}
    names = [name for name in CHECKS if f"test_on_two_ranks[{name}]" in wanted]
    folder = tmp_path_factory.mktemp("ranks")
    outputs = _run_ranks(folder, names)
    failures: Outcomes = {name: [] for name in names}
    for rank, output in enumerate(outputs):
        file = folder / f"{rank}.json"
        found = json.loads(file.read_text()) if file.exists() else {}
        for name in names:
            raised = found.get(name, f"never ended; the rank printed:\n{output[-5000:]}")
            if raised is not None:
                failures[name].append(f"rank {rank}: {raised}")
    return failures


def _run_ranks(folder: Path, names: list[str]) -> list[str]:
    """Run the ranks to their end, at most to the deadline; give what they printed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    ranks: list[subprocess.Popen[bytes]] = []
    files = [folder / f"{rank}.log" for rank in range(2)]
    try:
        for rank, file in enumerate(files):
            command = [sys.executable, "-m", "tests.optim.ranks.worker", str(rank), str(folder)]
            with file.open("wb") as log:
                ranks.append(
                    subprocess.Popen(
                        [*command, *names],
                        cwd=ROOT,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )
        end = time.monotonic() + DEADLINE
        # A rank that died leaves the other waiting; the checks without an outcome fail.
        while time.monotonic() < end and not any(p.poll() for p in ranks):
            if all(p.poll() == 0 for p in ranks):
                break
            time.sleep(0.05)
    finally:
        for process in ranks:
            process.kill()
            process.wait()
    return [file.read_text(errors="replace") for file in files]


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("norm", ["tensor", "group"])
def test_tensors_replaced_by_a_flat_one_are_refused(norm: Any, steps: int) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = AlphaGrad(model.named_parameters(), norm=norm, alpha=2.0)
    for _ in range(steps):
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    # What DeepSpeed does after it was given the optimizer: this rank's half of all tensors.
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])[:4].requires_grad_()
    flat.grad = torch.ones(4)
    optimizer.param_groups[0]["params"] = [flat]
    before = flat.detach().clone()
    with pytest.raises(RuntimeError, match=r"ZeRO.*fully_shard"):
        optimizer.step()
    assert torch.equal(flat, before)


@pytest.mark.parametrize("check", CHECKS)
def test_on_two_ranks(check: str, outcomes: Outcomes) -> None:
    if outcomes[check]:
        pytest.fail("\n".join(outcomes[check]))

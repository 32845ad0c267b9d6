"""The optimizer and its scheduler on a GPU, as a training script uses them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler
from tests_gpu.waiting import no_waiting

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU: AlphaGrad was not run on one"
)


def make_model() -> nn.Module:
    """A small network on the GPU, the same each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 3)).cuda()


def loss_of(model: nn.Module, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """A loss that does not go to zero."""
    loss: torch.Tensor = (model(x).square().mean() - 1.0).abs() * scale
    return loss


def backward(loss: torch.Tensor) -> None:
    """Fill the gradients."""
    loss.backward()  # type: ignore[no-untyped-call]


def test_training_with_a_scheduler_waits_for_nothing_and_agrees_with_the_cpu() -> None:
    """α, saturation and parameters of fifty steps."""
    ends = []
    x = torch.randn(32, 20, generator=torch.Generator().manual_seed(1))
    for device in ("cuda", "cpu"):
        model, inputs = make_model().to(device), x.to(device)
        optimizer = AlphaGrad(model.named_parameters(), lr=1e-3, momentum=0.9)
        scheduler = SaturationScheduler(optimizer)
        for i in range(50):
            optimizer.zero_grad()
            backward(loss_of(model, inputs))
            if device == "cuda" and i > 2:  # the first ones compile
                with no_waiting():
                    optimizer.step()
                    scheduler.step()
            else:
                optimizer.step()
                scheduler.step()
        ends.append((optimizer.alphas(), optimizer.saturation(), model.cpu().state_dict()))
    (alphas, saturation, state), (cpu_alphas, cpu_saturation, cpu_state) = ends
    assert alphas == pytest.approx(cpu_alphas, rel=0.02)
    assert saturation == pytest.approx(cpu_saturation, abs=0.02)
    for name, value in state.items():
        torch.testing.assert_close(value, cpu_state[name], rtol=0.0, atol=2e-3)


def test_a_grad_scaler_skips_the_step_of_an_overflow() -> None:
    """float16 under autocast, with an infinite loss in between."""
    model = make_model()
    optimizer = AlphaGrad(model.named_parameters(), lr=1e-2)
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0)
    x = torch.randn(32, 20, device="cuda")
    for scale in (1.0, float("inf"), 1.0):
        before = copy.deepcopy(model.state_dict())
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.float16):
            loss = loss_of(model, x, scale)
        backward(scaler.scale(loss))
        scaler.step(optimizer)
        scaler.update()
        moved = [not torch.equal(v, before[k]) for k, v in model.state_dict().items()]
        assert moved == [scale == 1.0] * 4
    assert scaler.get_scale() == 512.0


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_graph_of_a_whole_step_sees_a_change_of_alpha(momentum: float) -> None:
    """Forward, backward and step are replayed; α is turned between the replays."""
    model, x = make_model(), torch.randn(32, 20, device="cuda")
    optimizer = AlphaGrad(
        model.named_parameters(), lr=1e-2, alpha=5.0, momentum=momentum, capturable=True
    )

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        backward(loss_of(model, x))
        optimizer.step()

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    other = copy.deepcopy(model)
    twin = AlphaGrad(other.named_parameters(), lr=1e-2, momentum=momentum, capturable=True)
    twin.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        step()
    for alpha in (5.0, 50.0, 0.5):
        for one in (optimizer, twin):
            one.set_alpha(alpha, "0.*")
        graph.replay()
        twin.zero_grad()
        backward(loss_of(other, x))
        twin.step()
        for a, b in zip(model.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert optimizer.saturation() == pytest.approx(twin.saturation(), abs=1e-3)


# What torch.compile imports says so of itself, in some releases.
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
def test_a_compiled_step_is_the_same_step() -> None:
    """torch.compile takes the path of torch's operations; one graph for any α."""
    ends = []
    for compiled in (False, True):
        model, x = make_model(), torch.randn(32, 20, device="cuda", generator=None)
        x.copy_(torch.linspace(-1, 1, x.numel(), device="cuda").view_as(x))
        optimizer = AlphaGrad(model.named_parameters(), lr=1e-2, capturable=True)
        step = torch.compile(optimizer.step, fullgraph=True) if compiled else optimizer.step
        for alpha in (3.0, 30.0, 300.0):
            optimizer.set_alpha(alpha)
            optimizer.zero_grad()
            backward(loss_of(model, x))
            step()
        ends.append(list(model.parameters()))
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_state_moves_between_devices() -> None:
    """From the GPU to the CPU and on."""
    model, x = make_model(), torch.randn(8, 20, device="cuda")
    optimizer = AlphaGrad(model.named_parameters(), lr=1e-2, momentum=0.9)
    backward(loss_of(model, x))
    optimizer.step()
    optimizer.set_alpha(7.0, "2.*", pin=True)
    twin = copy.deepcopy(model).cpu()
    other = AlphaGrad(twin.named_parameters(), lr=1e-2, momentum=0.9)
    other.load_state_dict(optimizer.state_dict())
    assert other.alphas() == optimizer.alphas()
    for one, inputs in ((twin, x.cpu()), (model, x)):
        one.zero_grad()
        backward(loss_of(one, inputs))
    optimizer.step()
    other.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-3, atol=1e-4)

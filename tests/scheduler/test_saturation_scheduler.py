"""SaturationScheduler: the control law on known distributions of gradients."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import (
    Band,
    BandRule,
    BandSchedule,
    ChainedAlpha,
    SaturationScheduler,
)

D = 4096
TAU = 0.5
MIDDLE = math.sqrt(0.05 * 0.25)
STEPS = 25
Sample = Callable[[], Tensor]


def sparse() -> Tensor:
    return torch.randn(D) * (torch.rand(D) < 0.03)


def nearly_sparse() -> Tensor:
    """3 % of the entries carry everything, so S cannot reach 0.05 at any sensible α."""
    return torch.where(torch.rand(D) < 0.03, torch.randn(D), 1e-9 * torch.randn(D))


SAMPLES: dict[str, Sample] = {
    "gaussian": lambda: torch.randn(D),
    "laplace": lambda: torch.distributions.Laplace(0.0, 1.0).sample((D,)),
    "student_t3": lambda: torch.distributions.StudentT(3.0).sample((D,)),
    "sparse": sparse,
}


def make(alpha: float, **options: Any) -> tuple[Tensor, AlphaGrad, SaturationScheduler]:
    torch.manual_seed(0)
    p = torch.zeros(D, requires_grad=True)
    optimizer = AlphaGrad([("w", p)], lr=1e-3, alpha=alpha)
    scheduler = SaturationScheduler(optimizer, **({"start": "keep"} | options)).attach()
    return p, optimizer, scheduler


def run(p: Tensor, optimizer: AlphaGrad, sample: Sample, steps: int) -> list[tuple[float, float]]:
    """α and S of each step."""
    trace = []
    for _ in range(steps):
        p.grad = sample()
        alpha = optimizer.alphas()["w"]
        optimizer.step()
        trace.append((alpha, optimizer.saturation()["w"]))
    return trace


def matching_alpha(sample: Sample) -> float:
    """The α at which S is in the middle of the band, from the gradients themselves."""
    g = torch.cat([sample() for _ in range(20)])
    entries = g[g != 0].abs()
    norm = float(g.norm()) / math.sqrt(20)
    return TAU * norm / float(entries.quantile(1 - MIDDLE))


@pytest.mark.parametrize("factor", [30.0, 1 / 30])
@pytest.mark.parametrize("name", SAMPLES)
def test_it_is_back_in_the_band_within_25_steps_and_stays(name: str, factor: float) -> None:
    sample = SAMPLES[name]
    torch.manual_seed(1)
    target = matching_alpha(sample)
    p, optimizer, _ = make(target * factor)
    trace = run(p, optimizer, sample, STEPS + 100)
    assert not 0.05 <= trace[0][1] <= 0.25
    assert 0.05 <= trace[STEPS - 1][1] <= 0.25
    inside = [0.05 <= s <= 0.25 for _, s in trace[STEPS:]]
    assert sum(inside) >= 95
    assert all(target / 3 < alpha < target * 3 for alpha, _ in trace[STEPS:])


def test_an_unreachable_band_ends_at_the_clamp_and_is_left_at_once() -> None:
    p, optimizer, _ = make(100.0, k_max=40.0)
    trace = run(p, optimizer, nearly_sparse, 200)
    assert trace[-1][1] < 0.05
    assert max(alpha for alpha, _ in trace) == 40.0 * math.sqrt(D)
    assert [alpha for alpha, _ in trace[-100:]] == [40.0 * math.sqrt(D)] * 100
    # Nothing was wound up: dense gradients bring it back as fast as from any other start.
    after = run(p, optimizer, SAMPLES["gaussian"], STEPS)
    assert after[1][0] < 40.0 * math.sqrt(D)
    assert 0.05 <= after[-1][1] <= 0.25


def test_alpha_stops_at_the_lower_clamp() -> None:
    p, optimizer, _ = make(1000.0, k_min=5.0)
    trace = run(p, optimizer, SAMPLES["gaussian"], 40)
    assert trace[-1][0] == 5.0 * math.sqrt(D)
    assert trace[-1][1] > 0.25


def test_it_rests_in_the_band_and_acts_from_the_edge_to_the_inner_band() -> None:
    _, optimizer, scheduler = make(10.0)
    scheduler.detach()
    optimizer.step()
    measured = optimizer.param_groups[0]["saturation"]
    low_inner = math.sqrt(0.05 * MIDDLE)

    def step_at(saturation: float) -> float:
        """The change of log α that this saturation causes."""
        before = optimizer.alphas()["w"]
        measured.fill_(saturation)
        scheduler.step()
        return math.log(optimizer.alphas()["w"] / before)

    edge_of_inner = low_inner - 0.002
    assert step_at(edge_of_inner) == 0.0  # in the band: rests
    assert step_at(0.04) == pytest.approx(2.0 * (MIDDLE - 0.04), rel=1e-4)
    # The same saturation as before moves α now: it goes on until the inner band.
    assert step_at(edge_of_inner) == pytest.approx(2.0 * (MIDDLE - edge_of_inner), rel=1e-4)
    assert step_at(math.nan) == 0.0
    assert step_at(edge_of_inner) > 0.0  # a skipped step did not end it
    assert step_at(low_inner + 0.002) == 0.0
    assert step_at(edge_of_inner) == 0.0
    assert step_at(0.26) < 0.0
    assert step_at(1.0) == pytest.approx(-0.5, rel=1e-4)


@pytest.mark.parametrize("factor", [30.0, 1.0, 1 / 30])
@pytest.mark.parametrize("name", SAMPLES)
def test_from_the_quantile_start_it_is_in_the_band_from_the_first_step(
    name: str, factor: float
) -> None:
    p, optimizer, scheduler = make(0.3 * math.sqrt(D) * factor, start="quantile")
    trace = run(p, optimizer, SAMPLES[name], 300)
    inside = [0.05 <= s <= 0.25 for _, s in trace]
    assert all(inside[:10])
    assert sum(inside) >= 297
    assert scheduler.last_step == 300


@pytest.mark.parametrize("scale", [0.01, 0.5])
def test_without_a_norm_it_starts_by_the_gradients_themselves(scale: float) -> None:
    torch.manual_seed(0)
    p = torch.zeros(D, requires_grad=True)
    optimizer = AlphaGrad([p], norm="none")
    SaturationScheduler(optimizer).attach()
    p.grad = scale * torch.randn(D)
    optimizer.step()
    assert optimizer.saturation()["0.0"] == pytest.approx(MIDDLE, abs=0.01)


def test_complex_tensors_start_in_the_band_too() -> None:
    torch.manual_seed(0)
    p = torch.zeros(4096, dtype=torch.complex64, requires_grad=True)
    p.grad = torch.randn(4096, dtype=torch.complex64)
    optimizer = AlphaGrad([("w", p)])
    SaturationScheduler(optimizer).attach()
    optimizer.step()
    assert 0.05 <= optimizer.saturation()["w"] <= 0.25


def test_the_start_is_made_once_and_leaves_pins_and_other_layers_alone() -> None:
    torch.manual_seed(0)
    names = ("a", "b", "other", "without")
    params = [torch.zeros(D, requires_grad=True) for _ in names]
    optimizer = AlphaGrad(zip(names, params, strict=True), alpha=7.0)
    optimizer.set_alpha(7.0, "b", pin=True)
    scheduler = SaturationScheduler(optimizer, layers="[abw]*").attach()
    for p in params[:3]:
        p.grad = torch.randn(D)
    optimizer.step()
    alphas = optimizer.alphas()
    assert alphas["a"] == pytest.approx(0.314 * math.sqrt(D), rel=0.1)
    assert [alphas[name] for name in names[1:]] == [7.0] * 3
    resumed = SaturationScheduler(optimizer, layers="[abw]*").attach()
    resumed.load_state_dict(scheduler.state_dict())
    optimizer.set_alpha(9000.0, "a")
    optimizer.step()
    assert optimizer.alphas()["a"] > 500.0  # moved step by step, not set anew


def test_a_chain_starts_from_the_gradients_too() -> None:
    torch.manual_seed(0)
    weight = torch.zeros(D, requires_grad=True)
    optimizer = AlphaGrad([("w", weight)], alpha=7.0)
    ChainedAlpha([SaturationScheduler(optimizer)]).attach()
    weight.grad = torch.randn(D)
    optimizer.step()
    assert optimizer.saturation()["w"] == pytest.approx(MIDDLE, abs=0.02)


@pytest.mark.parametrize("norm", ["tensor", "group"])
def test_the_start_samples_large_tensors(norm: Any) -> None:
    torch.manual_seed(0)
    params = [torch.zeros(1200, 1000, requires_grad=True), torch.zeros(1000, requires_grad=True)]
    optimizer = AlphaGrad(params, norm=norm, alpha=1.0)
    SaturationScheduler(optimizer).attach()
    for p in params:
        p.grad = torch.randn(p.shape)
    optimizer.step()
    assert all(s == pytest.approx(MIDDLE, abs=0.02) for s in optimizer.saturation().values())


def test_small_layers_follow_the_group() -> None:
    torch.manual_seed(0)
    sizes = {"w": 4096, "bias": 24, "one": 1}
    params = {name: torch.zeros(size, requires_grad=True) for name, size in sizes.items()}
    optimizer = AlphaGrad(params.items())
    SaturationScheduler(optimizer).attach()
    ks: dict[str, list[float]] = {name: [] for name in sizes}
    for _ in range(60):
        for p in params.values():
            p.grad = torch.randn(p.shape)
        optimizer.step()
        for name, alpha in optimizer.alphas().items():
            ks[name].append(alpha / math.sqrt(sizes[name]))
    assert ks["bias"] == pytest.approx(ks["w"], rel=0.05)
    assert ks["one"] == pytest.approx(ks["w"], rel=0.05)


def test_a_small_layer_without_a_measurement_holds_alpha() -> None:
    params = {name: torch.zeros(n, requires_grad=True) for name, n in {"w": D, "b": 8}.items()}
    optimizer = AlphaGrad(params.items(), alpha=3000.0)
    SaturationScheduler(optimizer, start="keep").attach()
    params["w"].grad = torch.randn(D)
    optimizer.step()
    assert optimizer.alphas()["b"] == 3000.0
    assert optimizer.alphas()["w"] < 3000.0


def test_a_moving_band_is_followed() -> None:
    target = BandSchedule(Band(0.01, 0.04), Band(0.2, 0.5), total_steps=200)
    p, optimizer, _ = make(1.0, band=target, start="quantile")
    trace = run(p, optimizer, SAMPLES["gaussian"], 300)
    inside = [target.at(i).low <= s <= target.at(i).high for i, (_, s) in enumerate(trace)]
    assert sum(inside) >= 290
    assert trace[0][1] < 0.04
    assert trace[-1][1] > 0.2
    with pytest.raises(ValueError, match="Invalid total_steps: 0"):
        BandSchedule(Band(0.01, 0.04), Band(0.2, 0.5), total_steps=0)


def test_skipped_steps_hold_alpha() -> None:
    p, optimizer, _ = make(1000.0)
    trace = run(p, optimizer, lambda: torch.full((D,), math.nan), 3)
    trace += run(p, optimizer, lambda: torch.zeros(D), 3)
    assert [alpha for alpha, _ in trace] == [1000.0] * 6
    assert optimizer.alphas() == {"w": 1000.0}


def test_alpha_does_not_make_up_for_a_gradient_that_fades_below_eps() -> None:
    """Else a tanh policy at its bounds is driven on by full steps, until its gradient is 0."""
    p, optimizer, _ = make(20.0, start="quantile")
    optimizer.param_groups[0]["eps"] = 1e-5
    run(p, optimizer, SAMPLES["gaussian"], 10)
    alpha, before = optimizer.alphas()["w"], p.detach().clone()
    run(p, optimizer, lambda: 1e-9 * torch.randn(D), 50)
    assert optimizer.alphas() == {"w": alpha}
    assert math.isnan(optimizer.saturation()["w"])
    assert 0 < (p - before).abs().max().item() < 50 * 1e-3 * 0.05  # ‖g‖/ε is 0.0064
    run(p, optimizer, SAMPLES["gaussian"], 1)
    assert 0.05 <= optimizer.saturation()["w"] <= 0.25


def test_a_gradient_below_eps_starts_nothing() -> None:
    p, optimizer, _ = make(20.0, start="quantile")
    run(p, optimizer, lambda: 1e-12 * torch.randn(D), 2)
    assert optimizer.alphas() == {"w": 20.0}
    run(p, optimizer, SAMPLES["gaussian"], 1)
    assert optimizer.saturation()["w"] == pytest.approx(MIDDLE, abs=0.02)


@pytest.mark.parametrize("options", [{}, {"layers": "bias"}])
def test_a_small_layer_does_not_follow_what_cannot_be_moved(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    params = {
        name: torch.zeros(size, requires_grad=True) for name, size in [("w", D), ("bias", 16)]
    }
    optimizer = AlphaGrad(params.items(), lr=1e-3)
    optimizer.set_alpha(98.0, "w", pin=not options)
    SaturationScheduler(optimizer, **options).attach()
    for _ in range(100):
        for p in params.values():
            p.grad = torch.randn(p.shape)
        optimizer.step()
        assert 0.1 < optimizer.alphas()["bias"] / 4 < 1.0
    assert optimizer.alphas()["w"] == 98.0


def test_a_small_layer_does_not_follow_one_at_its_bound() -> None:
    torch.manual_seed(0)
    params = {
        name: torch.zeros(size, requires_grad=True) for name, size in [("w", D), ("bias", 16)]
    }
    optimizer = AlphaGrad(params.items(), lr=1e-3)
    SaturationScheduler(optimizer).attach()
    for _ in range(200):
        params["w"].grad, params["bias"].grad = nearly_sparse(), torch.randn(16)
        optimizer.step()
    alphas = optimizer.alphas()
    assert alphas["w"] == 100.0 * math.sqrt(D)
    assert 0.1 < alphas["bias"] / 4 < 1.0


class Still(BandRule):
    """Never moves α."""

    def move(self, saturation: Tensor, band: Band, active: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(saturation), active


class Holding(SaturationScheduler):
    """Never moves α."""

    def get_alpha(self) -> list[Tensor]:
        return self.alpha_vectors()


def test_a_rule_and_a_subclass_of_ones_own_are_followed() -> None:
    for kind in (SaturationScheduler, Holding):
        torch.manual_seed(0)
        p = torch.zeros(D, requires_grad=True)
        optimizer = AlphaGrad([("w", p)], alpha=1000.0)
        scheduler = kind(optimizer, start="keep").attach()
        if kind is SaturationScheduler:
            scheduler.rule = Still()
        run(p, optimizer, SAMPLES["gaussian"], 10)
        assert optimizer.alphas() == {"w": 1000.0}


def test_a_layer_whose_first_gradients_are_of_no_use_starts_later() -> None:
    torch.manual_seed(0)
    names = ("usual", "zero", "missing", "overflowing")
    params = {name: torch.zeros(D, requires_grad=True) for name in names}
    optimizer = AlphaGrad(params.items(), lr=1e-3)
    SaturationScheduler(optimizer).attach()
    for step in range(4):
        for p in params.values():
            p.grad = torch.randn(D)
        if step < 2:
            params["zero"].grad = torch.zeros(D)
            params["missing"].grad = None
            params["overflowing"].grad = torch.full((D,), math.inf)
        optimizer.step()
        measured = {n: s for n, s in optimizer.saturation().items() if not math.isnan(s)}
        assert list(measured) == list(names if step >= 2 else names[:1])
        assert all(0.05 <= s <= 0.25 for s in measured.values())


def test_a_group_that_is_added_late_starts_by_its_first_gradients() -> None:
    torch.manual_seed(0)
    first, late = torch.zeros(D, requires_grad=True), torch.zeros(D, requires_grad=True)
    optimizer = AlphaGrad([first], lr=1e-3)
    scheduler = SaturationScheduler(optimizer).attach()
    for step in range(12):
        if step == 8:
            optimizer.add_param_group({"params": [late]})
        first.grad, late.grad = torch.randn(D), torch.randn(D)
        optimizer.step()
        saturation = optimizer.saturation()
        # The scheduler takes up a group after its first step.
        assert 0.05 <= saturation["0.0"] <= 0.25
        assert step < 9 or 0.05 <= saturation["1.0"] <= 0.25
    assert scheduler.last_step == 12


def test_a_state_of_other_groups_is_refused_when_it_is_loaded() -> None:
    saved = SaturationScheduler(AlphaGrad([torch.zeros(2)])).state_dict()
    scheduler = SaturationScheduler(AlphaGrad([torch.zeros(2), torch.zeros(3)]))
    message = r"Invalid scheduler state of groups of \[1\] parameters, must be \[2\]"
    with pytest.raises(ValueError, match=message):
        scheduler.load_state_dict(saved)


def test_layers_are_controlled_apart() -> None:
    torch.manual_seed(0)
    a, b = torch.zeros(D, requires_grad=True), torch.zeros(D, requires_grad=True)
    optimizer = AlphaGrad([("a", a), ("b", b)], alpha=[3000.0, 3.0])
    SaturationScheduler(optimizer, start="keep").attach()
    for _ in range(STEPS):
        a.grad, b.grad = torch.randn(D), sparse()
        optimizer.step()
    alphas = optimizer.alphas()
    assert alphas["a"] / alphas["b"] == pytest.approx(1 / math.sqrt(0.03), rel=0.4)
    assert all(0.05 <= s <= 0.25 for s in optimizer.saturation().values())


def test_tau_is_set_where_it_acts_and_survives_a_load() -> None:
    groups: list[dict[str, Any]] = [{"params": [torch.zeros(2)]}, {"params": [torch.zeros(2)]}]
    optimizer = AlphaGrad(groups)
    saved = optimizer.state_dict()
    scheduler = SaturationScheduler(optimizer, tau=3.0, layers="1.*")
    assert [group["tau"] for group in optimizer.param_groups] == [2.5, 3.0]
    optimizer.load_state_dict(saved)
    optimizer.step()
    scheduler.step()
    assert [group["tau"] for group in optimizer.param_groups] == [2.5, 3.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"band": (0.25, 0.05)}, r"Invalid band: \(0.25, 0.05\), must be 0 < low < high < 1"),
        ({"band": (0.0, 0.1)}, "Invalid band"),
        ({"band": (math.nan, 0.1)}, "Invalid band"),
        ({"tau": 0.0}, "Invalid tau: 0.0, must be finite and > 0"),
        ({"gain": -1.0}, "Invalid gain: -1.0"),
        ({"min_numel": 0}, "Invalid min_numel: 0, must be >= 1"),
        ({"start": "rule"}, "Invalid start: 'rule', must be 'quantile' or 'keep'"),
        ({"max_log_step": math.inf}, "Invalid max_log_step: inf"),
        ({"k_min": 2.0, "k_max": 1.0}, "Invalid k_min, k_max: 2.0, 1.0"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SaturationScheduler(AlphaGrad([torch.zeros(2)]), **options)


@pytest.mark.parametrize("band", [0.1, (0.1,), (0.1, 0.2, 0.3), "low", (0.1, None)])
def test_what_is_no_band_is_named(band: Any) -> None:
    with pytest.raises(TypeError, match=r"Invalid band: .*, must be \(low, high\), a Band or"):
        SaturationScheduler(AlphaGrad([torch.zeros(2)]), band)


def test_a_moving_band_goes_from_band_to_band() -> None:
    with pytest.raises(TypeError, match=r"Invalid end: \(0.2, 0.5\), must be a Band"):
        BandSchedule(Band(0.01, 0.04), (0.2, 0.5), total_steps=10)  # type: ignore[arg-type]

"""The schedules in time: their curves, their ends, the knob in between."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import (
    AlphaScheduler,
    ChainedAlpha,
    CosineAlpha,
    ExponentialAlpha,
    LambdaAlpha,
    LinearAlpha,
    MixScheduler,
    PlateauAlpha,
    PointCurve,
    SequentialAlpha,
    SqrtDAlpha,
)


def make(alpha: Any = 10.0) -> AlphaGrad:
    names = ("w", "b")
    params = [torch.zeros(4, requires_grad=True), torch.zeros(9, requires_grad=True)]
    return AlphaGrad(zip(names, params, strict=True), alpha=alpha)


def trace(optimizer: AlphaGrad, steps: int) -> list[float]:
    """α of the first layer at each step, as the step uses it."""
    seen = []
    for _ in range(steps):
        seen.append(optimizer.alphas()["w"])
        optimizer.step()
    return seen


def cosine(phase: float) -> float:
    return 0.1 + 0.9 * (1 + math.cos(math.pi * phase)) / 2


CURVES: dict[str, tuple[Callable[[AlphaGrad], AlphaScheduler], Callable[[int], float]]] = {
    "linear": (
        lambda o: LinearAlpha(o, start_factor=0.5, end_factor=3.0, total_steps=8),
        lambda t: 0.5 + 2.5 * min(t / 8, 1),
    ),
    "cosine": (lambda o: CosineAlpha(o, period=10), lambda t: cosine(min(t / 10, 1))),
    "restarts": (
        lambda o: CosineAlpha(o, period=6, restarts=True),
        lambda t: cosine(t % 6 / 6),
    ),
    "growing restarts": (
        lambda o: CosineAlpha(o, period=3, restarts=True, period_mult=3),
        lambda t: cosine(t / 3 if t < 3 else (t - 3) / 9 if t < 12 else (t - 12) / 27),
    ),
    "exponential": (lambda o: ExponentialAlpha(o, gamma=1.1), lambda t: 1.1**t),
    "exponential, ended": (
        lambda o: ExponentialAlpha(o, gamma=0.8, end_factor=0.3),
        lambda t: max(0.8**t, 0.3),
    ),
    "exponential, ended before it began": (
        lambda o: ExponentialAlpha(o, gamma=1.1, end_factor=1.0),
        lambda t: 1.0,
    ),
    "exponential of a factor of 1": (
        lambda o: ExponentialAlpha(o, end_factor=10.0),
        lambda t: 1.0,
    ),
    "lambda": (
        lambda o: LambdaAlpha(o, alpha_lambda=lambda t: 2 + math.sin(t)),
        lambda t: 2 + math.sin(t),
    ),
}


@pytest.mark.parametrize("name", CURVES)
def test_alpha_follows_the_curve(name: str) -> None:
    factory, curve = CURVES[name]
    optimizer = make()
    factory(optimizer).attach()
    assert trace(optimizer, 30) == pytest.approx([10 * curve(t) for t in range(30)], rel=1e-5)


@pytest.mark.parametrize("name", CURVES)
def test_a_turn_of_the_knob_lasts(name: str) -> None:
    factory, curve = CURVES[name]
    optimizer = make()
    factory(optimizer).attach()
    trace(optimizer, 4)
    optimizer.set_alpha(100.0, "w")
    assert trace(optimizer, 10)[-1] == pytest.approx(100 * curve(13) / curve(4), rel=1e-5)
    assert optimizer.alphas()["b"] == pytest.approx(10 * curve(14), rel=1e-5)


def test_long_periods_restart_at_the_right_step() -> None:
    scheduler = CosineAlpha(make(), period=10, restarts=True, period_mult=2)
    start = 0
    for n in range(40):
        assert scheduler.log_factor(start) == 0.0, n
        assert scheduler.log_factor(start + 10 * 2**n - 1) < -0.1, n
        start += 10 * 2**n


def test_factors_of_a_chain_multiply() -> None:
    optimizer = make()
    curves = [ExponentialAlpha(optimizer, gamma=0.5), ExponentialAlpha(optimizer, gamma=3.0)]
    ChainedAlpha(curves).attach()
    assert trace(optimizer, 3) == pytest.approx([10.0, 15.0, 22.5])


def test_a_chain_of_strangers_is_refused() -> None:
    optimizer = make()
    one = ExponentialAlpha(optimizer, gamma=0.5)
    with pytest.raises(ValueError, match="none given"):
        ChainedAlpha([])
    with pytest.raises(ValueError, match="number 1 is of another optimizer"):
        ChainedAlpha([one, ExponentialAlpha(make(), gamma=0.5)])
    with pytest.raises(ValueError, match="number 0 is attached"):
        ChainedAlpha([one.attach()])
    state = ChainedAlpha([ExponentialAlpha(make(), gamma=0.5)]).state_dict()
    two = ChainedAlpha([ExponentialAlpha(optimizer), ExponentialAlpha(optimizer)])
    with pytest.raises(ValueError, match="for 1 schedulers, must be for 2"):
        two.load_state_dict(state)


def test_a_sequence_makes_each_scheduler_in_its_turn() -> None:
    optimizer = make()
    sequence = SequentialAlpha(
        optimizer,
        schedulers=[
            lambda o: ExponentialAlpha(o, gamma=0.5),
            lambda o: SqrtDAlpha(o, k=2.0),
            lambda o: ExponentialAlpha(o, gamma=2.0),
        ],
        milestones=[2, 4],
    ).attach()
    assert trace(optimizer, 7) == pytest.approx([10.0, 5.0, 2.5, 4.0, 4.0, 8.0, 16.0])
    assert isinstance(sequence.current, ExponentialAlpha)
    for milestones in ([1], [3, 2], [0, 1], [2, 2]):
        with pytest.raises(ValueError, match="Invalid milestones"):
            SequentialAlpha(make(), schedulers=[SqrtDAlpha] * 3, milestones=milestones)


@pytest.mark.parametrize("curve", ["linear", "cosine"])
def test_mix_goes_from_one_end_to_the_other(curve: Any) -> None:
    optimizer = make()
    optimizer.set_mix(0.3, "b", pin=True)
    MixScheduler(optimizer, start=0.2, end=0.8, total_steps=4, curve=curve).attach()
    seen = []
    for _ in range(6):
        seen.append(optimizer.mixes()["w"])
        optimizer.step()
    phases = [min(t / 4, 1) for t in range(6)]
    if curve == "cosine":
        phases = [(1 - math.cos(math.pi * phase)) / 2 for phase in phases]
    assert seen == pytest.approx([0.2 + 0.6 * phase for phase in phases])
    assert optimizer.mixes()["b"] == pytest.approx(0.3)
    assert set(optimizer.alphas().values()) == {10.0}


@pytest.mark.parametrize(
    ("options", "metrics", "changes"),
    [
        ({"patience": 2}, [1.0, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5], [4, 8]),
        ({"patience": 0, "cooldown": 2}, [1.0, 1.0, 1.0, 1.0, 1.0], [1, 4]),
        ({"patience": 0, "mode": "max"}, [1.0, 2.0, 3.0, 3.0], [3]),
        ({"patience": 0, "threshold": 0.5}, [1.0, 0.6, 0.4], [1]),
        ({"patience": 0, "threshold": 0.3, "threshold_mode": "abs"}, [1.0, 0.6, 0.4], [2]),
        ({"patience": 0, "mode": "max", "threshold": 0.5}, [-1.0, -0.6, -0.4], [1]),
        ({"patience": 1}, [math.nan, math.nan, 1.0, math.nan], [1]),
    ],
)
def test_a_plateau_changes_alpha(
    options: dict[str, Any], metrics: list[float], changes: list[int]
) -> None:
    optimizer = make(8.0)
    scheduler = PlateauAlpha(optimizer, **options)
    optimizer.step()
    seen = []
    for i, metric in enumerate(metrics):
        before = optimizer.alphas()["w"]
        scheduler.step(metric)
        if optimizer.alphas()["w"] == before / 2:
            seen.append(i)
        else:
            assert optimizer.alphas()["w"] == before
    assert seen == changes


def test_a_plateau_keeps_to_its_bounds_but_moves_nothing_back() -> None:
    optimizer = make([3.0, 0.5])
    scheduler = PlateauAlpha(optimizer, patience=0, min_alpha=1.0)
    optimizer.step()
    for _ in range(4):
        scheduler.step(1.0)
    assert optimizer.alphas() == {"w": 1.0, "b": 0.5}
    with pytest.raises(TypeError, match="needs a metric"):
        scheduler.attach()


def test_a_plateau_that_comes_before_the_first_step_is_not_forgotten() -> None:
    optimizer = make(8.0)
    scheduler = PlateauAlpha(optimizer, patience=1)
    for _ in range(2):
        scheduler.step(1.0)
    with pytest.warns(UserWarning, match="call optimizer.step\\(\\) first"):
        scheduler.step(1.0)
    optimizer.step()
    scheduler.step(1.0)
    assert optimizer.alphas() == {"w": 4.0, "b": 4.0}


def test_a_sequence_refuses_a_scheduler_that_is_attached() -> None:
    def attached(optimizer: AlphaGrad) -> ExponentialAlpha:
        return ExponentialAlpha(optimizer, gamma=0.5).attach()

    optimizer = make()
    with pytest.raises(ValueError, match="number 0 is attached, it would step twice"):
        SequentialAlpha(optimizer, schedulers=[attached], milestones=[])
    parts = [lambda o: ExponentialAlpha(o, gamma=0.5), attached]
    SequentialAlpha(optimizer, schedulers=parts, milestones=[1]).attach()
    optimizer.step()
    with pytest.raises(ValueError, match="number 1 is attached"):
        optimizer.step()


@pytest.mark.parametrize(
    ("make_it", "options", "message"),
    [
        (LinearAlpha, {"start_factor": 0.0}, "Invalid start_factor: 0.0, must be finite"),
        (LinearAlpha, {"total_steps": 0}, "Invalid total_steps: 0, must be a whole number"),
        (LinearAlpha, {"total_steps": math.inf}, "Invalid total_steps: inf"),
        (LinearAlpha, {"total_steps": math.nan}, "Invalid total_steps: nan"),
        (CosineAlpha, {"period": 1.5}, "Invalid period: 1.5"),
        (ExponentialAlpha, {"gamma": -1.0}, "Invalid gamma: -1.0"),
        (ExponentialAlpha, {"gamma": 0.9, "end_factor": 2.0}, "Invalid end_factor: 2.0, must be <"),
        (LambdaAlpha, {"alpha_lambda": lambda step: -step}, "Invalid factor: 0 at step 0"),
        (MixScheduler, {"end": 2.0}, r"Invalid end: 2.0, must be a number, in \[0, 1\]"),
        (MixScheduler, {"curve": "step"}, "Invalid curve: 'step'"),
        (PlateauAlpha, {"factor": 1.0}, "Invalid factor: 1.0, must differ from 1"),
        (PlateauAlpha, {"mode": "mean"}, "Invalid mode: 'mean'"),
        (PlateauAlpha, {"patience": -1}, "Invalid patience: -1"),
        (PlateauAlpha, {"min_alpha": 2.0, "max_alpha": 1.0}, "Invalid min_alpha: 2.0"),
        (PlateauAlpha, {"threshold_mode": "x"}, "Invalid threshold_mode: 'x'"),
    ],
)
def test_bad_arguments_are_named(
    make_it: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    optimizer = make()
    with pytest.raises(ValueError, match=message):
        make_it(optimizer, **options)
    assert set(optimizer.alphas().values()) == {10.0}


def test_a_curve_through_points_is_straight_in_the_logarithm() -> None:
    curve = PointCurve([(2, 4.0), (4, 1.0), (14, 0.01)])
    steps = [0, 2, 3, 4, 9, 14, 10**9]
    assert [curve(step) for step in steps] == pytest.approx([4, 4, 2, 1, 0.1, 0.01, 0.01])
    assert [PointCurve([(5, 0.5)])(step) for step in (0, 5, 9)] == [0.5] * 3
    optimizer = make()
    LambdaAlpha(optimizer, alpha_lambda=curve).attach()
    assert trace(optimizer, 6) == pytest.approx([10 * curve(t) for t in range(6)], rel=1e-5)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "Invalid points: none given"),
        ([(1, 1.0), (1, 2.0)], r"Invalid steps of points: \[1, 1\], must be rising"),
        ([(-1, 1.0)], r"Invalid steps of points: \[-1\]"),
        ([(0, 0.0)], "Invalid factor: 0.0, must be finite and > 0"),
    ],
)
def test_points_without_sense_are_refused(points: list[tuple[int, float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PointCurve(points)


@pytest.mark.parametrize("masked", [[0, 1], [4], [3, 7, 9]])
def test_a_curve_makes_up_for_the_steps_that_a_grad_scaler_masks(masked: list[int]) -> None:
    optimizer, plain = make(), make()
    for one in (optimizer, plain):
        LinearAlpha(one, start_factor=0.1, total_steps=10).attach()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for step in range(12):
        before = optimizer.alphas()
        for p in optimizer.param_groups[0]["params"]:
            p.grad = scaler.scale(torch.full_like(p, math.inf if step in masked else 1.0))
        scaler.step(optimizer)
        scaler.update()
        plain.step()
        if step in masked:
            assert optimizer.alphas() == before
        else:
            assert optimizer.alphas() == pytest.approx(plain.alphas(), rel=1e-5)


def test_a_curve_that_is_made_in_a_masked_step_begins_with_the_next() -> None:
    optimizer = make()
    optimizer.found_inf = torch.tensor(1.0)  # type: ignore[attr-defined]
    LinearAlpha(optimizer, start_factor=0.5, total_steps=5).attach()
    assert optimizer.alphas() == {"w": 10.0, "b": 10.0}
    del optimizer.found_inf  # type: ignore[attr-defined]
    optimizer.step()
    assert optimizer.alphas() == pytest.approx({"w": 6.0, "b": 6.0})


@pytest.mark.parametrize("steps", [300_000, 3_000_000])
def test_a_long_curve_ends_where_it_is_to(steps: int) -> None:
    optimizer = make(alpha=16.0)
    optimizer.step()
    scheduler = ExponentialAlpha(optimizer, gamma=0.1 ** (1 / steps))
    for at in range(steps - 20_000, steps + 1):  # the last part of the way, step by step
        scheduler.last_step = at - 1
        scheduler.step()
    expected = 16.0 * 0.1 ** (20_001 / steps)
    assert optimizer.alphas()["w"] == pytest.approx(expected, rel=3e-5)


def test_a_state_of_an_older_version_goes_on() -> None:
    optimizer = make()
    optimizer.step()
    scheduler = ExponentialAlpha(optimizer, gamma=0.5)
    scheduler.step()
    state = scheduler.state_dict()
    del state["_due"]
    other = make(alpha=5.0)
    other.step()
    resumed = ExponentialAlpha(other, gamma=0.5)
    resumed.load_state_dict(state)
    resumed.step()
    assert (resumed.last_step, other.alphas()["w"]) == (2, 2.5)

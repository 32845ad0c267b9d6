"""Every rule for α, from a study's parameters to its scheduler."""

import math
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from alphagrad.scheduler import (
    AlphaScheduler,
    Band,
    BandSchedule,
    ChainedAlpha,
    CosineAlpha,
    DynAGAlpha,
    ExponentialAlpha,
    LambdaAlpha,
    LinearAlpha,
    MixScheduler,
    PlateauAlpha,
    SaturationScheduler,
    SequentialAlpha,
)
from alphagrad.studies.alpha_rules import ARGUMENTS
from alphagrad.tuner import Trial, parse_spec
from alphagrad.tuner.space import probe_points
from tests.studies.test_optimizers import build, step

CURVE = {"alpha_start_factor": 0.5, "alpha_end_factor": 2.0}
LAYERS = {"alpha_layers": "w*"}
# By rule: parameters that give each argument, the class, and attributes that say they arrived.
RULES: dict[str, tuple[dict[str, Any], type[AlphaScheduler], dict[str, Any]]] = {
    "saturation": (
        {
            "alpha_band_low": 0.1, "alpha_band_high": 0.2, "alpha_band_end_low": 0.2,
            "alpha_band_end_high": 0.4, "alpha_band_steps": 7, "alpha_gain": 1.0,
            "alpha_max_log_step": 0.3, "alpha_k_min": 0.1, "alpha_k_max": 9.0,
            "alpha_min_numel": 8, "alpha_start": "keep", "alpha_tau": 3.0,
        },
        SaturationScheduler,
        {
            "band": BandSchedule(Band(0.1, 0.2), Band(0.2, 0.4), total_steps=7),
            "k_min": 0.1, "k_max": 9.0, "min_numel": 8, "tau": 3.0,
        },
    ),
    "linear": (
        CURVE | {"alpha_total_steps": 9},
        LinearAlpha,
        {"start_factor": 0.5, "end_factor": 2.0, "total_steps": 9},
    ),
    "cosine": (
        CURVE | {"alpha_period": 9, "alpha_restarts": True, "alpha_period_mult": 2},
        CosineAlpha,
        {"start_factor": 0.5, "end_factor": 2.0, "period": 9, "restarts": True, "period_mult": 2},
    ),
    "exponential": (
        {"alpha_gamma": 0.9, "alpha_end_factor": 0.1},
        ExponentialAlpha,
        {"gamma": 0.9, "end_factor": 0.1},
    ),
    "lambda": ({"alpha_points": [[0, 1.0], [4, 0.25]]}, LambdaAlpha, {}),
    "plateau": (
        {
            "alpha_mode": "max", "alpha_factor": 2.0, "alpha_patience": 3, "alpha_threshold": 0.1,
            "alpha_threshold_mode": "abs", "alpha_cooldown": 2, "alpha_min": 2.0, "alpha_max": 9.0,
        },
        PlateauAlpha,
        {
            "mode": "max", "factor": 2.0, "patience": 3, "threshold": 0.1,
            "threshold_mode": "abs", "cooldown": 2, "min_alpha": 2.0, "max_alpha": 9.0,
        },
    ),
    "dynag": (
        {
            "alpha_target": 0.2, "alpha_power": 0.5, "alpha_size_power": 0.0, "alpha_rate": 0.3,
            "alpha_every": 2, "alpha_k_max": 9.0, "alpha_tau": 2.0,
        },
        DynAGAlpha,
        {
            "target": 0.2, "power": 0.5, "size_power": 0.0, "rate": 0.3, "every": 2,
            "k_max": 9.0, "tau": 2.0,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("as_part", [False, True])
def test_each_rule_is_reached_with_each_of_its_arguments(rule: str, as_part: bool) -> None:
    arguments, kind, attributes = RULES[rule]
    arguments = arguments | LAYERS
    assert set(arguments) == set(ARGUMENTS[rule])
    if as_part:
        part = {"rule": rule} | {n.removeprefix("alpha_"): v for n, v in arguments.items()}
        optimizer, chain = build(alpha_rule="chained", alpha_parts=[part])
        assert isinstance(chain, ChainedAlpha)
        [scheduler] = chain.schedulers
        assert chain.attached
    else:
        optimizer, built = build(alpha_rule=rule, **arguments)
        assert built is not None
        scheduler = built
        assert scheduler.attached != (rule == "plateau")
    assert type(scheduler) is kind
    assert scheduler.layers == "w*"
    assert {name: getattr(scheduler, name) for name in attributes} == attributes
    bias = optimizer.alphas()["bias"]
    step(optimizer, 3)
    assert optimizer.alphas()["bias"] == bias


@pytest.mark.parametrize("rule", ["saturation", "linear", "cosine", "dynag", "plateau"])
def test_left_out_arguments_have_the_schedulers_defaults(rule: str) -> None:
    _, scheduler = build(alpha_rule=rule)
    assert scheduler is not None
    other = type(scheduler)(build()[0])
    assert scheduler.state_dict().keys() == other.state_dict().keys()
    for name, value in other.state_dict().items():
        assert repr(scheduler.state_dict()[name]) == repr(value), name


def test_points_give_a_curve() -> None:
    optimizer, _ = build(alpha=8.0, alpha_rule="lambda", alpha_points=[[0, 1.0], [2, 0.25]])
    seen = []
    for _ in range(4):
        seen.append(optimizer.alphas()["bias"])
        step(optimizer)
    assert seen == pytest.approx([8.0, 4.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("params", "weight", "bias"),
    [
        ({}, 1.5 * math.sqrt(600), 1.5 * math.sqrt(20)),
        ({"alpha": 9.0}, 9.0, 9.0),
        ({"alpha": 9.0} | LAYERS, 9.0, 1.5 * math.sqrt(20)),
        ({"alpha_rule": "sqrt_d", "k": 2.0}, 2 * math.sqrt(600), 2 * math.sqrt(20)),
        ({"alpha_rule": "sqrt_d", "k": 2.0, "alpha_d": "fan_in"}, 2 * 30**0.5, 2 * 20**0.5),
        ({"alpha_rule": "sqrt_d", "alpha": 9.0, "k": 2.0} | LAYERS, 2 * math.sqrt(600), 9.0),
        (
            {"alpha_rule": "sqrt_d", "alpha_saturation": 0.05, "alpha_tau": 3.0} | LAYERS,
            3.0 / 1.959963985 * math.sqrt(600),
            1.5 * math.sqrt(20),
        ),
    ],
)
def test_an_alpha_that_stays_is_set_once_and_left_to_the_knob(
    params: dict[str, Any], weight: float, bias: float
) -> None:
    optimizer, scheduler = build(**params)
    assert scheduler is None
    assert optimizer.alphas() == pytest.approx({"weight": weight, "bias": bias})
    optimizer.set_alpha(77.0)
    step(optimizer)
    assert optimizer.alphas() == {"weight": 77.0, "bias": 77.0}


def test_a_sequence_of_parts_takes_turns() -> None:
    optimizer, scheduler = build(
        alpha_rule="sequential",
        alpha_milestones=[2, 3],
        alpha_parts=[
            {"rule": "constant", "alpha": 8.0},
            {"rule": "sqrt_d", "k": 1.0, "layers": "bias"},
            {"rule": "exponential", "gamma": 0.5},
        ],
    )
    assert isinstance(scheduler, SequentialAlpha)
    seen = [optimizer.alphas()["bias"]]
    for _ in range(4):
        step(optimizer)
        seen.append(optimizer.alphas()["bias"])
    root = math.sqrt(20)
    assert seen == pytest.approx([8.0, 8.0, 8.0, root, root / 2])


def test_parts_act_on_their_own_layers_at_once() -> None:
    optimizer, _ = build(
        alpha=8.0,
        alpha_rule="chained",
        alpha_parts=[
            {"rule": "exponential", "gamma": 0.5, "layers": "weight"},
            {"rule": "constant", "alpha": 3.0, "layers": "bias"},
        ],
    )
    step(optimizer, 2)
    assert optimizer.alphas() == {"weight": 2.0, "bias": 3.0}


def test_a_plateau_follows_what_the_task_reports() -> None:
    params = {"alpha": 8.0, "alpha_rule": "plateau", "alpha_patience": 0, "alpha_mode": "max"}
    optimizer, scheduler = build(**params)
    trial = Trial(params={})
    trial.watch(optimizer, scheduler)
    step(optimizer)
    for number, value in enumerate([0.5, 0.6, 0.6, 0.4]):
        trial.report(value, number)
    assert optimizer.alphas() == {"weight": 2.0, "bias": 2.0}


@pytest.mark.parametrize("rule", ["constant", "plateau", "sequential"])
def test_mix_moves_beside_any_rule(rule: str) -> None:
    more: dict[str, Any] = {}
    if rule == "sequential":
        parts = [{"rule": "plateau"}, {"rule": "saturation"}]
        more = {"alpha_parts": parts, "alpha_milestones": [1]}
    optimizer, scheduler = build(
        alpha_rule=rule, mix=0.0, mix_end=1.0, mix_total_steps=4, mix_curve="cosine",
        mix_layers="w*", **more,
    )  # fmt: skip
    assert scheduler is not None
    assert scheduler.attached
    assert isinstance(scheduler, MixScheduler if rule == "constant" else ChainedAlpha)
    step(optimizer, 2)
    assert optimizer.mixes() == pytest.approx({"weight": 0.5, "bias": 0.0})
    scheduler.observe(1.0)


ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(
    r"^```toml\n(.*?)^```",
    (ROOT / "docs/schedulers.md").read_text(encoding="utf-8"),
    flags=re.M | re.S,
)


@pytest.mark.parametrize(
    ("text", "kind"),
    list(zip(EXAMPLES, [SaturationScheduler, PlateauAlpha, SequentialAlpha], strict=True)),
)
def test_study_files_in_the_docs_build_what_they_say(text: str, kind: type[AlphaScheduler]) -> None:
    body = {"name": "example", "task": "digits", "n_trials": 1} | tomllib.loads(text)
    for _, point in probe_points(parse_spec(body).params):
        optimizer, scheduler = build(nn.Sequential(nn.Linear(3, 2)).named_parameters(), **point)
        assert type(scheduler) is kind
        step(optimizer, 2)


def test_the_docs_list_every_rule_with_its_arguments() -> None:
    page = (ROOT / "docs/schedulers.md").read_text(encoding="utf-8")
    for rule, names in ARGUMENTS.items():
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{rule}` |")]
        assert set(re.findall("`(alpha_.*?)`", row)) == {*names} - {"alpha_layers"}

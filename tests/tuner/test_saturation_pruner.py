"""A trial whose layers stay saturated, or stay linear, is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphagrad.tuner import StudySpec, parse_spec, run_study
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import NonRetryableError, SpecError
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.pruners import Saturation
from alphagrad.tuner.saturation_pruner import SaturationPruner
from alphagrad.tuner.saturation_window import SaturationWindow
from alphagrad.tuner.settings import TunerSettings
from tests.marks import on_sqlite

NAN = float("nan")


def pruner(*rows: list[float], names: str = "abcd", **options: Any) -> SaturationPruner:
    """A pruner that was shown one row of saturations for each of the steps 1, 2, …"""
    defaults: dict[str, Any] = {"type": "saturation", "window": 4, "share": 0.75}
    made = SaturationPruner(Saturation.model_validate(defaults | options))
    made.window.names = list(names[: max(len(row) for row in rows)])
    arrays = [np.array(row, dtype=np.float32) for row in rows]
    made.window.extend(range(1, len(rows) + 1), arrays)
    return made


HIGH, LOW = [0.9, 0.1], [0.001, 0.1]


@pytest.mark.parametrize(
    ("rows", "options", "stops"),
    [
        ([HIGH] * 4, {}, True),
        ([HIGH] * 3, {}, False),  # not enough samples yet
        ([HIGH] * 3 + [LOW], {}, True),
        ([HIGH] * 2 + [LOW] * 2, {}, False),
        ([LOW] * 9 + [HIGH] * 4, {}, True),  # only the last four count
        ([HIGH] * 9 + [LOW] * 4, {}, False),
        ([HIGH] * 4, {"layer_share": 0.6}, False),  # one of two layers
        ([HIGH] * 4, {"high": 0.95}, False),
        ([HIGH] * 4, {"layers": "b"}, False),
        ([HIGH] * 4, {"layers": "[a]"}, True),
        ([HIGH] * 4, {"n_warmup_steps": 1}, True),
        ([HIGH] * 4, {"n_warmup_steps": 2}, False),
        ([LOW] * 4, {"low": 0.01}, True),
        ([LOW] * 4, {"low": 0.01, "high": None}, True),
        ([HIGH] * 4, {"low": 0.01, "high": None}, False),
        # A layer that goes from one end to the other is stuck at neither.
        ([HIGH, LOW] * 2, {"low": 0.01}, False),
        # What was not measured does not count, for a step or for a whole layer.
        ([[0.9, NAN], [NAN, NAN], [0.9, NAN], [0.9, NAN]], {"layer_share": 1.0}, True),
        ([[NAN, NAN]] * 4, {}, False),
        # One that was measured now and then, of gradients below ε say, is stuck at nothing.
        ([[0.9, NAN], [NAN, NAN], [NAN, NAN], [0.9, NAN]], {}, False),
        # A second optimizer was watched later: the rows before are shorter.
        ([[0.1], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]], {}, True),
        ([[0.1], [0.1], [0.1, 0.9], [0.1, 0.9]], {}, False),
    ],
)
def test_when_a_trial_is_stopped(
    rows: list[list[float]], options: dict[str, Any], stops: bool
) -> None:
    assert (pruner(*rows, **options).reason() is not None) == stops


def test_the_reason_names_the_layers() -> None:
    rows = [[0.9, 0.9, 0.9, 0.001]] * 4
    assert pruner(*rows, low=0.01).reason() == (
        "by the saturation pruner: 4 of 4 layers are stuck in 75% of the last 4 samples: "
        "a (saturated), b (saturated), c (saturated) and 1 more"
    )
    assert str(pruner(*rows, low=0.01, layers="d").reason()).endswith(": d (linear)")


def test_a_glob_that_matches_no_layer_is_named() -> None:
    with pytest.raises(NonRetryableError, match=r"layers='q\.\*' matches no layer; .* are a, b"):
        pruner(HIGH, layers="q.*").reason()
    silent = SaturationPruner(Saturation(type="saturation", layers="q.*"))
    assert silent.reason() is None  # an optimizer without α, such as Adam


Rows = st.lists(
    st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.8, NAN]), min_size=3, max_size=3), max_size=12
)


@given(rows=Rows, size=st.integers(1, 6), first=st.integers(0, 8), cuts=st.integers(1, 4))
def test_the_shares_are_those_of_the_samples_in_the_window(
    rows: list[list[float]], size: int, first: int, cuts: int
) -> None:
    window = SaturationWindow(size, first_step=first, layers="[ac]")
    window.names = ["a", "b", "c"]
    for start in range(0, len(rows), cuts):  # as the trial's messages come
        part = [np.array(row, np.float32) for row in rows[start : start + cuts]]
        window.extend(range(start, start + len(part)), part)
    kept = rows[first:][-size:]
    assert window.is_full == (len(kept) == size)
    shares = window.shares(high=0.5, low=0.2)
    expected = {}
    for name, place in (("a", 0), ("c", 2)):
        if seen := [row[place] for row in kept if row[place] == row[place]]:
            above = sum(np.float32(value) > 0.5 for value in seen) / len(kept)
            expected[name] = above, sum(np.float32(value) < 0.2 for value in seen) / len(kept)
    assert shares.layers == list(expected)
    assert list(zip(shares.above, shares.below, strict=True)) == list(expected.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"high": None}, "needs high, low or both"),
        ({"low": 0.5}, "low=0.5 must be below high=0.5"),
        ({"high": 1.5}, "less than 1"),
        ({"share": 0.0}, "greater than 0"),
        ({"window": 0}, "greater than or equal to 1"),
        ({"value_pruner": {"type": "none"}}, "'none'"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    body = {"name": "s", "task": "digits", "n_trials": 1}
    with pytest.raises(SpecError, match=message) as caught:
        parse_spec(body | {"pruner": {"type": "saturation", **changes}})
    assert caught.value.errors[0].field.startswith("pruner")


def test_saturated_trials_of_a_study_are_stopped(
    settings: TunerSettings, database: Database, spec: Callable[..., StudySpec]
) -> None:
    alpha = {"type": "categorical", "choices": [1.0, 1e5]}
    judged = {"type": "saturation", "window": 12, "layers": "*.weight", "n_warmup_steps": 2}
    threshold = {"type": "threshold", "upper": 0.0, "n_warmup_steps": 4}
    one = spec(
        n_trials=2,
        parallelism=2,
        sampler={"type": "grid"},
        params={"epochs": 9, "batch_size": 256, "hidden_sizes": [8], "alpha": alpha},
        pruner=judged | {"value_pruner": threshold},
    )
    run_study(one, settings)
    by_value, by_saturation = list_trials(database, "s")
    assert {by_value.state, by_saturation.state} == {"PRUNED"}
    assert by_value.error == "by the threshold pruner at step 4"
    # Six steps an epoch: 12 samples after the warm-up are there at the third report.
    assert by_saturation.error == (
        "by the saturation pruner: 2 of 2 layers are stuck in 90% of the last 12 samples: "
        "hidden1.weight (saturated), logits.weight (saturated)"
    )
    log = settings.log_path("s", 1).read_text()
    assert f"PRUNED {by_saturation.error}" in log


RESUMED = """
@task("two-lives")
def two_lives(trial):
    import torch
    from alphagrad.optim import AlphaGrad
    done = (trial.load_checkpoint() or {"step": 0})["step"]
    weight = torch.nn.Parameter(torch.ones(8, 8))
    optimizer = AlphaGrad([("weight", weight)], lr=1e-3, alpha=1e4)
    step = done
    trial.watch(optimizer, step=lambda: step)

    def train(until):
        nonlocal step
        while step < until:
            step += 1
            weight.grad = torch.ones(8, 8)
            optimizer.step()

    if trial.attempt == 1:
        train(8)
        trial.save_checkpoint({"step": 8})
        optimizer.set_alpha(1e-3)
        train(12)  # linear steps, which the second attempt does not repeat
        trial.report(1.0, step=12)
        assert not trial.should_prune()
        raise RuntimeError("lost")
    for until in range(done + 1, 12):
        train(until)
        trial.report(float(until), step=until)
        if trial.should_prune():
            raise TrialPruned
    return 0.0

def main():
    study = {"task": "two-lives", "retries": 1}
    pruner = {"type": "saturation", "window": 10, "share": 1.0}
    wrong = {"type": "saturation", "layers": "bias"}
    return run_studies({"a": study | {"pruner": pruner}, "b": study | {"pruner": wrong}})
"""


@on_sqlite
def test_a_resumed_trial_is_judged_by_what_it_did_before(run_script: Callable[..., Any]) -> None:
    ended = run_script(RESUMED)
    [[state, value, error, attempt]] = ended["a"]
    # Eight samples from before the checkpoint and two new ones fill the window. The value is the
    # second attempt's: the first one's report, of a later step, went with its first.
    assert (state, value, attempt) == ("PRUNED", 10.0, 2)
    assert error.endswith("100% of the last 10 samples: weight (saturated)")
    message = "pruner.layers='bias' matches no layer; the layers are weight"
    assert ended["b"] == [["FAIL", None, message, 1]]

"""The statistics beside what they must be where that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from alphagrad.paper.statistics import (
    Estimate,
    collapsed,
    drawdown,
    estimate,
    improvement,
    iqm,
    ratio_of_iqms,
)
from alphagrad.paper.verdicts import compared

Returns = st.lists(st.integers(-1000, 4000).map(float), min_size=2, max_size=12)


@given(Returns, Returns)
def test_improvement_is_the_u_statistic(ours: list[float], theirs: list[float]) -> None:
    expected = mannwhitneyu(ours, theirs).statistic / (len(ours) * len(theirs))
    assert improvement(ours, theirs) == pytest.approx(expected)
    assert improvement(theirs, ours) == pytest.approx(1 - expected)


def test_the_interquartile_mean_does_not_see_the_tails() -> None:
    assert iqm(np.r_[np.arange(20.0), 1e9]) == iqm(np.r_[np.arange(20.0), 20.0])


@pytest.mark.parametrize("size", [8, 20])
def test_intervals_cover_the_truth_about_as_often_as_they_say(size: int) -> None:
    generator = np.random.default_rng(1)
    found = [estimate(iqm, generator.normal(5, 2, size)) for _ in range(150)]
    assert 0.82 <= np.mean([one.low <= 5 <= one.high for one in found]) <= 0.99


def test_the_same_runs_give_the_same_interval() -> None:
    values, others = np.arange(10.0), np.arange(3.0, 9.0)
    assert estimate(improvement, values, others) == estimate(improvement, values, others)
    share = estimate(ratio_of_iqms, values, others)
    assert share.low < share.value < share.high


def test_of_one_run_nothing_is_known_about_the_spread() -> None:
    found = estimate(iqm, [3.0])
    assert found.value == 3.0
    assert np.isnan([found.low, found.high]).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_a_curve_that_only_rises_has_no_drawdown(curve: list[float]) -> None:
    assert drawdown(sorted(curve)) == 0
    assert not collapsed(sorted(curve))
    assert drawdown(curve) >= 0


def test_an_estimate_is_its_value_and_its_interval() -> None:
    assert Estimate(1.0, 0.5, 2.0)._fields == ("value", "low", "high")


@pytest.mark.parametrize(("fewest", "others"), [(3, 3), (3, 5), (10, 10)])
def test_arms_without_a_difference_are_seldom_told_apart(fewest: int, others: int) -> None:
    generator = np.random.default_rng(2)
    verdicts = []
    for _ in range(200):
        ours, theirs = generator.normal(5, 2, fewest), generator.normal(5, 2, others)
        found = estimate(improvement, ours, theirs)
        verdicts.append(compared(found, ours, theirs, above=0.5))
    assert np.mean([one != "not decided" for one in verdicts]) <= 0.1


def test_few_runs_decide_where_all_of_them_agree_and_one_decides_nothing() -> None:
    ours, theirs = np.arange(3.0), np.arange(10.0, 15.0)
    found = estimate(improvement, ours, theirs)
    assert compared(found, ours, theirs, above=0.5) == "refuted"
    assert compared(found, ours, theirs[:3], above=0.5) == "not decided"
    assert compared(found, ours[:1], theirs, above=0.5) == "not decided"

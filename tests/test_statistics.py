"""Statistics over seeds, against closed forms and counts by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from course_lib.training.statistics import (
    Estimate,
    bootstrap_interval,
    expected_best,
    failure_rate,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@settings(deadline=None, derandomize=True)
@given(SCORES)
def test_interquartile_mean_is_the_mean_of_the_sorted_middle(scores):
    ordered, cut = sorted(scores), len(scores) // 4
    middle = ordered[cut : len(scores) - cut]
    assert interquartile_mean(scores) == pytest.approx(sum(middle) / len(middle), abs=1e-6)


def test_interquartile_mean_does_not_see_a_quarter_that_crashed():
    assert interquartile_mean([350] * 6 + [-20, -20]) == 350


def test_interval_of_a_mean_is_the_normal_one_for_many_runs():
    scores = np.random.default_rng(0).normal(5, 2, 400)
    value, low, high = bootstrap_interval([scores], np.mean)
    half = stats.norm.ppf(0.975) * scores.std() / np.sqrt(400)
    assert value == pytest.approx(scores.mean())
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.02)


def test_strata_are_resampled_apart():
    # Two tasks without any spread inside: mixing them would give an interval, strata do not.
    assert bootstrap_interval([[0.0] * 5, [1.0] * 5]) == Estimate(0.5, 0.5, 0.5)
    scores = [[0.0, 0.0, 0.1], [1.0, 1.0, 1.1]]
    _, low, high = bootstrap_interval(scores, np.mean)
    assert 0.5 <= low < high <= 0.6 + 1e-12


def test_the_same_seed_gives_the_same_interval():
    scores = [np.arange(10.0) ** 1.7]
    assert bootstrap_interval(scores) == bootstrap_interval(scores)
    assert bootstrap_interval(scores) != bootstrap_interval(scores, seed=1)


@pytest.mark.parametrize("strata", [[], [[]], [[1.0, np.nan]], [np.zeros((2, 2))]])
def test_what_has_no_interval_is_refused(strata):
    with pytest.raises(ValueError, match=r"strata must|not finite"):
        bootstrap_interval(strata)


@pytest.mark.parametrize("alone", [[[3.0]], [[3.0], [-4.0]]])
def test_a_stratum_of_one_run_is_in_every_resample(alone):
    rest = np.arange(9.0)
    value, low, high = bootstrap_interval([*alone, rest], np.mean)
    n, fixed = len(rest) + len(alone), np.sum(alone)
    own = bootstrap_interval([rest], np.mean)  # the same draws
    np.testing.assert_allclose((value, low, high), (np.array(own) * len(rest) + fixed) / n)
    assert low < value < high


@pytest.mark.parametrize("level", [0, 1, 2, -0.5, math.nan])
def test_a_level_is_a_share(level):
    for interval in (lambda: bootstrap_interval([[1.0, 2.0]], level=level),
                     lambda: failure_rate([1.0, 2.0], 1.5, level)):  # fmt: skip
        with pytest.raises(ValueError, match="level must"):
            interval()


def test_no_resamples_and_no_threshold_are_refused():
    with pytest.raises(ValueError, match="resamples must be at least 1"):
        bootstrap_interval([[1.0, 2.0]], resamples=0)
    with pytest.raises(ValueError, match="threshold must be finite, not nan"):
        failure_rate([1.0, 2.0], math.nan)


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 30), st.integers(1, 30))
def test_wilson_limits_solve_their_quadratic(failed, others):
    n = failed + others
    p, low, high = failure_rate([0.0] * failed + [1.0] * others, 0.5)
    z = stats.norm.ppf(0.975)
    assert p == failed / n
    for q in (low, high):
        assert (p - q) ** 2 == pytest.approx(z**2 * q * (1 - q) / n, abs=1e-9)
    assert low <= p <= high


def test_a_run_that_diverged_failed_and_one_on_the_threshold_did_not():
    assert failure_rate([np.nan, 330.0, 329.9, 400.0], 330).value == 0.5
    with pytest.raises(ValueError, match="N > 0"):
        failure_rate([], 0)


def test_a_profile_is_the_share_above_each_threshold():
    assert performance_profile([1, 2, 2, 5], [0, 1, 2, 4.9, 5]).tolist() == [1, 0.75, 0.25, 0.25, 0]


@settings(deadline=None, derandomize=True)
@given(SCORES, SCORES)
def test_probability_of_improvement_is_mann_and_whitneys_statistic(ours, theirs):
    expected = stats.mannwhitneyu(ours, theirs).statistic / (len(ours) * len(theirs))
    assert probability_of_improvement(ours, theirs) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_expected_best_is_the_mean_over_all_draws(k):
    scores = [3.0, -1.0, 7.0, 7.0]
    draws = [max(draw) for draw in itertools.product(scores, repeat=k)]
    assert expected_best(scores, k) == pytest.approx(np.mean(draws))


def test_comparisons_refuse_what_is_not_a_score():
    with pytest.raises(ValueError, match="finite and of shape"):
        performance_profile([1, np.nan], [0])
    with pytest.raises(ValueError, match="finite and of shape"):
        probability_of_improvement([], [1])
    for k in (0, 1.5, math.nan):
        with pytest.raises(ValueError, match="k must be"):
            expected_best([1], k)

"""What many seeds say: means, intervals, failure rates and comparisons of runs (chapter 13)."""

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..kinds import Count, Range, checked

Level = Annotated[float, Range(0, 1, low_open=True, high_open=True)]


class Estimate(NamedTuple):
    """A number with the limits of its interval."""

    value: float
    low: float
    high: float


def interquartile_mean(scores: ArrayLike, axis: int = 0) -> NDArray:
    """Mean of the middle half: without the lowest and the highest quarter, N / 4 rounded down.

    Parameters
    ----------
    scores : array, shape (..., N, ...)
        Scores of N runs along ``axis``.
    axis : int

    Returns
    -------
    ndarray
        Without that axis.

    References
    ----------
    Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical precipice".
    """
    return stats.trim_mean(scores, 0.25, axis=axis)


def bootstrap_interval(
    strata: Sequence[ArrayLike],
    statistic: Callable[..., NDArray] = interquartile_mean,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """Statistic of all runs, with its stratified percentile bootstrap interval.

    Runs are drawn with replacement within each stratum, so every resample has as many runs of
    every task as there are. A stratum of one run is the same in every resample: what another run of
    that task might have scored is not in the interval.

    Parameters
    ----------
    strata : sequence of arrays, each of shape (N_i,)
        Scores of the runs, one array per task.
    statistic : callable
        Called as ``statistic(scores, axis=-1)`` on the runs of all strata together.
    level : float in (0, 1)
    resamples : int, at least 1
    seed : int
        Decides the resamples.

    Returns
    -------
    Estimate
        The limits equal the value where no run differs from another.

    Raises
    ------
    ValueError
        If a stratum is empty, a score is not a number, or level or resamples are out of range.

    References
    ----------
    Efron and Tibshirani (1993); stratified by task as in Agarwal et al. (2021).
    """
    level, resamples = checked("level", level, Level), checked("resamples", resamples, Count)
    samples = [np.asarray(scores, dtype=float) for scores in strata]
    if not samples or any(sample.ndim != 1 or not len(sample) for sample in samples):
        raise ValueError("strata must be one or more arrays of shape (N,), none of them empty")
    if not all(np.isfinite(sample).all() for sample in samples):
        raise ValueError("a score is not finite: count a run that diverged as a failure instead")

    alone = [sample for sample in samples if len(sample) == 1]  # scipy would not draw from them
    several = [sample for sample in samples if len(sample) > 1]

    def of_all(*drawn: NDArray, axis: int = -1) -> NDArray:
        same = [np.broadcast_to(sample, (*drawn[0].shape[:-1], 1)) for sample in alone]
        return statistic(np.concatenate([*drawn, *same], axis=axis), axis=axis)

    value = float(statistic(np.concatenate(samples), axis=-1))
    if all(np.ptp(sample) == 0 for sample in samples):
        return Estimate(value, value, value)  # scipy would say NaN
    interval = stats.bootstrap(
        several,
        of_all,
        n_resamples=resamples,
        confidence_level=level,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))


def failure_rate(returns: ArrayLike, threshold: float, level: float = 0.95) -> Estimate:
    """Share of runs that failed, with its Wilson score interval.

    Parameters
    ----------
    returns : array, shape (N,)
        Final return of every run; NaN marks one that diverged, which is a failure.
    threshold : float
        Finite. A run on it has not failed.
    level : float in (0, 1)

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If there are no runs, threshold is not finite, or level is out of range.

    References
    ----------
    Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    threshold, level = checked("threshold", threshold, float), checked("level", level, Level)
    returns = np.asarray(returns, dtype=float)
    if returns.ndim != 1 or not len(returns):
        raise ValueError(f"returns must have shape (N,) with N > 0, not {returns.shape}")
    failed = int(np.sum(~(returns >= threshold)))  # NaN >= threshold is false
    interval = stats.binomtest(failed, len(returns)).proportion_ci(level, method="wilson")
    return Estimate(failed / len(returns), float(interval.low), float(interval.high))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> NDArray:
    """Share of runs that score more than each threshold.

    Parameters
    ----------
    scores : array, shape (N,)
    thresholds : array, shape (K,)

    Returns
    -------
    ndarray, shape (K,)
        From 1 for a threshold that all runs pass to 0 for one that none does.

    Raises
    ------
    ValueError
        If there are no runs, or a score is not a number.

    References
    ----------
    Dolan and More (2002); for runs of reinforcement learning Agarwal et al. (2021).
    """
    return np.mean(_runs(scores)[:, None] > np.asarray(thresholds, dtype=float), axis=0)


def probability_of_improvement(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Share of all pairs of runs in which ours scores more; a tie counts as half a pair.

    Parameters
    ----------
    ours : array, shape (N,)
    theirs : array, shape (M,)

    Returns
    -------
    float in [0, 1]
        Mann and Whitney's statistic over N M.

    Raises
    ------
    ValueError
        If either has no runs, or a score is not a number.
    """
    ours, theirs = _runs(ours), np.sort(_runs(theirs))
    below = np.searchsorted(theirs, ours, side="left")  # of theirs, for each of ours
    not_above = np.searchsorted(theirs, ours, side="right")
    return float(np.mean(below + not_above)) / (2 * len(theirs))


def expected_best(scores: ArrayLike, k: int) -> float:
    """Mean of the best of k runs, over all draws of k of the N runs, with replacement.

    Parameters
    ----------
    scores : array, shape (N,)
    k : int, at least 1

    Raises
    ------
    ValueError
        If there are no runs, a score is not a number, or k is no integer or less than 1.
    """
    k = checked("k", k, Count)
    ordered = np.sort(_runs(scores))
    at_most = np.arange(len(ordered) + 1) / len(ordered)  # chance that a run ranks so low
    return float(ordered @ np.diff(at_most**k))


def _runs(scores: ArrayLike) -> NDArray:
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(
            f"scores must be finite and of shape (N,) with N > 0, not of shape {scores.shape}: "
            "count a run that diverged by its last evaluation, or as a failure"
        )
    return scores

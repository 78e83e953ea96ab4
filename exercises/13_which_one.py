"""Exercise 13: which one. Write the functions, then run ``pytest exercises/``."""

# %%
import numpy as np


# %%
def interquartile_mean(scores):
    """Return the mean of the middle half of the runs, for every evaluation by itself.

    Parameters
    ----------
    scores : ndarray, shape (N, K)
        Scores of N runs, at least 3, at each of K evaluations.

    Returns
    -------
    ndarray, shape (K,)
        Entry k is a mean over the scores of evaluation k without the lowest quarter and without
        the highest quarter of them. Where N is not divisible by 4, a quarter is N / 4 rounded
        down, so of 6 or 7 runs one goes at either end, of 3 runs none. Every score that stays
        counts fully. This is ``scipy.stats.trim_mean(scores, 0.25)``.
    """
    raise NotImplementedError("Write interquartile_mean here.")


# %%
def bootstrap_interval(scores, indices, level):
    """Return the percentile bootstrap interval of the interquartile mean of some runs.

    It may call `interquartile_mean`.

    Parameters
    ----------
    scores : ndarray, shape (N,)
        One score per run.
    indices : ndarray of int, shape (B, N)
        Row b says which N runs, drawn with replacement, form resample b.
    level : float in (0, 1)
        Share of the resampled statistics that the interval holds, such as 0.95.

    Returns
    -------
    tuple of two floats, not an array
        Lower and upper limit: the quantiles of the B interquartile means, one per resample, that
        leave (1 - level) / 2 below and above. A quantile between two of the B numbers is
        interpolated linearly, as NumPy does by default.
    """
    raise NotImplementedError("Write bootstrap_interval here.")


# %%
def failure_rate(returns, threshold):
    """Return the share of runs that failed, with its 95 % Wilson score interval.

    Parameters
    ----------
    returns : ndarray, shape (N,)
        Final return of every run. NaN marks a run that diverged.
    threshold : float
        A run has failed if its return lies below the threshold, or if it diverged. A run exactly
        on the threshold has not failed.

    Returns
    -------
    tuple of three floats
        The share p of all N runs that failed, then the lower and the upper limit of the interval,
        all three between 0 and 1. With z = 1.959964 (1.96 is near enough), the 97.5 % quantile of
        the standard normal distribution, the limits are the two rates q that solve (p - q)^2 = z^2 q (1 - q) / N. No
        correction for continuity.
    """
    raise NotImplementedError("Write failure_rate here.")

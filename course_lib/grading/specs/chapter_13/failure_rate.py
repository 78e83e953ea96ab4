"""Task 13.3: the share of runs that failed, with its score interval (Wilson 1927)."""

import math

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec

Z = 1.959963984540054  # 97.5 % of a normal distribution lie below
# runs, how many of them lie below the threshold, how many on it, how many have diverged
COUNTS = {
    "five runs, one of them failed": (5, 1, 0, 0),
    "36 runs, four of them failed": (36, 4, 0, 0),
    "six runs, none of them failed": (6, 0, 0, 0),
    "four runs, all of them failed": (4, 4, 0, 0),
    "nine runs, one of which lies exactly on the threshold": (9, 2, 1, 0),
    "ten runs, two of which diverged: their return is NaN": (10, 3, 0, 2),
    "20 runs, 13 of them failed": (20, 13, 0, 0),
}


def probes(generator):
    """Return final returns in any order, and a threshold that is not 0."""
    calls = []
    for title, (runs, failed, equal, diverged) in COUNTS.items():
        threshold = float(generator.choice([-1, 1]) * generator.integers(20, 90)) / 10
        if diverged:  # a NaN that counts as 0, or as a large number, is no failure there
            threshold = -abs(threshold)
        distance = generator.integers(5, 400, size=runs) / 10
        signs = np.where(np.arange(runs) < failed, -1.0, 1.0)
        returns = threshold + signs * distance
        returns[runs - equal :] = threshold
        returns[failed : failed + diverged] = np.nan
        calls.append(Probe(title, (generator.permutation(returns), threshold)))
    near = 4 + np.array([-1.0, -(2.0**-18), 0.0, 2.0**-18, 1.0])
    return [
        *calls,
        Probe("returns a millionth below and above the threshold", (near, 4.0)),
        Probe("returns of about 1e-8", (1e-8 * np.array([1.0, 3.0, 2.0, -1.0]), 2e-8)),
        Probe("a threshold of 0, a run diverged", (np.array([-0.5, np.nan, 0.5, 0.0, 2.0]), 0.0)),
        Probe("a large threshold, a run diverged", (np.array([-5e3, np.nan, 1e4]), 5e3)),
        Probe("a low threshold, a run diverged", (np.array([np.nan, -1e6, -2e6, -3e6]), -4e6)),
        Probe("infinite returns", (np.array([np.inf, -np.inf, 1.0, 2.0]), 1.5)),
        Probe("5000 runs, one of them failed", (np.append(np.arange(4999.0), -1.0), -0.5)),
        Probe("one run, which failed", (np.array([-1.0]), 2.0)),
    ]


def oracle(returns, threshold):
    """Return the share, and the two rates that lie just z standard errors away from it.

    They solve (p - rate)^2 = z^2 rate (1 - rate) / n, a quadratic in the rate.
    """
    n = len(returns)
    failed = sum(1 for r in returns if math.isnan(r) or r < threshold)
    share = failed / n
    low, high = sorted(np.roots([1 + Z * Z / n, -(2 * share + Z * Z / n), share * share]).real)
    return share, low, high


def variant(
    returns,
    threshold,
    *,
    failed="below",
    diverged="failed",
    z=Z,
    centre="wilson",
    spread="wilson",
    divide="both",
    output="limits",
    unit="share",
):
    """Return share and limits by Wilson's formula, with options that commit mistakes."""
    lost = np.isnan(returns)
    below = returns <= threshold if failed == "at most" else returns < threshold
    n = len(returns)
    if diverged == "left out":
        n -= int(lost.sum())
    count = below.sum() + (lost.sum() if diverged == "failed" else 0)
    p = count / n
    shrink = 1 + z**2 / n
    middle = p + z**2 / (2 * n) if centre == "wilson" else p
    inside = {
        "wilson": p * (1 - p) / n + z**2 / (4 * n**2),
        "wald": p * (1 - p) / n,
        "sample": p * (1 - p) / (n - 1 or np.nan) + z**2 / (4 * n**2),
        "n not squared": p * (1 - p) / n + z**2 / (4 * n),
        "not halved": p * (1 - p) / n + z**2 / n**2,
        "of one run": p * (1 - p) + z**2 / (4 * n**2),
        "agresti": middle / shrink * (1 - middle / shrink) / (n + z**2) * shrink**2,
    }[spread]
    half = z * np.sqrt(inside)
    middle = middle / (shrink if divide in ("both", "centre") and centre == "wilson" else 1)
    half = half / (shrink if divide in ("both", "half") and centre == "wilson" else 1)
    scale = {"share": 1.0, "percent": 100.0, "runs": float(n)}[unit]
    low, high = scale * (middle - half), scale * (middle + half)
    p = float(count) if output == "count first" else scale * p
    return {
        "count first": (p, low, high),
        "limits": (p, low, high),
        "width": (p, half, half),
        "centre first": (scale * middle, low, high),
        "swapped": (p, high, low),
        "clipped": (p, max(low, 0.0), min(high, scale)),
        "success": (1 - p, 1 - high, 1 - low),
    }[output]


def exact(returns, threshold):
    """Take the interval of Clopper and Pearson."""
    from scipy.special import betaincinv

    n = len(returns)
    count = int((~(returns >= threshold)).sum())
    low = betaincinv(count, n - count + 1, 0.025) if count else 0.0
    high = betaincinv(count + 1, n - count, 0.975) if count < n else 1.0
    return count / n, low, high


def corrected(returns, threshold):
    """Add the correction for continuity to Wilson's limits."""
    n = len(returns)
    count = int((~(returns >= threshold)).sum())
    p, z = count / n, Z
    low = 2 * n * p + z**2 - 1 - z * np.sqrt(z**2 - 2 - 1 / n + 4 * p * (n * (1 - p) + 1))
    high = 2 * n * p + z**2 + 1 + z * np.sqrt(z**2 + 2 - 1 / n + 4 * p * (n * (1 - p) - 1))
    below, above = low / (2 * (n + z**2)), high / (2 * (n + z**2))
    return p, below if count else 0.0, above if count < n else 1.0


MISTAKES = catalogue(
    """
    wald_interval: centre="share", spread="wald"
        Your interval is the normal approximation about the share. Where no run or every run failed
        it has no width at all, as if six runs could prove that nothing ever fails; with one failure
        in five it reaches below 0. Wilson's interval does neither.
    wald_interval_clipped: centre="share", spread="wald", output="clipped"
        Your interval is the normal approximation about the share, cut off at 0 and 1. Where no run
        failed it still has no width, as if six runs could prove that nothing ever fails.
    centred_on_the_share: centre="share"
        The width under the root is Wilson's, but the interval is centred on the share itself, so
        that it leaves the range from 0 to 1. Wilson's centre is pulled towards one half.
    root_without_the_second_term: spread="wald"
        The centre is Wilson's, but under the root stands the variance of the share alone. Where no
        run failed your interval has no width. Which term under the root stays when the share is 0?
    agresti_coull: spread="agresti"
        You use the normal approximation about Wilson's centre: the interval of Agresti and Coull.
        It is wider, and where no run failed it reaches below 0. Asked for is the score interval.
    quarter_missing: spread="not halved"
        The second term under your root is four times too large. Where no run failed, the lower
        limit must be 0; yours is negative.
    sample_variance: spread="sample"
        Under your root the variance of the share is divided by the number of runs minus one. Where
        no run or every run failed you are right; elsewhere you are a little too wide.
    spread_of_one_run: spread="of one run"
        Under your root stands the variance of one run, not of a share of many. Your interval hardly
        narrows when more runs are made.
    half_width_not_divided: divide="centre"
        The centre is right but the interval is too wide: the fraction in front of Wilson's formula
        holds for the term with the root as well. Where no run failed, your lower limit is not 0.
    centre_not_divided: divide="half"
        The width is right but the interval lies too high: the fraction in front of Wilson's formula
        holds for the centre as well. With four failures in four your upper limit exceeds 1.
    nothing_divided: divide="nothing"
        Neither the centre nor the width is divided by Wilson's denominator. With four failures in
        four your upper limit exceeds 1. The fewer runs, the larger the error.
    one_sided_quantile: z=1.6448536269514722
        Your interval is too narrow: 1.645 belongs to 95 % on one side, which leaves 90 % between
        the limits. How much may lie outside at either end?
    one_standard_error: z=1.0
        Your interval is about half as wide as it should be: it is one standard error to either
        side, which holds about two thirds. Which number of standard errors holds 95 %?
    two_standard_errors: z=2.0
        Your interval is slightly too wide: 2 is only the rule of thumb. Take the 97.5 % quantile
        of the normal distribution; 1.96 is near enough.
    threshold_fails: failed="at most"
        A run whose return lies exactly on the threshold has not failed: failing is being below. The
        probe with nine runs shows it.
    nan_is_no_failure: diverged="succeeded"
        Two runs of the sixth probe diverged, and you count them as successes. NaN is neither below
        nor above anything: every comparison with it is false. Which comparison gives the right
        answer for it by being false?
    nan_left_out: diverged="left out"
        You leave the diverged runs out of the count. Whoever drops the runs that diverged reports
        the failure rate of the rest. A run with NaN has failed, and it is one of the runs.
    success_rate: output="success"
        You return the share of runs that succeeded, with its interval. Both are one minus what is
        asked for.
    percent: unit="percent"
        Your numbers are percentages. Asked for are shares, between 0 and 1.
    number_of_runs: unit="runs"
        Your numbers count runs. Asked for are shares of all runs, between 0 and 1.
    half_widths: output="width"
        You return the half-width of the interval in the place of its limits. The limits are not
        symmetric about the share, so the width alone does not tell them.
    centre_for_the_rate: output="centre first"
        The limits are right, but the first number is the centre of the interval. The rate that is
        reported is the share that was seen; where no run failed, it is 0.
    high_first: output="swapped"
        The limits have changed places. After the rate comes the lower limit, then the upper one.
    clopper_pearson: exact
        Your interval is the one of Clopper and Pearson. It is called exact because it never covers
        too little, and pays with its width. Asked for is the score interval, which has a closed
        form.
    corrected_for_continuity: corrected
        Your interval is Wilson's with a correction for continuity, which makes it wider. Some
        libraries correct by default. Asked for is the plain score interval.
    count_first: output="count first"
        Your limits are right, but the first number is how many runs failed. Asked for is their
        share, which lies between the limits.
    n_not_squared: spread="n not squared"
        Your interval is too wide: under the root, the term with z squared is divided by 4 n where
        it should shrink with the square of n. With many runs it must vanish beside the other term.
    """,
    exact,
    corrected,
)

SPEC = Spec(
    name="failure_rate",
    exercise="13_which_one",
    parameters=("returns", "threshold"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    parts=("rate", "lower limit", "upper limit"),
    seconds=20.0,  # importing scipy.stats takes a while
)

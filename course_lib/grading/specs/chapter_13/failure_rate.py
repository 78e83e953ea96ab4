"""Task 13.3: the share of runs that failed, with its score interval (Wilson 1927)."""

import math

import numpy as np

from ...spec import Mistake, Probe, Spec

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
        distance = generator.integers(5, 400, size=runs) / 10
        signs = np.where(np.arange(runs) < failed, -1.0, 1.0)
        returns = threshold + signs * distance
        returns[runs - equal :] = threshold
        returns[failed : failed + diverged] = np.nan
        calls.append(Probe(title, (generator.permutation(returns), threshold)))
    return calls


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
        "sample": p * (1 - p) / (n - 1) + z**2 / (4 * n**2),
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


MISTAKES = (
    Mistake(
        "wald_interval",
        "Your interval is the normal approximation about the share. Where no run or every run "
        "failed it has no width at all, as if six runs could prove that nothing ever fails; with "
        "one failure in five it reaches below 0. Wilson's interval does neither.",
        {"centre": "share", "spread": "wald"},
    ),
    Mistake(
        "wald_interval_clipped",
        "Your interval is the normal approximation about the share, cut off at 0 and 1. Where no "
        "run failed it still has no width, as if six runs could prove that nothing ever fails.",
        {"centre": "share", "spread": "wald", "output": "clipped"},
    ),
    Mistake(
        "centred_on_the_share",
        "The width under the root is Wilson's, but the interval is centred on the share itself, "
        "so that it leaves the range from 0 to 1. Wilson's centre is pulled towards one half.",
        {"centre": "share"},
    ),
    Mistake(
        "root_without_the_second_term",
        "The centre is Wilson's, but under the root stands the variance of the share alone. Where "
        "no run failed your interval has no width. Which term under the root stays when the share "
        "is 0?",
        {"spread": "wald"},
    ),
    Mistake(
        "agresti_coull",
        "You use the normal approximation about Wilson's centre: the interval of Agresti and "
        "Coull. It is wider, and where no run failed it reaches below 0. Asked for is the score "
        "interval.",
        {"spread": "agresti"},
    ),
    Mistake(
        "quarter_missing",
        "The second term under your root is four times too large. Where no run failed, the lower "
        "limit must be 0; yours is negative.",
        {"spread": "not halved"},
    ),
    Mistake(
        "sample_variance",
        "Under your root the variance of the share is divided by the number of runs minus one. "
        "Where no run or every run failed you are right; elsewhere you are a little too wide.",
        {"spread": "sample"},
    ),
    Mistake(
        "spread_of_one_run",
        "Under your root stands the variance of one run, not of a share of many. Your interval "
        "hardly narrows when more runs are made.",
        {"spread": "of one run"},
    ),
    Mistake(
        "half_width_not_divided",
        "The centre is right but the interval is too wide: the fraction in front of Wilson's "
        "formula holds for the term with the root as well. Where no run failed, your lower limit "
        "is not 0.",
        {"divide": "centre"},
    ),
    Mistake(
        "centre_not_divided",
        "The width is right but the interval lies too high: the fraction in front of Wilson's "
        "formula holds for the centre as well. With four failures in four your upper limit "
        "exceeds 1.",
        {"divide": "half"},
    ),
    Mistake(
        "nothing_divided",
        "Neither the centre nor the width is divided by Wilson's denominator. With four failures "
        "in four your upper limit exceeds 1. The fewer runs, the larger the error.",
        {"divide": "nothing"},
    ),
    Mistake(
        "one_sided_quantile",
        "Your interval is too narrow: 1.645 belongs to 95 % on one side, which leaves 90 % "
        "between the limits. How much may lie outside at either end?",
        {"z": 1.6448536269514722},
    ),
    Mistake(
        "one_standard_error",
        "Your interval is about half as wide as it should be: it is one standard error to either "
        "side, which holds about two thirds. Which number of standard errors holds 95 %?",
        {"z": 1.0},
    ),
    Mistake(
        "two_standard_errors",
        "Your interval is slightly too wide: 2 is only the rule of thumb. Take the quantile of "
        "the normal distribution with at least five digits.",
        {"z": 2.0},
    ),
    Mistake(
        "threshold_fails",
        "A run whose return lies exactly on the threshold has not failed: failing is being below. "
        "The probe with nine runs shows it.",
        {"failed": "at most"},
    ),
    Mistake(
        "nan_is_no_failure",
        "Two runs of the sixth probe diverged, and you count them as successes. NaN is neither "
        "below nor above anything: every comparison with it is false. Which comparison gives the "
        "right answer for it by being false?",
        {"diverged": "succeeded"},
    ),
    Mistake(
        "nan_left_out",
        "You leave the diverged runs out of the count. Whoever drops the runs that diverged "
        "reports the failure rate of the rest. A run with NaN has failed, and it is one of the "
        "runs.",
        {"diverged": "left out"},
    ),
    Mistake(
        "success_rate",
        "You return the share of runs that succeeded, with its interval. Both are one minus what "
        "is asked for.",
        {"output": "success"},
    ),
    Mistake(
        "percent",
        "Your numbers are percentages. Asked for are shares, between 0 and 1.",
        {"unit": "percent"},
    ),
    Mistake(
        "number_of_runs",
        "Your numbers count runs. Asked for are shares of all runs, between 0 and 1.",
        {"unit": "runs"},
    ),
    Mistake(
        "half_widths",
        "You return the half-width of the interval in the place of its limits. The limits are not "
        "symmetric about the share, so the width alone does not tell them.",
        {"output": "width"},
    ),
    Mistake(
        "centre_for_the_rate",
        "The limits are right, but the first number is the centre of the interval. The rate that "
        "is reported is the share that was seen; where no run failed, it is 0.",
        {"output": "centre first"},
    ),
    Mistake(
        "high_first",
        "The limits have changed places. After the rate comes the lower limit, then the upper one.",
        {"output": "swapped"},
    ),
    Mistake(
        "clopper_pearson",
        "Your interval is the one of Clopper and Pearson. It is called exact because it never "
        "covers too little, and pays with its width. Asked for is the score interval, which has a "
        "closed form.",
        function=exact,
    ),
    Mistake(
        "corrected_for_continuity",
        "Your interval is Wilson's with a correction for continuity, which makes it wider. Some "
        "libraries correct by default. Asked for is the plain score interval.",
        function=corrected,
    ),
    Mistake(
        "count_first",
        "Your limits are right, but the first number is how many runs failed. Asked for is their "
        "share, which lies between the limits.",
        {"output": "count first"},
    ),
    Mistake(
        "n_not_squared",
        "Your interval is too wide: under the root, the term with z squared is divided by 4 n where "
        "it should shrink with the square of n. With many runs it must vanish beside the other "
        "term.",
        {"spread": "n not squared"},
    ),
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

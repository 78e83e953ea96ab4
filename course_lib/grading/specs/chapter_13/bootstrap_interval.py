"""Task 13.2: the percentile bootstrap interval of the interquartile mean."""

import math

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec

SIZES = {
    "four runs, nine resamples, level 0.5": (4, 9, 0.5),
    "eight runs, 40 resamples, level 0.8": (8, 40, 0.8),
    "ten runs, 100 resamples, level 0.95": (10, 100, 0.95),
    "seven runs, 31 resamples, level 0.9": (7, 31, 0.9),
    "as many resamples as runs, level 0.6": (12, 12, 0.6),
}


def probes(generator):
    """Return scores with a collapsed run, and the runs that each resample draws."""
    calls = []
    for title, (runs, resamples, level) in SIZES.items():
        scores = generator.permutation(np.arange(-90, 300))[:runs] / 10
        scores[generator.integers(runs)] -= 60
        indices = generator.integers(runs, size=(resamples, runs))
        calls.append(Probe(title, (scores, indices, level)))
    scores, indices, _ = calls[1].arguments
    drawn = generator.integers(41, size=(1500, 41))
    many = generator.permutation(np.arange(-90, 300))[:41] / 10
    return [
        *calls,
        Probe("41 runs, 1500 resamples, level 0.997", (many, drawn, 0.997)),
        Probe("scores of about 1e7, level 0.03", (1e6 * scores, indices, 0.03)),
        Probe("scores of about 1e-8, level 0.683", (1e-9 * scores, indices, 0.683), 1e-9),
    ]


def middle_mean(numbers):
    """Return the mean of a list without its lowest and its highest quarter."""
    cut = int(0.25 * len(numbers))
    kept = sorted(numbers)[cut : len(numbers) - cut]
    return math.fsum(kept) / len(kept)


def quantile(numbers, share):
    """Return the quantile of a list, by linear interpolation between neighbours."""
    ordered = sorted(numbers)
    place = share * (len(ordered) - 1)
    below = min(int(place), len(ordered) - 2)
    return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])


def oracle(scores, indices, level):
    """Return the two quantiles of the resamples' interquartile means, by lists."""
    means = [middle_mean([float(scores[i]) for i in row]) for row in indices]
    return quantile(means, (1 - level) / 2), quantile(means, (1 + level) / 2)


def variant(
    scores,
    indices,
    level,
    *,
    statistic="interquartile mean",
    tails="two",
    interval="percentile",
    resample="rows",
    order="low first",
    method="linear",
):
    """Return the interval by NumPy's quantiles, with options that commit mistakes."""
    values = scores[indices]  # one row per resample
    if resample == "none":
        values = np.tile(scores, (len(indices), 1))
    if resample == "pooled":
        values = values.reshape(-1, 1)
    if resample == "columns":
        values = values.T

    def middle(rows):
        cut = rows.shape[1] // 4
        return np.sort(rows, axis=1)[:, cut : rows.shape[1] - cut].mean(axis=1)

    def summary(rows):
        if statistic == "mean":
            return rows.mean(axis=1)
        if statistic == "median":
            return np.median(rows, axis=1)
        return middle(rows)

    means, centre = summary(values), summary(scores[None])[0]
    tail = {
        "two": (1 - level) / 2,
        "one": 1 - level,
        "quarter": (1 - level) / 4,
        "level": level / 2,
    }[tails]
    unit = 0.01 if method == "hundredths" else 1.0
    shares = [unit * tail, unit * (1 - tail)]
    if method == "counted":
        places = [int(len(means) * (1 - level) / 2), int(len(means) * (1 + level) / 2)]
        low, high = np.sort(means)[np.minimum(places, len(means) - 1)]
    else:
        low, high = np.quantile(means, shares, method="lower" if method == "lower" else "linear")
    if interval == "basic":
        low, high = 2 * centre - high, 2 * centre - low
    if interval == "deviation":
        low, high = centre - means.std(), centre + means.std()
    if interval == "normal":
        from scipy.special import ndtri

        half = ndtri(1 - tail) * means.std()
        low, high = centre - half, centre + half
    if interval == "standard error":
        half = means.std() / np.sqrt(len(means))
        low, high = means.mean() - half, means.mean() + half
    if interval == "extremes":
        low, high = means.min(), means.max()
    if interval == "distances":
        low, high = centre - low, high - centre
    return (high, low) if order == "high first" else (low, high)


MISTAKES = catalogue(
    """
    mean_for_iqm: statistic="mean"
        Your interval is that of the plain mean: a resample that drew the collapsed run twice or
        three times moves it far down. Which statistic is asked for?
    median_for_iqm: statistic="median"
        Your interval is that of the median. Asked for is that of the interquartile mean, which
        averages the whole middle half of a resample.
    whole_tail_at_either_end: tails="one"
        You cut off 1 - level at either end, so your interval is too narrow: it holds 90 % where 95
        % are asked for. How is what lies outside shared between the two ends?
    half_a_tail_too_little: tails="quarter"
        Your interval is too wide: the share outside is divided between the two ends once too often.
    level_ignored: ignores(level=0.95)
        The level has no effect: your interval is always the one for 95 %. The probe at that level
        is right. Where a lower level is asked for yours is too wide, where a higher one, too narrow.
    basic_interval: interval="basic"
        You reflect the quantiles at the estimate from the runs themselves. That is the basic
        bootstrap interval. The percentile interval, asked for here, takes the quantiles of the
        resampled statistic as they are.
    one_deviation: interval="deviation"
        You return the estimate plus and minus one standard deviation of the resampled statistic.
        That takes no account of the level, and is symmetric where the resamples are not.
    normal_approximation: interval="normal"
        You assume that the resampled statistic is normal: your interval lies symmetrically about
        the estimate. A bootstrap with a collapsed run among the scores is lopsided. Read the
        interval off the resamples themselves.
    error_of_the_resamples: interval="standard error"
        Your interval shrinks with the number of resamples. More resamples make the interval more
        exact, not narrower: only more runs do that. What is divided by the root of their number?
    extremes: interval="extremes"
        You return the smallest and the largest of the resampled statistics. They hold all
        resamples, whatever the level is, and drift apart as more are drawn.
    distances_from_the_estimate: interval="distances"
        You return how far the limits lie from the estimate. That is what an errorbar plot wants;
        asked for are the limits themselves.
    pooled_resamples: resample="pooled"
        You take quantiles of the drawn scores themselves. They say how much runs differ from each
        other, not how well their interquartile mean is known. What is computed once per resample?
    not_resampled: resample="none"
        Both your limits are equal: every resample is the original list of runs. What do the rows of
        `indices` choose?
    along_the_wrong_axis: resample="columns"
        You summarise over the resamples where it should be over the runs of one resample: you have
        as many summaries as runs, and they hardly differ. Which axis of the drawn scores counts
        runs, and which one does your function for the interquartile mean take?
    high_first: order="high first"
        Your limits are right but in the wrong order: the lower one comes first.
    nearest_resample: method="lower"
        Your limits are resampled values themselves. Where a quantile falls between two of them, it
        is interpolated in proportion, which is the default of the usual libraries.
    level_as_the_tail: tails="level"
        You leave level / 2 outside at either end. The level is what lies inside; what remains to 1
        is left outside. At level 0.5 the two are equal, so the first probe is right. Above
        that level yours is too narrow, below it too wide.
    percentiles_of_fractions: method="hundredths"
        Both your limits lie at the very bottom of the resamples. A function for percentiles counts
        from 0 to 100, one for quantiles from 0 to 1.
    counted_resamples: method="counted"
        You sort the resampled values and pick two of them by a rounded index. Where a quantile
        falls between two values it is interpolated in proportion, and the first of B values has
        share 0, the last one share 1: there are B - 1 gaps.
    """
)

SPEC = Spec(
    name="bootstrap_interval",
    exercise="13_which_one",
    parameters=("scores", "indices", "level"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    parts=("lower limit", "upper limit"),
    seconds=20.0,  # importing scipy.stats takes a while
)

"""Task 12.2: a running mean and variance, batch by batch."""

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec
from ..draws import signed

# Samples seen, samples of the batch, numbers per sample.
SIZES = {
    "five samples seen, a batch of two": (5, 2, 1),
    "three samples seen, a batch of one": (3, 1, 2),
    "nothing seen yet, a batch of four": (0, 4, 3),
    "nothing seen yet, a batch of one": (0, 1, 2),
    "four samples seen, a batch of nine": (4, 9, 3),
    "200 samples seen, a batch of eight": (200, 8, 4),
}


def probes(generator):
    """Return moments of data that a batch differs from, in mean and in spread."""
    calls = []
    for title, (count, size, width) in SIZES.items():
        # Before the first sample the moments hold nothing: any number may stand there.
        mean = generator.choice([-1, 1], width) * generator.integers(5, 30, width) / 10
        variance = generator.integers(3, 40, width) / 10
        # The batch has a mean of its own, in every entry at another distance from the old one.
        shift = generator.choice([-1, 1], width) * (
            generator.integers(20, 40) / 10 + 0.3 * np.arange(width)
        )
        spread = generator.permutation(np.arange(-25, 35))[: size * width].reshape(size, width) / 10
        calls.append(Probe(title, (mean, variance, count, np.round(mean + shift + spread, 2))))
    mean, variance, _, batch = calls[4].arguments
    tiny = 2.0**-20
    seen = tiny * mean, tiny**2 * variance
    return [
        *calls,
        nothing_yet(generator),
        Probe("numbers of about 1e-6", (*seen, 4, tiny * batch), tiny**2),
        Probe("nothing seen yet, numbers of about 1e-6", (*seen, 0, tiny * batch), tiny**2),
        Probe("1e8 samples seen, a batch far away", (mean, variance, 10**8, 1e8 + batch)),
        Probe("a batch of 400", (mean, variance, 50, signed(generator, 5, 40, (400, 3)))),
        far_from_0(generator),
    ]


def nothing_yet(generator):
    """Return a first batch, with NaN where its moments will stand."""
    nothing = np.full(2, np.nan)
    batch = generator.permutation(np.arange(-25, 35))[:6].reshape(3, 2) / 10
    return Probe("nothing seen yet, NaN in mean and variance", (nothing, nothing.copy(), 0, batch))


def far_from_0(generator):
    """Return data around 2^40, whose squares leave no digit for a variance.

    All sums and means here are exact in binary, so a mean of squares minus a squared mean is 0,
    however it is written.
    """
    centre = 2.0**40 * generator.choice([-1.0, 1.0], 2)
    mean = centre + 4 * generator.integers(-50, 50, 2)
    variance = 1000.0 * generator.integers(20, 90, 2)
    spread = 4.0 * generator.permutation(np.arange(-100, 200))[:8].reshape(4, 2)
    batch = mean + 4 * generator.integers(40, 90, 2) + spread
    return Probe(
        "four samples seen, a batch of four, numbers near 2^40", (mean, variance, 4, batch)
    )


def oracle(mean, variance, count, batch):
    """Return the moments of data that has the old moments, with the batch appended to it."""
    if count > 1:
        # Half of them a deviation below the mean and half of them above have these moments.
        start = mean  # distances from there keep their digits
        data = np.concatenate([[-np.sqrt(variance), np.sqrt(variance)], batch - start])
        weights = np.array([count / 2, count / 2, *[1.0] * len(batch)])
    else:
        start, data, weights = 0.0, batch, np.ones(len(batch))
    total = weights.sum()
    new_mean = weights @ data / total
    return start + new_mean, weights @ (data - new_mean) ** 2 / total, int(total)


def variant(
    mean, variance, count, batch, *, weights="counts", between="kept", about="batch mean", ddof="none",
    counted="all", seen="as given", over="samples", output="variance", empty="ignored",
    formula="spread",
):  # fmt: skip
    """Return the moments by Chan's formula, with options that commit mistakes."""
    n = len(batch)
    if count == 0 and empty == "own branch":
        return batch.mean(axis=0), batch.var(axis=0), n
    if count == 0 and empty == "ignored" and (weights, seen) == ("counts", "as given"):
        mean, variance = np.nan_to_num(mean), np.nan_to_num(variance)
    old = {"as given": count, "at least one": max(count, 1), "counted first": count + n}[seen]
    total = old + n
    own_mean = batch.mean(axis=0) if over == "samples" else batch.mean()
    part = {"counts": n / total, "swapped": old / total, "halves": 0.5, "tenth": 0.1}[weights]
    new_mean = mean + part * (own_mean - mean)
    centre = {"batch mean": own_mean, "old mean": mean, "new mean": new_mean}[about]
    own_variance = ((batch - centre) ** 2).mean(axis=0 if over == "samples" else None)
    with np.errstate(all="ignore"):
        if ddof == "batch":
            own_variance = own_variance * n / np.float64(n - 1)
        between_them = {
            "kept": part * (1 - part) * (own_mean - mean) ** 2,
            "missing": 0.0,
            "not squared": part * (1 - part) * (own_mean - mean),
            "not divided": part * (1 - part) * (own_mean - mean) ** 2 * total,
            "after the mean": part * (1 - part) * (own_mean - new_mean) ** 2,
        }[between if about == "batch mean" else "missing"]
        new_variance = (1 - part) * variance + part * own_variance + between_them
        if ddof == "all":
            new_variance = new_variance * total / np.float64(total - 1)
    if formula == "mean of squares":
        squares = (batch**2).mean(axis=0 if over == "samples" else None)
        new_variance = (1 - part) * (variance + mean**2) + part * squares - new_mean**2
    if output == "deviation":
        with np.errstate(invalid="ignore"):
            new_variance = np.sqrt(new_variance)
    if output == "squares":
        new_variance = new_variance * total
    return new_mean, new_variance, {"all": count + n, "one": count + 1, "none": count}[counted]


MISTAKES = catalogue(
    """
    distance_of_the_means_missing: between="missing"
        Your variance is too small: you average the two variances. If two groups have different
        means, their union spreads wider than either. Imagine two groups of equal numbers, each with
        variance 0.
    distance_not_squared: between="not squared"
        Your variance is off by the distance of the two means, which enters without its square. A
        variance has squared units, and the distance can be negative.
    distance_not_divided: between="not divided"
        Your variance is too large: the squared distance of the means enters as a part of the sum of
        squares, but is not divided by the number of samples with the rest.
    mean_updated_too_early: between="after the mean"
        Your variance is too small: the distance of the means is taken from the mean that was just
        updated. It is the distance between the batch and what was seen before. Which line
        overwrites the mean?
    squares_about_the_old_mean: about="old mean"
        You measure the batch's spread from the old mean. The batch has a mean of its own. Look at
        the probe where nothing was seen yet and the batch is one sample: its variance is 0.
    old_data_stay_about_the_old_mean: about="new mean"
        You measure the batch's spread from the new mean, but the old variance is still one about
        the old mean. The mean has moved away from the old data too.
    weights_swapped: weights="swapped"
        You weigh the old moments by the size of the batch, and the batch by what was seen before.
        Where nothing was seen yet, your answer is the old moments, which hold nothing.
    plain_average: weights="halves"
        You give the old moments and the batch equal weight. 200 samples should count for more than
        eight: see the last probe.
    moving_average: weights="tenth"
        Each of your batches enters with weight 0.1, whatever its size. That is a moving average,
        which forgets. Here every sample ever seen has equal weight.
    sample_variance_of_the_batch: ddof="batch"
        The variance of your batch divides by its size minus one. With a batch of one sample that is
        0 divided by 0. The contract divides by the number of samples.
    sample_variance_of_all: ddof="all"
        Your variance divides by the number of samples minus one. The contract divides by the number
        of samples; with a single sample, the variance is 0.
    count_plus_one: counted="one"
        Your count grows by one per batch. It counts samples: later, each batch would get the weight
        of a single one.
    count_unchanged: counted="none"
        Your count stays as it was. Mean and variance are right this time, but the next batch would
        enter with too much weight.
    count_updated_too_early: seen="counted first"
        You add the batch to the count before you use the count as the weight of the old moments.
        The batch then counts on both sides. See the probes where nothing was seen yet.
    count_at_least_one: seen="at least one"
        Where nothing was seen yet, the old mean and variance still show in your answer, as if they
        were one sample. With a count of 0 the batch alone decides.
    all_entries_together: over="everything"
        You take mean and variance over all numbers of the batch. Each entry of an observation has
        moments of its own: a position and a speed are on different scales. Which axis counts the
        samples?
    deviation_returned: output="deviation"
        You return the standard deviation. The variance is asked for: variances can be merged with
        the next batch, and the root is taken where one divides.
    squares_returned: output="squares"
        You return the sum of the squared distances. The variance is that sum divided by the number
        of samples.
    plain_average_after_the_first: weights="halves", empty="own branch"
        Your first batch is right. After that you give the old moments and the batch equal weight,
        whatever their sizes. Each group counts as often as it has samples.
    empty_moments_used: empty="used"
        Where nothing was seen yet, your answer is NaN if that stands in mean and variance. A count
        of 0 does not help: 0 times NaN is NaN. What is not known must not enter at all.
    mean_of_squares: formula="mean of squares"
        Your variance is a mean of squares minus a squared mean. Far from 0 both are huge and nearly
        equal, and their difference has no digit left: see the last probe. Square distances from a
        mean, not the numbers themselves.
    """
)

SPEC = Spec(
    name="update_moments",
    exercise="12_implementation_matters",
    parameters=("mean", "variance", "count", "batch"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    parts=("mean", "variance", "count"),
    rows="entry",
)

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
    mean, variance, count, batch, *, weights="counts", step="as the weights", between="kept",
    about="batch mean", ddof="none", counted="all", seen="as given", over="samples",
    summed="both", output="variance", empty="ignored", formula="spread",
):  # fmt: skip
    """Return the moments by Chan's formula, with options that commit mistakes."""
    n = len(batch)
    if count == 0 and empty == "own branch":
        return batch.mean(axis=0), batch.var(axis=0), n
    asked = (weights, step, seen)
    if count == 0 and empty == "ignored" and asked == ("counts", "as the weights", "as given"):
        mean, variance = np.nan_to_num(mean), np.nan_to_num(variance)
    old = {"at least one": max(count, 1), "counted first": count + n}.get(seen, count)
    total = old + (1 if seen == "one more" or weights == "one sample" else n)
    own_mean = batch.mean(axis=0) if over == "samples" else batch.mean()
    part, rest = {
        "counts": (n / total, old / total),
        "swapped": (old / total, n / total),
        "one sample": (1 / total, old / total),
        "halves": (0.5, 0.5),
        "tenth": (0.1, 0.9),
    }[weights]
    steps = {"as the weights": part, "swapped": old / total, "one sample": 1 / total}
    new_mean = mean + steps[step] * (own_mean - mean)
    centre = {"batch mean": own_mean, "old mean": mean, "new mean": new_mean}[about]
    own_variance = ((batch - centre) ** 2).mean(axis=0 if over == "samples" else None)
    with np.errstate(all="ignore"):
        if ddof == "batch":
            own_variance = own_variance * n / np.float64(n - 1)
        distance = (own_mean - mean) ** 2
        between_them = {
            "kept": part * rest * distance,
            "missing": 0.0,
            "not squared": part * rest * (own_mean - mean),
            "not divided": part * rest * distance * total,
            "divided twice": part * rest * distance / total,
            "batch's weight": part * distance,
            "old weight": rest * distance,
            "whole": distance,
            "once in the sum": distance / total,
            "after the mean": part * rest * (own_mean - new_mean) ** 2,
        }[between if about == "batch mean" else "missing"]
        old_part = variance / total if summed == "old as it is" else rest * variance
        own_part = own_variance / total if summed == "batch as it is" else part * own_variance
        new_variance = old_part + own_part + between_them
        if ddof == "all":
            new_variance = new_variance * total / np.float64(total - 1)
    if formula == "mean of squares":
        squares = (batch**2).mean(axis=0 if over == "samples" else None)
        new_variance = rest * (variance + mean**2) + part * squares - new_mean**2
    if output == "deviation":
        with np.errstate(invalid="ignore"):
            new_variance = np.sqrt(new_variance)
    if output == "squares":
        new_variance = new_variance * total
    return new_mean, new_variance, {"all": count + n, "one": count + 1, "none": count}[counted]


MISTAKES = catalogue(
    """
    # Whoever answers the first batch in a branch of its own may err after it alone.
    distance_of_the_means_missing: between="missing"
        Your variance is too small: you average the two variances. If two groups have different
        means, their union spreads wider than either. Imagine two groups of equal numbers, each with
        variance 0.
    distance_not_squared: between="not squared"
        Your variance is off by the distance of the two means, which enters without its square. A
        variance has squared units, and the distance can be negative.
    distance_not_divided: between="not divided"
        Your variance is too large: the squared distance of the means is divided by the number of
        samples once too seldom. As a part of the sum of squares it is divided by it, and then once
        more with the rest.
    distance_divided_twice: between="divided twice"
        Your variance is too small: the squared distance of the means is divided by the number of
        samples once too often. Count the divisions on the way from the product of the two sizes to
        your answer.
    squares_about_the_old_mean: about="old mean"
    distance_weighed_by_the_batch: between="batch's weight", empty="own branch"
    distance_weighed_by_the_batch_at_first_too: between="batch's weight", empty="used"
        Your variance is too large. Either you measure the batch's spread from the old mean, though
        the batch has one of its own; or the squared distance of the means has the size of the batch
        alone as its weight, which is the same. Both sizes belong there.
    distance_weighed_by_the_old_count: between="old weight"
        Your variance is too large: the squared distance of the means has the old count as its
        weight. Both sizes belong there. Could a batch of one sample add that much to 200?
    distance_not_weighed: between="whole", empty="own branch"
    distance_not_weighed_at_first_either: between="whole", empty="used"
        Your variance is too large: the whole squared distance of the means is added to it. How much
        it counts depends on both sizes; for two groups of one size it is a quarter.
    distance_counts_once: between="once in the sum", empty="own branch"
    distance_counts_once_at_first_too: between="once in the sum", empty="used"
        Your variance is too small: in the sum of squares the squared distance of the means counts
        once, whatever the sizes. Every sample of either group lies that much further away from the
        other group.
    old_variance_not_summed: summed="old as it is", empty="own branch"
    old_variance_not_summed_at_first_either: summed="old as it is", empty="used"
    variance_of_the_batch_not_summed: summed="batch as it is", empty="own branch"
    variance_of_the_batch_not_summed_at_first_either: summed="batch as it is", empty="used"
        Your variance is too small: in the sum of squares one of the two variances stands without
        its number of samples. A variance is a mean of squares. What turns it into their sum?
    mean_updated_too_early: between="after the mean"
        Your variance is too small: the distance of the means is taken from the mean that was just
        updated. It is the distance between the batch and what was seen before. Which line
        overwrites the mean?
    old_data_stay_about_the_old_mean: about="new mean"
        You measure the batch's spread from the new mean, but the old variance is still one about
        the old mean. The mean has moved away from the old data too.
    weights_swapped: weights="swapped"
    weights_swapped_after_the_first: weights="swapped", empty="own branch"
        You weigh the old moments by the size of the batch, and the batch by what was seen before.
        After 200 samples, eight new ones should change little.
    mean_moves_by_the_old_weight: step="swapped", empty="own branch"
    mean_moves_by_the_old_weight_at_first_too: step="swapped", empty="used"
        Your mean moves towards the batch by the share of the old samples, the variance is right.
        The more was seen before, the less the mean should move. Whose share is it that counts here?
    mean_moves_by_one_sample: step="one sample", empty="own branch"
    mean_moves_by_one_sample_at_first_too: step="one sample", empty="used"
        Your mean moves as if the batch were a single sample, the variance is right. A batch of nine
        should move the mean nine times as far as one sample at its place.
    batch_as_one_sample: weights="one sample", counted="one"
    batch_as_one_sample_after_the_first: weights="one sample", counted="one", empty="own branch"
    batch_weighed_as_one_sample: weights="one sample"
    batch_weighed_as_one_sample_after_the_first: weights="one sample", empty="own branch"
        Your batch enters with the weight of one sample, whatever its size. Each of its rows is a
        sample and counts as much as each one that was seen before.
    total_is_one_more: seen="one more", counted="one", empty="own branch"
    total_is_one_more_at_first_too: seen="one more", counted="one", empty="used"
        Your total is the old count plus one, and you divide by it. The batch brings as many samples
        as it has rows: the two weights should add up to 1.
    plain_average: weights="halves"
    plain_average_after_the_first: weights="halves", empty="own branch"
        You give the old moments and the batch equal weight, whatever their sizes. 200 samples
        should count for more than eight: see the sixth probe.
    moving_average: weights="tenth"
    moving_average_after_the_first: weights="tenth", empty="own branch"
        Each of your batches enters with weight 0.1, whatever its size. That is a moving average,
        which forgets. Here every sample ever seen has equal weight.
    sample_variance_of_the_batch: ddof="batch"
    sample_variance_of_the_batch_after_the_first: ddof="batch", empty="own branch"
        The variance of your batch divides by its size minus one. With a batch of one sample that is
        0 divided by 0. The contract divides by the number of samples.
    sample_variance_of_all: ddof="all"
    sample_variance_of_all_after_the_first: ddof="all", empty="own branch"
        Your variance divides by the number of all samples minus one. The contract divides by the
        number of samples; with a single sample, the variance is 0.
    count_plus_one: counted="one"
    count_plus_one_after_the_first: counted="one", empty="own branch"
        Your count grows by one per batch. It counts samples: later, each batch would get the weight
        of a single one.
    count_unchanged: counted="none"
    count_unchanged_after_the_first: counted="none", empty="own branch"
        Your count stays as it was. Mean and variance are right this time, but the next batch would
        enter with too much weight.
    count_updated_too_early: seen="counted first"
    count_updated_too_early_after_the_first: seen="counted first", empty="own branch"
        You add the batch to the count before you use the count as the weight of the old moments.
        The batch then counts on both sides.
    count_at_least_one: seen="at least one"
        Where nothing was seen yet, the old mean and variance still show in your answer, as if they
        were one sample. With a count of 0 the batch alone decides.
    all_entries_together: over="everything"
        You take mean and variance over all numbers of the batch. Each entry of an observation has
        moments of its own: a position and a speed are on different scales. Which axis counts the
        samples?
    deviation_returned: output="deviation"
    deviation_returned_after_the_first: output="deviation", empty="own branch"
        You return the standard deviation. The variance is asked for: variances can be merged with
        the next batch, and the root is taken where one divides.
    squares_returned: output="squares"
    squares_returned_after_the_first: output="squares", empty="own branch"
        You return the sum of the squared distances. The variance is that sum divided by the number
        of samples.
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

"""Task 15.7: what dividing by a group's deviation multiplies a prompt's gradient by."""

import math

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec


def probes(generator):
    """Return probabilities from hopeless to mastered, and groups from 2 to 500."""
    pairs = [(0.5, 2), (0.2, 4), (0.75, 4), (0.01, 8), (0.9, 8), (0.001, 16), (0.999, 16)]
    calls = [Probe(f"p {p:g}, a group of {size}", (p, size)) for p, size in pairs]
    p = float(generator.integers(10, 90)) / 100
    calls += [Probe(f"p {p:g}, a group of {size}", (p, size)) for size in (3, 32)]
    return [*calls, Probe("p 0.3, a group of 500", (0.3, 500), extreme=True)]


def oracle(p, group_size):
    """Return the mean of normalised advantage times score, group by group.

    The number of right answers gets its distribution from one answer after the other.
    """
    chances = np.ones(1)
    for _ in range(group_size):
        chances = np.convolve(chances, [1 - p, p])
    total = 0.0
    for right, chance in enumerate(chances):
        rewards = np.array([1.0] * right + [0.0] * (group_size - right))
        if 0 < right < group_size:
            advantages = (rewards - rewards.mean()) / rewards.std()
            scores = np.where(rewards == 1, 1 / p, -1 / (1 - p))
            total += chance * np.mean(advantages * scores)
    return total


def variant(p, group_size, *, spread="deviation", mean="of deviations", over="p(1-p)", ddof=0):
    """Return it from the binomial distribution's logarithms, with options for mistakes."""
    k = np.arange(1, group_size)
    logs = [
        math.lgamma(group_size + 1) - math.lgamma(i + 1) - math.lgamma(group_size - i + 1)
        for i in k
    ]
    chances = np.exp(np.array(logs) + k * math.log(p) + (group_size - k) * math.log1p(-p))
    variance = k / group_size * (1 - k / group_size) * group_size / (group_size - ddof)
    sizes = {"deviation": np.sqrt(variance), "variance": variance, "inverse": 1 / np.sqrt(variance)}
    average = chances @ sizes[spread]
    if mean == "root of the mean":
        average = math.sqrt(chances @ variance)
    if mean == "limit":
        average = math.sqrt(p * (1 - p))
    if mean == "given mixed":
        average = average / chances.sum()
    return average / {"p(1-p)": p * (1 - p), "1": 1.0, "p": p, "root": math.sqrt(p * (1 - p))}[over]


MISTAKES = catalogue(
    """
    not_divided_by_p: over="1"
        You return the expected deviation itself. The scores of right and wrong answers bring in
        1 / p and 1 / (1 - p).
    divided_by_p_only: over="p"
        You divide by p alone. Wrong answers carry a score too, which brings in 1 - p.
    divided_by_the_root: over="root"
        You divide by the root of p (1 - p). The deviation is in the expectation already; what
        divides comes from the scores.
    variance: spread="variance"
        You take the expected variance. That is the weight without the division, the same for every
        p: see whether yours depends on p.
    inverse: spread="inverse"
        You take the expected inverse of the deviation. Follow the algebra: advantages bring in one
        variance, the division takes out one deviation. What is left above?
    root_of_the_mean_variance: mean="root of the mean"
        You take the root of the expected variance. The mean of a root is smaller than the root of a
        mean: most of all where most groups are all wrong or all right.
    limit: mean="limit"
        You return the limit for large groups. Groups of 8 rarely hold a right answer where p is
        small, and then there is no gradient at all.
    mixed_groups_only: mean="given mixed"
        You average over mixed groups only. Groups of equal rewards count too: they have a deviation
        of 0, and no gradient.
    sample_deviation: ddof=1
        Your deviation divides by the number of answers less one. Here it divides by their number,
        as in task 2.
    """
)

SPEC = Spec(
    name="std_weight",
    exercise="15_language_models",
    parameters=("p", "group_size"),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
)

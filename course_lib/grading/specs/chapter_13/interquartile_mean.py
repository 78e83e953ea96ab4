"""Task 13.1: the interquartile mean over runs (Agarwal et al. 2021, arXiv:2108.13264)."""

import math

import numpy as np

from ...catalogue import catalogue
from ...spec import Probe, Spec

SHAPES = {
    "four runs, one evaluation": (4, 1),
    "eight runs, three evaluations": (8, 3),
    "five runs: their number is not divisible by 4": (5, 2),
    "six runs: their number is not divisible by 4": (6, 4),
    "seven runs: their number is not divisible by 4": (7, 3),
    "three runs only": (3, 2),
    "twelve runs, four evaluations": (12, 4),
}


def probes(generator):
    """Return scores of which no two are equal; in each column one run has collapsed."""
    calls = []
    for title, (runs, points) in SHAPES.items():
        scores = generator.permutation(np.arange(-90, 300))[: runs * points] / 10
        scores = scores.reshape(runs, points)
        scores[generator.integers(runs, size=points), np.arange(points)] -= 40
        calls.append(Probe(title, (scores,)))
    many = generator.permutation(np.arange(-90, 300))[:164].reshape(82, 2) / 10
    tied = np.array([1.0, 3.0, 3.0, 3.0, 3.0, 8.0, 9.0, 9.0, 9.0, 2.0])[:, None] * [1.0, -1.0]
    return [
        *calls,
        Probe("82 runs", (many,)),
        Probe("ten runs with equal scores", (generator.permutation(tied),)),
        Probe("nine runs, scores of about 1e7", (1e6 * many[:9],)),
        Probe("eleven runs, scores of about 1e-8", (1e-9 * many[:11],), 1e-9),
        Probe("five runs, all scores are equal", (np.full((5, 2), 0.1),)),
    ]


def oracle(scores):
    """Return, column by column, the mean of what is left when both ends are struck off a list."""
    answer = []
    for column in scores.T.tolist():
        left = sorted(column)
        for _ in range(int(0.25 * len(column))):
            left.remove(max(left))
            left.remove(min(left))
        answer.append(math.fsum(left) / len(left))
    return np.array(answer)


def variant(scores, *, cut="floor", ends="both", order="score", average="mean", axis=0):
    """Return the mean over the middle ranks, with options that commit mistakes."""
    if axis == 1:
        scores = scores.T
    if axis is None:
        scores = scores.reshape(-1, 1)
    if order == "within runs":
        scores = np.sort(scores, axis=1)
    runs = len(scores)
    ranks = np.argsort(np.argsort(scores, axis=0), axis=0)
    if order in ("as given", "within runs"):
        ranks = np.broadcast_to(np.arange(runs)[:, None], scores.shape)
    if order == "whole runs":
        ranks = np.argsort(np.argsort(scores.mean(axis=1)))[:, None] + np.zeros_like(scores)
    if order == "last":
        ranks = np.argsort(np.argsort(scores[:, -1]))[:, None] + np.zeros_like(scores)
    number = {
        "floor": runs // 4,
        "nothing": 0,
        "ceiling": -(-runs // 4),
        "nearest": round(runs / 4),
        "half up": int(runs / 4 + 0.5),
        "eighth": runs // 8,
        "third": runs // 3,
        "percentiles": 0,
    }[cut]
    number = min(number, (runs - 1) // 2)  # something stays
    low = number if ends != "top" else 0
    high = runs - (number if ends != "bottom" else 0)
    kept = (ranks >= low) & (ranks < high)
    if cut == "percentiles":  # by value, so that scores on a limit stay together
        lower, upper = np.percentile(scores, [25, 75], axis=0)
        kept = ((scores >= lower) | (ends == "top")) & ((scores <= upper) | (ends == "bottom"))
    if average == "zeros":
        answer = (scores * kept).mean(axis=0)
    elif average == "sum":
        answer = (scores * kept).sum(axis=0)
    else:
        with np.errstate(invalid="ignore"):  # rounding may leave nobody between two percentiles
            answer = (scores * kept).sum(axis=0) / kept.sum(axis=0)
    return float(answer[0]) if axis is None else answer


def median(scores):
    """Return the median over the runs."""
    return np.median(scores, axis=0)


def interquartile_range(scores):
    """Return the distance of the quartiles."""
    low, high = np.quantile(scores, [0.25, 0.75], axis=0)
    return high - low


def midhinge(scores):
    """Return the mean of the two quartiles."""
    return np.quantile(scores, [0.25, 0.75], axis=0).mean(axis=0)


def weighted(scores):
    """Keep exactly half of the weight: the runs at the edges count in part."""
    runs = len(scores)
    edges = np.arange(runs + 1) / runs
    inside = np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25)
    weights = np.maximum(inside, 0.0)
    return weights @ np.sort(scores, axis=0) / weights.sum()


def winsorised(scores):
    """Pull both ends in to the nearest score that is kept."""
    ordered = np.sort(scores, axis=0)
    cut = len(scores) // 4
    return np.clip(scores, ordered[cut], ordered[len(scores) - 1 - cut]).mean(axis=0)


def empty_slice(scores):
    """Cut with a negative end, which leaves nothing where nothing is to be cut."""
    cut = len(scores) // 4
    kept = np.sort(scores, axis=0)[cut:-cut]
    return kept.mean(axis=0) if len(kept) else np.full(scores.shape[1], np.nan)


MISTAKES = catalogue(
    """
    plain_mean: cut="nothing"
        Your answer is the mean over all runs: nothing is left out. Each column holds one run that
        collapsed, and it pulls yours down. With three runs, where nothing is left out, you are
        right.
    not_sorted: order="as given"
        You leave out the first and the last runs of the table, whatever they scored. The order of
        the runs is an accident of their seeds. What must happen before two ends can be cut?
    sorted_along_the_row: order="within runs"
        You sort every run over its evaluations, so a column holds scores of different evaluations.
        Sorting goes along the last axis unless it is told otherwise. Which axis counts runs?
    whole_runs_left_out: order="whole runs"
        You rank the runs once, by their mean over all evaluations, and leave out whole runs. With
        one evaluation that is the same. A run can be among the best early and among the worst late:
        every column has its own middle half.
    ranked_by_the_last_evaluation: order="last"
        You rank the runs by their last evaluation and leave the same runs out of every column. Your
        last column is right, the others are not: each has its own middle half.
    best_runs_only_cut: ends="top"
        You leave out the best quarter but keep the worst one, so your answer is too low. The
        interquartile mean leaves out as many at either end.
    worst_runs_only_cut: ends="bottom"
        You leave out the worst quarter but keep the best one, so your answer is too high. That
        would be a way to hide failures. As many go at either end.
    a_quarter_in_all: cut="eighth"
        You leave out a quarter of the runs in all, an eighth at either end. Interquartile means
        between the quartiles: how much of the data lies there?
    a_third_at_either_end: cut="third"
        You leave out a third of the runs at either end. Four, five and eight runs hide it. Which
        share of the runs lies below the first quartile?
    rounded_up: cut="ceiling"
        Where the number of runs is not divisible by 4 you leave out one run too many at either end.
        With five runs you keep one. The task says in which direction a quarter of the number is
        rounded.
    rounded_to_the_nearest: cut="nearest"
    rounded_half_up: cut="half up"
        You round a quarter of the number of runs to the nearest whole number. With seven runs that
        is one run more at either end than the task leaves out; with five runs you are right. The
        task says in which direction it is rounded.
    between_percentiles: cut="percentiles"
        You keep the scores between the two quartiles that a percentile function reports. It
        interpolates, so with three, six or seven runs you lose one run more at either end than the
        definition by counting does. Count runs instead.
    weighted_edges: weighted
        Where the number of runs is not divisible by 4, yours counts the runs at the edges in part,
        so that exactly half of the weight stays. That definition exists, but this book and the
        usual libraries keep whole runs.
    winsorised: winsorised
        You pull the extreme scores in to the nearest one that is kept, and count them there. That
        is a winsorised mean. Here they are left out, also from the number by which the sum is
        divided.
    divided_by_all_runs: average="zeros"
        You add up the middle runs but divide by the number of all runs. Your answer is too close to
        0, by the share that was left out.
    sum_of_the_middle: average="sum"
        You add up the middle runs without dividing. With eight runs yours is four times as large as
        it should be.
    median: median
        Your answer is the median. It uses one run or two and throws away what the others say, so it
        needs more runs for the same precision. Here the whole middle half is averaged.
    interquartile_range: interquartile_range
        Your answer is the distance between the quartiles, a measure of spread. Asked for is a mean:
        of what lies between them.
    mean_of_the_quartiles: midhinge
        Your answer is the mean of the two quartiles themselves. Asked for is the mean of all scores
        that lie between them.
    over_evaluations: axis=1
        Your answer has one number per run: the axes have changed places. What is asked for has one
        number per evaluation, taken over the runs.
    all_scores_together: axis=None
        Your answer is one number: runs and evaluations are thrown into one list. A learning curve
        needs one number per evaluation, taken over the runs.
    empty_slice: empty_slice
        With three runs nothing is cut, and your slice is empty: its end is minus zero, which is 0,
        the beginning. The mean of nothing is NaN. Count the upper end from the front.
    """,
    weighted,
    winsorised,
    median,
    interquartile_range,
    midhinge,
    empty_slice,
)

SPEC = Spec(
    name="interquartile_mean",
    exercise="13_which_one",
    parameters=("scores",),
    probes=probes,
    oracle=oracle,
    variant=variant,
    mistakes=MISTAKES,
    rows="evaluation",
    seconds=20.0,  # importing scipy.stats takes a while
)

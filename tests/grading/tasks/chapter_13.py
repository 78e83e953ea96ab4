"""Chapter 13."""

from scipy.stats import binomtest, bootstrap, trim_mean


def scipy_iqm(scores):
    return trim_mean(scores, 0.25)


def scipy_rate(returns, threshold):
    failures = int((~(returns >= threshold)).sum())
    test = binomtest(failures, len(returns))
    interval = test.proportion_ci(confidence_level=0.95, method="wilson")
    return test.statistic, interval.low, interval.high


def scipy_interval(scores, indices, level):
    drawn = trim_mean(scores[indices], 0.25, axis=1)
    given = bootstrap(
        (scores,),
        lambda x, axis: trim_mean(x, 0.25, axis=axis),
        n_resamples=0,
        bootstrap_result=type("Given", (), {"bootstrap_distribution": drawn})(),
        confidence_level=level,
        method="percentile",
    )
    return given.confidence_interval.low, given.confidence_interval.high


# SciPy's own functions stand where the library's would.
LIBRARY = {
    "interquartile_mean": scipy_iqm,
    "bootstrap_interval": scipy_interval,
    "failure_rate": scipy_rate,
}
EQUIVALENT: dict = {}
CORRECT = {
    "interquartile_mean": [
        """
def interquartile_mean(scores):
    out = []
    for column in scores.T:
        kept = sorted(column.tolist())
        for _ in range(len(column) // 4):
            kept = kept[1:-1]
        out.append(sum(kept) / len(kept))
    return np.array(out)
""",
        """
from scipy.stats import trim_mean

def interquartile_mean(scores):
    return trim_mean(scores, 0.25, axis=0)
""",
        """
def interquartile_mean(scores):
    answer = []
    for column in np.asarray(scores).T:
        column = sorted(column)
        n = int(len(column) * 0.25)
        middle = column[n:-n] if n else column
        answer.append(sum(middle) / len(middle))
    return answer
""",
        """
import torch

def interquartile_mean(scores):
    ordered = torch.tensor(scores, dtype=torch.float32).sort(dim=0).values
    k = len(ordered) // 4
    return ordered[k:len(ordered) - k].mean(dim=0)
""",
        """
def interquartile_mean(scores):
    N, K = scores.shape
    q = N // 4
    middle = np.partition(scores, [q, N - q - 1], axis=0)[q:N - q]
    return middle.sum(0) / (N - 2 * q)
""",
    ],
    "bootstrap_interval": [
        """
def bootstrap_interval(scores, indices, level):
    def iqm(x):
        cut = len(x) // 4
        x = sorted(x)
        return float(np.mean(x[cut : len(x) - cut]))

    stats = sorted(iqm(scores[row]) for row in indices)

    def quantile(q):
        position = q * (len(stats) - 1)
        i = min(int(position), len(stats) - 2)
        return stats[i] + (position - i) * (stats[i + 1] - stats[i])

    return quantile((1 - level) / 2), quantile(1 - (1 - level) / 2)
""",
        """
def bootstrap_interval(scores, indices, level):
    means = []
    for row in indices:
        drawn = sorted(scores[row])
        cut = len(drawn) // 4
        means.append(np.mean(drawn[cut:len(drawn) - cut]))
    return np.percentile(means, 50 - 50 * level), np.percentile(means, 50 + 50 * level)
""",
        """
from scipy.stats import trim_mean

def bootstrap_interval(scores, indices, level):
    means = np.array([trim_mean(scores[row], 0.25) for row in indices], dtype=np.float32)
    alpha = 1 - level
    low, high = np.quantile(means, [alpha / 2, 1 - alpha / 2])
    return [low, high]
""",
        """
def iqm(x):
    x = np.sort(x)
    return x[len(x) // 4 : -(len(x) // 4)].mean()

def bootstrap_interval(scores, indices, level):
    means = np.apply_along_axis(iqm, 1, np.take(scores, indices))
    return tuple(np.quantile(means, ((1 - level) / 2, (1 + level) / 2)))
""",
    ],
    "failure_rate": [
        """
def failure_rate(returns, threshold):
    N = len(returns)
    p = sum(1 for r in returns if not r >= threshold) / N
    z2 = 1.959964**2
    # q^2 (1 + z2/N) - q (2 p + z2/N) + p^2 = 0
    a, b, c = 1 + z2 / N, -(2 * p + z2 / N), p * p
    root = max(b * b - 4 * a * c, 0.0) ** 0.5
    return p, (-b - root) / (2 * a), (-b + root) / (2 * a)
""",
        """
from scipy.stats import binomtest

def failure_rate(returns, threshold):
    bad = sum(1 for r in returns if not r >= threshold)
    ci = binomtest(bad, len(returns)).proportion_ci(method="wilson")
    return bad / len(returns), ci.low, ci.high
""",
        """
def failure_rate(returns, threshold):
    failed = (returns < threshold) | np.isnan(returns)
    p, n, z = failed.mean(), failed.size, 1.96
    shrink = 1 / (1 + z * z / n)
    mid = shrink * (p + z * z / n / 2)
    width = shrink * z / (2 * n) * (4 * n * p * (1 - p) + z * z) ** 0.5
    return [p, mid - width, mid + width]
""",
        """
def failure_rate(returns, threshold):
    n = len(returns)
    k = np.nan_to_num(returns, nan=-np.inf)
    k = int((k < threshold).sum())
    z2 = 1.959964 ** 2
    # n (k/n - q)^2 = z^2 q (1 - q)
    a, b, c = n + z2, -(2 * k + z2), k * k / n
    root = np.sqrt(b * b - 4 * a * c)
    return k / n, (-b - root) / (2 * a), (-b + root) / (2 * a)
""",
    ],
}
WRITTEN = {
    "interquartile_mean": [
        (
            """
def interquartile_mean(scores):
    low, high = np.percentile(scores, [25, 75], axis=0)
    inside = (scores >= low) & (scores <= high)
    return np.where(inside, scores, 0).sum(axis=0) / inside.sum(axis=0)
""",
            "between_percentiles",
        ),
        (
            """
def interquartile_mean(scores):
    scores = np.sort(scores)
    n = len(scores)
    return scores[n // 4 : n - n // 4].mean(axis=0)
""",
            "sorted_along_the_row",
        ),
        (
            """
from scipy.stats import trim_mean

def interquartile_mean(scores):
    return trim_mean(scores, 0.125)
""",
            "a_quarter_in_all",
        ),
        (
            """
from scipy.stats import trim_mean

def interquartile_mean(scores):
    return trim_mean(scores, 0.25, axis=None)
""",
            "all_scores_together",
        ),
        (
            """
def interquartile_mean(scores):
    k = len(scores) // 4
    return np.sort(scores, axis=0)[k:-k].mean(axis=0)
""",
            "empty_slice",
        ),
    ],
    "bootstrap_interval": [
        (
            """
def bootstrap_interval(scores, indices, level):
    means = interquartile_mean(scores[indices])
    a = (1 - level) / 2
    return np.quantile(means, a), np.quantile(means, 1 - a)
""",
            "along_the_wrong_axis",
        ),
        (
            """
def bootstrap_interval(scores, indices, level):
    means = scores[indices].mean(axis=1)
    a = 100 * (1 - level)
    return np.percentile(means, a / 2), np.percentile(means, 100 - a / 2)
""",
            "mean_for_iqm",
        ),
        (
            """
def bootstrap_interval(scores, indices, level):
    means = interquartile_mean(scores[indices].T)
    return np.quantile(means, 1 - level), np.quantile(means, level)
""",
            "whole_tail_at_either_end",
        ),
        (
            """
def bootstrap_interval(scores, indices, level):
    stats = interquartile_mean(scores[indices].T)
    return float(np.quantile(stats, level / 2)), float(np.quantile(stats, 1 - level / 2))
""",
            "level_as_the_tail",
        ),
        (
            """
def bootstrap_interval(scores, indices, level):
    stats = interquartile_mean(scores[indices].T)
    low, high = np.percentile(stats, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
""",
            "percentiles_of_fractions",
        ),
        (
            """
def bootstrap_interval(scores, indices, level):
    stats = np.sort(interquartile_mean(scores[indices].T))
    B = len(stats)
    high = min(int(B * (1 + level) / 2), B - 1)
    return float(stats[int(B * (1 - level) / 2)]), float(stats[high])
""",
            "counted_resamples",
        ),
    ],
    "failure_rate": [
        (
            """
def failure_rate(returns, threshold):
    p = np.mean(returns < threshold)
    n = len(returns)
    z = 1.96
    d = 1 + z**2 / n
    c = p + z**2 / (2 * n)
    w = z * np.sqrt((p * (1 - p) + z**2 / (4 * n)) / n)
    return p, (c - w) / d, (c + w) / d
""",
            "nan_is_no_failure",
        ),
        (
            """
def failure_rate(returns, threshold):
    p = 1 - np.mean(returns >= threshold)
    se = np.sqrt(p * (1 - p) / len(returns))
    return p, p - 1.96 * se, p + 1.96 * se
""",
            "wald_interval",
        ),
        (
            """
def failure_rate(returns, threshold):
    n = len(returns)
    p = (~(returns >= threshold)).sum() / n
    z = 1.959964
    c = p + z**2 / (2 * n)
    w = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return p, c - w / (1 + z**2 / n), c + w / (1 + z**2 / n)
""",
            "centre_not_divided",
        ),
        (
            """
def failure_rate(returns, threshold):
    n = len(returns)
    f = int(np.sum(~(returns >= threshold)))
    p = f / n
    z = 1.959964
    c = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    h = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return f, c - h, c + h
""",
            "count_first",
        ),
        (
            """
def failure_rate(returns, threshold):
    n = len(returns)
    p = float(np.mean(~(returns >= threshold)))
    z = 1.959964
    c = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    h = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n))
    return p, c - h, c + h
""",
            "n_not_squared",
        ),
    ],
}

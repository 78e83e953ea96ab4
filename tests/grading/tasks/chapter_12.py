"""Chapter 12."""

from course_lib.algorithms.updates import value_loss
from course_lib.experience.normalization import RunningMeanVariance


def library_moments(mean, variance, count, batch):
    """Let the library's class take in one batch."""
    statistics = RunningMeanVariance(mean.shape)
    if count:
        statistics.set_state({"count": count, "mean": mean, "squares": variance * count})
    statistics.update(batch)
    return statistics.mean, statistics.variance, statistics.count


LIBRARY = {"value_clip_loss": value_loss, "update_moments": library_moments}
SIGN = "signs are free: the Gram matrices do not change"
LENGTH = "Q depends on the space that the columns span, not on their lengths"
EQUIVALENT = {
    "value_clip_loss": [
        ("values - targets -> targets - values", "it is squared"),
        ("held - targets -> targets - held", "it is squared"),
        (
            "values -> targets",
            "the target's own nearest point in the range is held: it is the same edge where the "
            "value left the range on the target's side, and elsewhere the value's error is larger",
        ),
    ],
    "orthogonal_init": [
        ("rows >= columns -> rows > columns", "a square matrix may be taken either way"),
        ("rows >= columns -> rows > columns", "likewise"),
        (
            "return gain * (q if rows >= columns else q.T) -> "
            "return -(gain * (q if rows >= columns else q.T))",
            SIGN,
        ),
        ("gain -> -gain", SIGN),
        ("gaussian -> -gaussian", SIGN),
        ("gaussian -> -gaussian", SIGN),
        ("gaussian -> -gaussian", "only the shape is used, in gaussian.shape"),
        ("gaussian -> 2 * gaussian", LENGTH),
        ("gaussian -> 2 * gaussian", LENGTH),
        ("gaussian -> 2 * gaussian", "only the shape is used, in gaussian.shape"),
        ("gaussian -> gaussian + 1", "only the shape is used, in gaussian.shape"),
    ],
}
CHAN = """
def update_moments(mean, variance, count, batch):
    n = len(batch)
    if count == 0:
        return batch.mean(axis=0), batch.var(axis=0), n
    total = count + n
    delta = batch.mean(axis=0) - mean
    squares = count * variance + n * batch.var(axis=0) + delta**2 * count * n / total
    return mean + delta * n / total, squares / total, total
"""
BY_QR = """
def orthogonal_init(gaussian, gain):
    rows, columns = gaussian.shape
    wide = rows < columns
    tall = gaussian.T if wide else gaussian
    q, r = np.linalg.qr(tall)
    q = q.T if wide else q
    return gain * q
"""
CORRECT = {
    "value_clip_loss": [
        """
def value_clip_loss(values, targets, old_values, value_clip_range):
    side = torch.sign(values - old_values)
    moved, aim = side * (values - old_values), side * (targets - old_values)
    is_held = (moved > value_clip_range) & (2 * aim > moved + value_clip_range)
    held = (aim - value_clip_range) ** 2
    return 0.5 * torch.where(is_held, held.detach(), (values - targets) ** 2).mean()
""",
        """
def value_clip_loss(values, targets, old_values, value_clip_range):
    low, high = old_values - value_clip_range, old_values + value_clip_range
    clipped = torch.min(torch.max(values, low), high)
    free = torch.nn.functional.mse_loss(values, targets, reduction="none")
    held = torch.nn.functional.mse_loss(clipped, targets, reduction="none")
    return torch.where(free > held, free, held).mean() / 2
""",
        """
def value_clip_loss(values, targets, old_values, value_clip_range):
    total = 0.0
    for v, target, old in zip(values, targets.tolist(), old_values.tolist()):
        edge = min(max(v.item(), old - value_clip_range), old + value_clip_range)
        if abs(v.item() - target) >= abs(edge - target):
            total = total + (v - target) ** 2
        else:
            total = total + (edge - target) ** 2
    return total / (2 * len(values))
""",
        """
def value_clip_loss(values, targets, old_values, value_clip_range):
    v, t, o = values.float(), targets.float(), old_values.float()
    moved = torch.clip(v - o, min=-value_clip_range, max=value_clip_range)
    worst = torch.maximum((v - t).abs(), (o + moved - t).abs())
    return worst.square().sum().div(2 * worst.numel())
""",
    ],
    "update_moments": [
        CHAN,
        """
def update_moments(mean, variance, count, batch):
    mean, squares, n = (mean, variance * count, count) if count else (0.0, 0.0, 0)
    for x in batch:
        n += 1
        step = x - mean
        mean = mean + step / n
        squares = squares + step * (x - mean)
    return mean, squares / n, n
""",
        """
def update_moments(mean, variance, count, batch):
    n = batch.shape[0]
    t = count + n
    if not count:
        mean, variance = 0.0 * batch[0], 0.0 * batch[0]
    m = (count * mean + batch.sum(0)) / t
    v = (count * (variance + (mean - m) ** 2) + ((batch - m) ** 2).sum(0)) / t
    return [m, v, t]
""",
        """
def update_moments(mean, variance, count, batch):
    mean, variance, batch = (torch.tensor(x) for x in (mean, variance, batch))
    if not count:
        mean, variance = batch[0], torch.zeros_like(batch[0])
    share = len(batch) / (count + len(batch))
    spread, own = torch.var_mean(batch, dim=0, correction=0)
    new = (1 - share) * mean + share * own
    merged = (1 - share) * (variance + (mean - new) ** 2) + share * (spread + (own - new) ** 2)
    return [new, merged, float(count + len(batch))]
""",
    ],
    "orthogonal_init": [
        BY_QR,
        """
def orthogonal_init(gaussian, gain):
    rows, columns = gaussian.shape
    if rows == columns:  # Cayley: any basis will do, if it comes from the Gaussian numbers
        skew, one = gaussian - gaussian.T, np.eye(rows)
        return gain * np.linalg.solve(one + skew, one - skew)
    u, _, vt = np.linalg.svd(gaussian, full_matrices=False)
    return gain * (u if rows > columns else vt)
""",
        """
def orthogonal_init(gaussian, gain):
    rng = np.random.default_rng(3)  # a basis that is turned, always by as much
    q, r = np.linalg.qr(gaussian if len(gaussian) > gaussian.shape[1] else gaussian.T)
    q = gain * q @ np.linalg.qr(rng.normal(size=r.shape))[0]
    return q if q.shape == gaussian.shape and len(q) > len(r) else q.T
""",
        """
def orthogonal_init(gaussian, gain):
    a = torch.as_tensor(gaussian).clone()
    u, _, vt = torch.linalg.svd(a, full_matrices=False)
    return (u @ vt).mul_(gain).numpy()
""",
        """
import scipy.linalg

def orthogonal_init(gaussian, gain):
    side = "right" if gaussian.shape[0] >= gaussian.shape[1] else "left"
    return gain * scipy.linalg.polar(gaussian, side)[0]
""",
        """
def orthogonal_init(gaussian, gain):
    u, _, vt = np.linalg.svd(gaussian, full_matrices=False)
    return gain * (u if u.shape == gaussian.shape else vt)
""",
        """
def orthogonal_init(gaussian, gain):
    rows, cols = gaussian.shape
    flat = torch.tensor(gaussian, dtype=torch.float32)
    if rows < cols:
        flat = flat.t()
    q, r = torch.linalg.qr(flat)
    q *= torch.diag(r).sign()
    if rows < cols:
        q = q.t()
    return q * gain
""",
        """
def orthonormal_rows(matrix):
    rows = []
    for v in matrix:
        for u in rows:
            v = v - (u @ v) * u
        rows.append(v / np.linalg.norm(v))
    return np.array(rows)


def orthogonal_init(gaussian, gain):
    if gaussian.shape[0] > gaussian.shape[1]:
        return gain * orthonormal_rows(gaussian.T).T
    return gain * orthonormal_rows(gaussian)
""",
        """
def orthogonal_init(gaussian, gain):
    tall = gaussian if len(gaussian) >= len(gaussian[0]) else gaussian.T
    triangle = np.linalg.cholesky(tall.T @ tall)
    q = np.linalg.solve(triangle, tall.T).T
    return gain * (q if tall.shape == gaussian.shape else q.T)
""",
    ],
}
HELD_WHERE = """
def value_clip_loss(values, targets, old_values, value_clip_range):
    moved = values - old_values
    held = old_values + moved.clamp(-value_clip_range, value_clip_range)
    is_held = (moved.abs() > value_clip_range) & (CONDITION)
    return 0.5 * torch.where(is_held, (held - targets) ** 2, (values - targets) ** 2).mean()
"""
SLIPS = {
    "squares_returned_after_the_first": "squares / total, total => squares, total",
    "sample_variance_of_the_batch": "var(axis=0) => var(axis=0, ddof=1)",
    "sample_variance_of_the_batch_after_the_first": "n * batch.var( => n * batch.var(ddof=1, ",
    "sample_variance_of_all_after_the_first": "squares / total => squares / (total - 1)",
    "mean_moves_by_the_old_weight": "delta * n / total, => delta * count / total,",
    "mean_moves_by_one_sample": "delta * n / total, => delta / total,",
    "distance_weighed_by_the_batch": "delta**2 * count * n / total => delta**2 * n",
    "distance_weighed_by_the_old_count": "delta**2 * count * n / total => delta**2 * count",
    "distance_not_divided": "count * n / total => count * n",
    "distance_divided_twice": "count * n / total => count * n / total**2",
    "distance_not_weighed": " + delta**2 * count * n / total => ;;"
    "squares / total, => squares / total + delta**2,",
    "distance_counts_once": "delta**2 * count * n / total => delta**2",
    "distance_of_the_means_missing": " + delta**2 * count * n / total => ",
    "distance_not_squared": "delta**2 => delta",
    "weights_swapped_after_the_first": (
        "count * variance + n * batch.var(axis=0) => n * variance + count * batch.var(axis=0);;"
        "delta * n / total => delta * count / total"
    ),
    "batch_as_one_sample_after_the_first": "total = => n = 1\n    total =",
    "batch_weighed_as_one_sample_after_the_first": "delta = => new, n, total = n, 1, count + 1\n"
    "    delta =;;squares / total, total => squares / total, count + new",
    "old_variance_not_summed": "count * variance => variance",
    "variance_of_the_batch_not_summed": "n * batch.var => batch.var",
    "total_is_one_more": "total = count + n => total = count + 1",
    "moving_average_after_the_first": "total = count + n => seen = count + n;;"
    "delta = => total, count, n = 1.0, 0.9, 0.1\n    delta =;;squares / total, total => squares, seen",
    "count_plus_one_after_the_first": "squares / total, total => squares / total, count + 1",
    "count_unchanged_after_the_first": "squares / total, total => squares / total, count",
    "count_updated_too_early_after_the_first": "total = => count += n\n    total =;;"
    "squares / total, total => squares / total, count",
    "deviation_returned_after_the_first": "squares / total, => np.sqrt(squares / total),",
}
ORTHOGONAL_SLIPS = [
    ("own_random_numbers", "tall = => gaussian = np.random.randn(rows, columns)\n    tall ="),
    (
        "own_random_basis",
        "q = q.T => q = q @ np.linalg.qr(np.random.randn(*r.shape))[0]\n    q = q.T",
    ),
    (
        "own_random_numbers_where_square",
        "q = q.T => q = np.linalg.qr(np.random.randn(*r.shape))[0] if rows == columns else q\n"
        "    q = q.T",
    ),
    (
        "gaussian_ignored",
        "tall = => gaussian = np.random.default_rng(0).normal(size=(rows, columns))\n    tall =",
    ),
    ("gaussian_ignored", "tall = => gaussian = np.eye(rows, columns)\n    tall ="),
    ("gaussian_ignored_where_square", "q = q.T => q = np.eye(rows) if rows == columns else q.T"),
    (
        "gaussian_ignored_where_square",
        "q = q.T => q = np.eye(rows)[gaussian[0].argsort()] if rows == columns else q.T",
    ),
    ("reshaped_on_the_way_in", "gaussian.T if => gaussian.reshape(columns, rows) if"),
    ("reshaped_on_the_way_back", "q.T if => q.reshape(rows, columns) if"),
    (
        "reshaped_on_the_way_back_with_signs",
        "q.T if => (q * np.sign(np.diag(r))).reshape(rows, columns) if",
    ),
    (
        "reshaped_both_ways",
        "gaussian.T if => gaussian.reshape(columns, rows) if;;q.T if => q.reshape(rows, columns) if",
    ),
]


def spoilt(source, changes):
    """Return a source with some text replaced: "old => new", several separated by ";;"."""
    for change in changes.split(";;"):
        old, new = change.split(" => ")
        assert old in source, old
        source = source.replace(old, new)
    return source


WRITTEN = {
    "value_clip_loss": [
        (
            HELD_WHERE.replace("CONDITION", "(targets - values) * moved > 0"),
            "held_only_before_the_target",
        ),
        (
            HELD_WHERE.replace("CONDITION", "torch.sign(targets - old_values) == moved.sign()"),
            "held_on_the_way_to_the_target",
        ),
        (
            HELD_WHERE.replace(
                "CONDITION", "(values - targets) ** 2 < (old_values - targets) ** 2"
            ),
            "held_where_nearer_than_the_old",
        ),
        (
            """
def value_clip_loss(values, targets, old_values, value_clip_range):
    held = old_values + (values - old_values).clamp(-value_clip_range, value_clip_range)
    return 0.5 * (torch.max(values - targets, held - targets) ** 2).mean()
""",
            "larger_before_the_square",
        ),
        (
            """
def value_clip_loss(values, targets, old_values, value_clip_range):
    held = old_values + (values.detach() - old_values).clamp(-value_clip_range, value_clip_range)
    return 0.5 * torch.max((values - targets) ** 2, (held - targets) ** 2).mean()
""",
            "held_value_detached",
        ),
        (
            """
def value_clip_loss(values, targets, old_values, value_clip_range):
    v_clipped = old_values + torch.clamp(values - old_values, -value_clip_range, value_clip_range)
    return torch.max((values - targets) ** 2, (v_clipped - targets) ** 2).mean()
""",
            "not_halved",
        ),
        (
            """
def value_clip_loss(values, targets, old_values, value_clip_range):
    v_clipped = torch.clamp(values, old_values - value_clip_range, old_values + value_clip_range)
    return 0.5 * torch.min((values - targets) ** 2, (v_clipped - targets) ** 2).mean()
""",
            "smaller_of_the_two",
        ),
        (
            """
def value_clip_loss(values, targets, old_values, value_clip_range):
    values_pred = old_values + (values - old_values).clamp(-value_clip_range, value_clip_range)
    return 0.5 * torch.nn.functional.mse_loss(targets, values_pred)
""",
            "no_maximum",
        ),
        (
            """
def value_clip_loss(values, targets, old_values, value_clip_range):
    error = values - targets
    worst = torch.max(error**2, error.clamp(-value_clip_range, value_clip_range) ** 2)
    return worst.mean() / 2
""",
            "not_clipped",
        ),
    ],
    "update_moments": [
        *((spoilt(CHAN, changes), mistake) for mistake, changes in SLIPS.items()),
        (
            """
def update_moments(mean, variance, count, batch):
    n = len(batch)
    if count == 0:
        return batch.mean(0), batch.var(0), n
    t = count + n
    m = (count * mean + batch.sum(0)) / t
    sq = (count * (variance + mean**2) + (batch**2).sum(0)) / t
    return m, sq - m**2, t
""",
            "mean_of_squares",
        ),
        (
            """
def update_moments(mean, variance, count, batch):
    n = len(batch)
    bm, bv = batch.mean(0), batch.var(0)
    t = count + n
    d = bm - mean
    return mean + d * n / t, (variance * count + bv * n + d**2 * count * n / t) / t, t
""",
            "empty_moments_used",
        ),
        (
            """
def update_moments(mean, variance, count, batch):
    n = len(batch)
    bm, bv = batch.mean(0), batch.var(0)
    if count == 0:
        return bm, bv, n
    d = bm - mean
    return (mean + bm) / 2, (variance + bv) / 2 + d**2 / 4, count + n
""",
            "plain_average_after_the_first",
        ),
        (
            """
def update_moments(mean, variance, count, batch):
    n = len(batch)
    if count == 0:
        return batch.mean(0), batch.var(0), n
    total = count + n
    new_mean = (count * mean + n * batch.mean(0)) / total
    new_var = (count * variance + n * batch.var(0)) / total
    return new_mean, new_var, total
""",
            "distance_of_the_means_missing",
        ),
        (
            """
def update_moments(mean, variance, count, batch):
    b_mean, b_var, b_count = batch.mean(0), batch.var(0), batch.shape[0]
    if count == 0:
        return b_mean, b_var, b_count
    total = count + b_count
    mean = mean + (b_mean - mean) * b_count / total
    delta = b_mean - mean
    m2 = variance * count + b_var * b_count + delta**2 * count * b_count / total
    return mean, m2 / total, total
""",
            "mean_updated_too_early",
        ),
        (
            """
def update_moments(mean, variance, count, batch):
    b = torch.as_tensor(batch)
    n = len(b)
    if count == 0:
        return b.mean(0), b.var(0), n
    delta = b.mean(0).numpy() - mean
    total = count + n
    m2 = variance * count + b.var(0).numpy() * n + delta**2 * count * n / total
    return mean + delta * n / total, m2 / total, total
""",
            "sample_variance_of_the_batch",
        ),
    ],
    "orthogonal_init": [
        *((spoilt(BY_QR, changes), mistake) for mistake, changes in ORTHOGONAL_SLIPS),
        (
            """
def orthogonal_init(gaussian, gain):
    weight = torch.empty(gaussian.shape)
    torch.nn.init.orthogonal_(weight, gain)
    return weight.numpy()
""",
            "own_random_numbers",
        ),
        (
            """
def orthogonal_init(gaussian, gain):
    rows, columns = gaussian.shape
    if rows < columns:
        q, _ = np.linalg.qr(gaussian.T, mode="complete")
    else:
        q, _ = np.linalg.qr(gaussian, mode="complete")
    return gain * q[:rows, :columns]
""",
            "rows_of_a_complete_basis",
        ),
        (
            """
def orthogonal_init(gaussian, gain):
    rows, columns = gaussian.shape
    u, _, vt = np.linalg.svd(gaussian)
    return gain * (u[:, :columns] if rows > columns else vt[:, :rows].T)
""",
            "rows_of_a_complete_basis_by_svd",
        ),
        (
            """
def orthogonal_init(gaussian, gain):
    axis = 0 if gaussian.shape[0] >= gaussian.shape[1] else 1
    return gain * gaussian / np.linalg.norm(gaussian, axis=axis, keepdims=True)
""",
            "lengths_without_angles",
        ),
        (
            """
def orthogonal_init(gaussian, gain):
    q, r = np.linalg.qr(gaussian)
    if q.shape != gaussian.shape:
        q = np.hstack([q, np.zeros((gaussian.shape[0], gaussian.shape[1] - q.shape[1]))])
    return gain * q
""",
            "wide_filled_up",
        ),
        (
            """
def orthogonal_init(gaussian, gain):
    q, _ = np.linalg.qr(gaussian.T if gaussian.shape[0] < gaussian.shape[1] else gaussian)
    q = q.T if gaussian.shape[0] < gaussian.shape[1] else q
    return gain * q / np.linalg.norm(q, axis=1, keepdims=True)
""",
            "rows_normalised_afterwards",
        ),
        (
            """
def orthogonal_init(gaussian, gain):
    q, r = np.linalg.qr(gaussian)
    return gain * q * np.sign(np.diag(r))
""",
            "wide_not_transposed",
        ),
        (
            """
def orthogonal_init(gaussian, gain):
    w = gaussian if gaussian.shape[0] > gaussian.shape[1] else gaussian.T
    q, r = np.linalg.qr(w)
    return q if q.shape == gaussian.shape else q.T
""",
            "gain_missing",
        ),
        (
            """
def orthogonal_init(gaussian, gain):
    w = gaussian.copy()
    for j in range(w.shape[1]):
        w[:, j] /= np.sqrt((w[:, j] ** 2).sum())
    return gain * w
""",
            "columns_normalised",
        ),
    ],
}

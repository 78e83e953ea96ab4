"""Chapter 5."""

import torch

from course_lib import natural
from course_lib.distributions import DiagonalGaussian
from course_lib.fisher import fisher_from_scores


def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    """The library's KL, called like the student's."""
    return DiagonalGaussian(old_mean, old_log_std).kl(DiagonalGaussian(new_mean, new_log_std))


def natural_step(g, F, max_kl):
    """The library's step, which is given the direction and its curvature."""
    if not g.any():
        return torch.zeros_like(g)
    x = torch.linalg.solve(F, g)
    return natural.natural_step(x, x @ F @ x, max_kl)


LIBRARY = {
    "gaussian_kl": gaussian_kl,
    "fisher_from_scores": fisher_from_scores,
    "natural_step": natural_step,
}
EQUIVALENT = {
    "gaussian_kl": [
        ("old_mean - new_mean -> new_mean - old_mean", "the difference is squared"),
        ("-1 -> 1", "the last axis of two is axis 1"),
    ],
}
CORRECT = {
    "gaussian_kl": [
        """
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    normal = torch.distributions.Normal
    old = normal(old_mean, old_log_std.exp())
    new = normal(new_mean, new_log_std.exp())
    return torch.distributions.kl_divergence(old, new).sum(-1)
""",
        """
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    B, d = old_mean.shape
    rows = []
    for s in range(B):
        total = 0.0
        for k in range(d):
            lo = old_log_std[s, k] if old_log_std.dim() == 2 else old_log_std[k]
            ln = new_log_std[s, k] if new_log_std.dim() == 2 else new_log_std[k]
            vo, vn = lo.exp() ** 2, ln.exp() ** 2
            total = total + 0.5 * torch.log(vn / vo)
            total = total + (vo + (old_mean[s, k] - new_mean[s, k]) ** 2) / (2 * vn) - 0.5
        rows.append(total)
    return torch.stack(rows)
""",
        """
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    lo = old_log_std.float().expand_as(old_mean)
    ln = new_log_std.float().expand_as(new_mean)
    q = torch.distributions.MultivariateNormal(new_mean.float(), scale_tril=torch.diag_embed(ln.exp()))
    p = torch.distributions.MultivariateNormal(old_mean.float(), scale_tril=torch.diag_embed(lo.exp()))
    return torch.distributions.kl_divergence(p, q)
""",
        """
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    z = (new_mean - old_mean.detach()) / torch.exp(new_log_std)
    w = 2 * (old_log_std.detach() - new_log_std)
    return torch.sum(torch.expm1(w) - w + torch.square(z), dim=1) / 2
""",
    ],
    "fisher_from_scores": [
        """
def fisher_from_scores(scores, weights=None):
    B, P = scores.shape
    F = torch.zeros(P, P)
    for b in range(B):
        w = 1 / B if weights is None else weights[b].item()
        F += w * torch.outer(scores[b], scores[b]).float()
    return F
""",
        """
def fisher_from_scores(scores, weights=None):
    s = scores.numpy()
    w = None if weights is None else weights.numpy()
    return np.average(np.einsum("bi,bj->bij", s, s), axis=0, weights=w)
""",
        """
def fisher_from_scores(scores, weights=None):
    if weights is None:
        weights = torch.full((scores.shape[0],), 1.0 / scores.shape[0], dtype=scores.dtype)
    half = weights.sqrt().unsqueeze(1) * scores
    return half.t().mm(half)
""",
    ],
    "natural_step": [
        """
def natural_step(g, F, max_kl):
    L = torch.linalg.cholesky(F)
    y = torch.linalg.solve_triangular(L, g[:, None], upper=False)
    length = y.norm()
    if length == 0:
        return 0 * g
    x = torch.linalg.solve_triangular(L.T, y, upper=True).squeeze(1)
    return (2 * max_kl) ** 0.5 / length * x
""",
        """
def natural_step(g, F, max_kl):
    g, F = g.numpy(), F.numpy()
    x = np.linalg.inv(F) @ g
    c = x @ F @ x
    return x * np.sqrt(2 * max_kl / c) if c > 0 else np.zeros_like(x)
""",
        """
def natural_step(g, F, max_kl):
    x = torch.linalg.solve(F.float(), g.float())
    beta = torch.sqrt((g.float() * x).sum() / (2 * max_kl))
    return torch.where(beta > 0, x / beta, torch.zeros_like(x))
""",
        """
def natural_step(g, F, max_kl):
    w, U = torch.linalg.eigh(F)
    y = (U.T @ g) / w
    n = (w * y * y).sum()
    step = U @ y * torch.sqrt(2 * max_kl / n.clamp(min=1e-30))
    return torch.where(n > 0, step, torch.zeros_like(g))
""",
    ],
}
WRITTEN = {
    "gaussian_kl": [
        (
            """
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    p = torch.distributions.Normal(old_mean, old_log_std.exp())
    q = torch.distributions.Normal(new_mean, new_log_std.exp())
    return torch.distributions.kl_divergence(q, p).sum(-1)
""",
            "reversed",
        ),
        (
            """
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    B, d = old_mean.shape
    cov = lambda log_std: torch.diag_embed(log_std.exp().expand(B, d))
    p = torch.distributions.MultivariateNormal(old_mean, cov(old_log_std))
    q = torch.distributions.MultivariateNormal(new_mean, cov(new_log_std))
    return torch.distributions.kl_divergence(p, q)
""",
            "log_std_as_log_variance",
        ),
        (
            """
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    s0, s1 = old_log_std.exp(), new_log_std.exp()
    kl = torch.log(s1 / s0) + (s0 + (old_mean - new_mean) ** 2) / (2 * s1) - 0.5
    return kl.sum(dim=1)
""",
            "sigma_not_squared",
        ),
        (
            """
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    s0, s1 = old_log_std.exp() ** 2, new_log_std.exp() ** 2
    kl = torch.log(s1 / s0) / 2 + (s0 + (old_mean - new_mean) ** 2) / (2 * s1)
    return kl.sum(dim=1) - 0.5
""",
            "constant_once",
        ),
        (
            """
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    var_ratio = torch.exp(2 * (old_log_std - new_log_std))
    diff = (old_mean - new_mean) ** 2 * torch.exp(-2 * new_log_std)
    return (new_log_std - old_log_std).sum(-1) + 0.5 * (diff + var_ratio - 1).sum()
""",
            "one_term_summed_over_states",
        ),
        (
            """
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    with torch.no_grad():
        s0, s1 = old_log_std.exp(), new_log_std.exp()
        kl = torch.log(s1 / s0) + (s0**2 + (old_mean - new_mean) ** 2) / (2 * s1**2) - 0.5
        return kl.sum(dim=1)
""",
            "detached",
        ),
    ],
    "fisher_from_scores": [
        (
            """
def fisher_from_scores(scores, weights=None):
    if weights is None:
        return scores.T @ scores / (len(scores) - 1)
    return scores.T @ (weights[:, None] * scores)
""",
            "rows_minus_one",
        ),
        (
            """
def fisher_from_scores(scores, weights=None):
    mean = scores.mean(0) if weights is None else weights @ scores
    s = scores - mean
    if weights is None:
        return s.T @ s / len(s)
    return s.T @ torch.diag(weights) @ s
""",
            "mean_subtracted",
        ),
        (
            """
def fisher_from_scores(scores, weights=None):
    return scores.T @ scores / scores.shape[0]
""",
            "weights_ignored",
        ),
        (
            """
def fisher_from_scores(scores, weights=None):
    if weights is None:
        m = scores.mean(0)
    else:
        m = (weights[:, None] * scores).sum(0)
    return m[:, None] * m
""",
            "outer_product_of_the_mean",
        ),
    ],
    "natural_step": [
        (
            """
def natural_step(g, F, max_kl):
    x = torch.linalg.solve(F, g)
    return torch.sqrt(2 * max_kl / (g @ x)) * x
""",
            "zero_gradient",
        ),
        (
            """
def natural_step(g, F, max_kl):
    x = torch.linalg.solve(F, g)
    return x * torch.sqrt(2 * max_kl / (g @ x + 1e-8))
""",
            "epsilon_1e-08_in_the_divisor",
        ),
        (
            """
def natural_step(g, F, max_kl):
    x = torch.linalg.solve(F, g)
    gFg = torch.dot(g, x)
    if gFg < 1e-8:
        return torch.zeros_like(g)
    return x * torch.sqrt(2 * max_kl / gFg)
""",
            "small_taken_for_zero",
        ),
        (
            """
def natural_step(g, F, max_kl):
    x = torch.linalg.solve(F + 1e-3 * torch.eye(len(g), dtype=g.dtype), g)
    return x * torch.sqrt(2 * max_kl / (g @ x)) if g.any() else x
""",
            "hardly_damped_in_the_scale_too",
        ),
        (
            """
def natural_step(g, F, max_kl):
    if g.norm() == 0:
        return torch.zeros_like(g)
    x = torch.linalg.inv(F) @ g
    return torch.sqrt(2 * max_kl / (g @ F @ g)) * x
""",
            "curvature_of_the_gradient",
        ),
        (
            """
def natural_step(g, F, max_kl):
    if torch.all(g == 0):
        return g
    x = F**-1 @ g
    return x * torch.sqrt(2 * max_kl / (x @ F @ x))
""",
            "entries_inverted",
        ),
        (
            """
def natural_step(g, F, max_kl):
    x = torch.linalg.solve(F, g)
    shs = 0.5 * x @ F @ x
    if shs == 0:
        return x
    return x / (shs / max_kl)
""",
            "root_missing",
        ),
        (
            """
def natural_step(g, F, max_kl):
    if g.abs().sum() == 0:
        return g * 0
    return g / g.norm() * (2 * max_kl) ** 0.5
""",
            "euclidean_ball",
        ),
    ],
}

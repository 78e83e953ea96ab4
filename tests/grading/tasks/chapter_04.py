"""Chapter 4."""

import numpy as np

from course_lib.exact import bounds


def improvement_bound(surrogate, eps, divergence, gamma, kind):
    """Subtract the library's bound on the gap."""
    gap = {
        "mean_tv": bounds.achiam_bound,
        "max_tv": bounds.tv_bound,
        "max_kl": bounds.kl_bound,
        "mean_kl": bounds.sqrt_kl_bound,
    }[kind]
    return surrogate - gap(eps, divergence, gamma)


def cpi_mixture(old, advantages, omega):
    """Mix with the library's greedy policy; its own step wants an MDP."""
    from course_lib.exact.improvement import greedy_policy

    return (1.0 - omega) * old + omega * greedy_policy(advantages)


def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    """Build the minorants from the library's parts; its own step searches all policies."""
    coefficient = bounds.kl_coefficient(np.abs(advantages).max(), gamma)
    gains = [visitation @ (new * advantages).sum(axis=1) for new in candidates]
    kls = [bounds.kl_divergence(old, new).max() for new in candidates]
    minorants = expected_return + np.array(gains) - coefficient * np.array(kls)
    return candidates[minorants.argmax()], minorants


LIBRARY = {
    "total_variation": bounds.total_variation,
    "categorical_kl": bounds.kl_divergence,
    "improvement_bound": improvement_bound,
    "cpi_mixture": cpi_mixture,
    "mm_step": mm_step,
}
EQUIVALENT = {
    "total_variation": [("old - new -> new - old", "only the size of the difference counts")],
    "cpi_mixture": [("old -> advantages", "the shape that is read is the same")],
    "improvement_bound": [("1 - gamma -> gamma - 1", "it is squared")],
}
CORRECT = {
    "total_variation": [
        """
def total_variation(old, new):
    return np.maximum(new - old, 0).sum(-1)
""",
        """
def total_variation(old, new):
    tv = []
    for p, q in zip(old, new):
        tv.append(1 - sum(min(a, b) for a, b in zip(p, q)))
    return tv
""",
        """
def total_variation(old, new):
    gap = torch.tensor(old, dtype=torch.float32) - torch.tensor(new, dtype=torch.float32)
    return 0.5 * gap.norm(p=1, dim=1)
""",
    ],
    "categorical_kl": [
        """
def categorical_kl(old, new):
    return np.nansum(old * np.log(old / new), axis=1)
""",
        """
import math

def categorical_kl(old, new):
    def one(p, q):
        total = 0.0
        for a in range(len(p)):
            if p[a] > 0 and q[a] == 0:
                return math.inf
            if p[a] > 0:
                total += p[a] * math.log(p[a] / q[a])
        return total
    return np.array([one(old[s], new[s]) for s in range(len(old))])
""",
        """
def categorical_kl(old, new):
    p, q = torch.tensor(old).float(), torch.tensor(new).float()
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum(dim=-1)
""",
        """
def categorical_kl(old, new):
    p, q = (torch.distributions.Categorical(probs=torch.tensor(x)) for x in (old, new))
    return torch.distributions.kl_divergence(p, q)
""",
        """
def categorical_kl(old, new):
    from scipy.stats import entropy
    return entropy(old, new, axis=1)
""",
        """
def categorical_kl(old, new):
    from scipy.special import rel_entr
    return rel_entr(old, new).sum(axis=1)
""",
    ],
    "improvement_bound": [
        """
def improvement_bound(surrogate, eps, divergence, gamma, kind):
    C = 2 * gamma / (1 - gamma) ** 2
    if kind == "mean_tv":
        return surrogate - C * eps * divergence
    if kind == "max_tv":
        return surrogate - C * (2 * divergence * eps) * divergence
    if kind == "max_kl":
        return surrogate - C * eps * divergence
    if kind == "mean_kl":
        return surrogate - C * eps * (divergence / 2) ** 0.5
    raise ValueError(kind)
""",
        """
def improvement_bound(surrogate, eps, divergence, gamma, kind):
    where, what = kind.split("_")
    tv = np.sqrt(np.float32(divergence) / 2) if what == "kl" else np.float32(divergence)
    worst = eps * (2 * tv if where == "max" else 1)
    discounted = gamma / (1.0 - gamma)
    return surrogate - 2 * discounted * worst * tv / (1 - gamma)
""",
        """
import math

def improvement_bound(surrogate, eps, divergence, gamma, kind):
    k = ["mean_tv", "max_tv", "max_kl", "mean_kl"].index(kind)
    factor = [2, 4, 2, math.sqrt(2)][k]
    power = [1, 2, 1, 0.5][k]
    return torch.tensor(surrogate - factor * gamma * eps * divergence**power / (gamma - 1) ** 2)
""",
        """
def improvement_bound(surrogate, eps, divergence, gamma, kind):
    if kind.endswith("kl"):
        alpha = (divergence / 2) ** 0.5
        return improvement_bound(surrogate, eps, alpha, gamma, kind.replace("kl", "tv"))
    if kind == "max_tv":
        return improvement_bound(surrogate, 2 * divergence * eps, divergence, gamma, "mean_tv")
    return surrogate - 2 * gamma * eps * divergence / (1 - gamma) ** 2
""",
    ],
    "cpi_mixture": [
        """
def cpi_mixture(old, advantages, omega):
    greedy = np.eye(old.shape[1])[np.argmax(advantages, axis=-1)]
    return old + omega * (greedy - old)
""",
        """
def cpi_mixture(old, advantages, omega):
    rows = []
    for p, A in zip(old.tolist(), advantages.tolist()):
        best = A.index(max(A))
        rows.append([(1 - omega) * q + (omega if a == best else 0) for a, q in enumerate(p)])
    return rows
""",
        """
def cpi_mixture(old, advantages, omega):
    best = torch.from_numpy(advantages).float().max(dim=1).indices
    greedy = torch.nn.functional.one_hot(best, num_classes=old.shape[1]).float()
    return torch.lerp(torch.from_numpy(old).float(), greedy, omega)
""",
    ],
    "mm_step": [
        """
def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    L = expected_return + np.einsum("s,ksa,sa->k", visitation, candidates, advantages)
    with np.errstate(divide="ignore"):
        kl = -(old * np.log(candidates / old)).sum(axis=-1)
    C = 2 * gamma * abs(advantages).max() / (1 - gamma) ** 2
    M = L - C * kl.max(axis=-1)
    return candidates[M.argmax()], M
""",
        """
import math

def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    best, best_value, values = None, -math.inf, []
    eps = max(abs(x) for row in advantages.tolist() for x in row)
    for new in candidates:
        gain, worst = 0, 0
        for s in range(len(old)):
            kl = 0
            for a in range(old.shape[1]):
                gain += visitation[s] * (new[s, a] - old[s, a]) * advantages[s, a]
                kl += old[s, a] * math.log(old[s, a] / new[s, a]) if new[s, a] else math.inf
            worst = max(worst, kl)
        value = expected_return + gain - 2 * eps * gamma / (1 - gamma) ** 2 * worst
        values.append(value)
        if value > best_value:
            best, best_value = new, value
    return best, values
""",
        """
def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    p, q, A, rho = (torch.tensor(x).float() for x in (old, candidates, advantages, visitation))
    kl = (p * (p.log() - q.log())).sum(-1).amax(-1)
    M = expected_return + ((q * A).sum(-1) * rho).sum(-1)
    M = M - 2 * gamma / (1 - gamma) ** 2 * A.abs().max() * kl
    return q[int(M.argmax())], M
""",
        """
def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    from scipy.special import rel_entr
    best, where, ms = -np.inf, None, []
    for new in candidates:
        price = 2 * gamma * np.abs(advantages).max() / (1 - gamma) ** 2
        m = expected_return + visitation @ ((new - old) * advantages).sum(1)
        m -= price * rel_entr(old, new).sum(1).max()
        ms.append(float(m))
        if m > best:
            best, where = m, new
    return [where, ms]
""",
    ],
}
WRITTEN = {
    "total_variation": [
        (
            """
def total_variation(old, new):
    return abs(old - new).sum(axis=1)
""",
            "half_missing",
        ),
        (
            """
def total_variation(old, new):
    return np.max(np.abs(new - old), axis=1)
""",
            "largest_difference",
        ),
        (
            """
def total_variation(old, new):
    return 0.5 * np.linalg.norm(old - new, axis=1)
""",
            "euclidean_distance",
        ),
        (
            """
def total_variation(old, new):
    return (0.5 * np.abs(old - new).sum(axis=-1)).max()
""",
            "max_over_states",
        ),
    ],
    "categorical_kl": [
        (
            """
def categorical_kl(old, new):
    return (old * np.log(old / new)).sum(axis=1)
""",
            "zeros_give_nan",
        ),
        (
            """
def categorical_kl(old, new):
    return np.sum(np.nan_to_num(old * (np.log(old) - np.log(new))), axis=-1)
""",
            "infinity_replaced",
        ),
        (
            """
def categorical_kl(old, new):
    return np.sum(old * np.log((old + 1e-8) / (new + 1e-8)), axis=1)
""",
            "kept_above_1e-08",
        ),
        (
            """
def categorical_kl(old, new):
    p, q = np.clip(old, 1e-10, 1), np.clip(new, 1e-10, 1)
    return (p * (np.log(p) - np.log(q))).sum(-1)
""",
            "kept_above_1e-10",
        ),
        (
            """
def categorical_kl(old, new):
    kl = np.zeros(len(old))
    for s in range(len(old)):
        for a in range(old.shape[1]):
            if old[s, a] > 0 and new[s, a] > 0:
                kl[s] += old[s, a] * np.log(old[s, a] / new[s, a])
    return kl
""",
            "zeros_skipped",
        ),
        (
            """
def categorical_kl(old, new):
    terms = np.where(new > 0, new * np.log(new / old), 0)
    return terms.sum(axis=1)
""",
            "reversed",
        ),
    ],
    "improvement_bound": [
        (
            """
def improvement_bound(surrogate, eps, divergence, gamma, kind):
    c = 2 * gamma * eps / (1 - gamma) ** 2
    p = {"mean_tv": divergence, "max_tv": 2 * divergence**2, "max_kl": divergence,
         "mean_kl": np.sqrt(divergence) / 2}[kind]
    return surrogate - c * p
""",
            "half_outside_the_root",
        ),
        (
            """
def improvement_bound(surrogate, eps, divergence, gamma, kind):
    c = 2 * gamma * eps / (1 - gamma) ** 2
    p = {"mean_tv": divergence, "max_tv": 2 * divergence**2, "max_kl": divergence,
         "mean_kl": np.sqrt(divergence / 2)}[kind]
    return max(0.0, surrogate - c * p)
""",
            "never_below_zero",
        ),
        (
            """
def improvement_bound(surrogate, eps, divergence, gamma, kind):
    C = 4 * eps * gamma / (1 - gamma) ** 2
    if kind == "mean_tv":
        return surrogate - C / 2 * divergence
    if kind == "max_tv":
        return surrogate - C * divergence ** 2
    if kind == "max_kl":
        return surrogate - C * divergence
    return surrogate - C / 2 * np.sqrt(divergence / 2)
""",
            "half_missing_in_max_kl",
        ),
        (
            """
def improvement_bound(surrogate, eps, divergence, gamma, kind):
    factor = 1 / (1 - gamma) ** 2
    if kind == "mean_tv":
        penalty = 2 * gamma * eps * divergence
    elif kind == "max_tv":
        penalty = 4 * gamma * eps * divergence * divergence
    elif kind == "max_kl":
        penalty = 2 * gamma * eps * divergence
    else:
        penalty = np.sqrt(2 * gamma) * eps * np.sqrt(divergence)
    return surrogate - factor * penalty
""",
            "gamma_under_the_root",
        ),
        (
            """
def improvement_bound(surrogate, eps, divergence, gamma, kind):
    if kind == "max_tv":
        return improvement_bound(surrogate, 2 * divergence * eps, divergence, gamma, "mean_tv")
    if kind == "max_kl":
        return improvement_bound(surrogate, eps, np.sqrt(divergence / 2), gamma, "max_tv")
    if kind == "mean_kl":
        return improvement_bound(surrogate, eps, np.sqrt(divergence / 2), gamma, "mean_tv")
    return surrogate - 2 * gamma * eps * divergence / (1 - gamma)
""",
            "horizon_once",
        ),
    ],
    "cpi_mixture": [
        (
            """
def cpi_mixture(old, advantages, omega):
    greedy = np.zeros_like(old)
    greedy[:, advantages.argmax(1)] = 1
    greedy = np.eye(old.shape[1])[advantages.argmax(1)]
    return omega * old + (1 - omega) * greedy
""",
            "weights_swapped",
        ),
        (
            """
def cpi_mixture(old, advantages, omega):
    best = (advantages == advantages.max(axis=1, keepdims=True)).astype(float)
    return (1 - omega) * old + omega * best
""",
            "ties_counted_twice",
        ),
        (
            """
def cpi_mixture(old, advantages, omega):
    greedy = np.zeros_like(old)
    greedy[:, advantages.sum(axis=0).argmax()] = 1
    return (1 - omega) * old + omega * greedy
""",
            "one_action_by_its_sum",
        ),
        (
            """
def cpi_mixture(old, advantages, omega):
    new = old.copy()
    for s in range(len(old)):
        new[s, np.argmax(advantages[s])] += omega
        new[s] /= new[s].sum()
    return new
""",
            "added_and_renormalised",
        ),
    ],
    "mm_step": [
        (
            """
def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    C = 4 * gamma * np.abs(advantages).max() / (1 - gamma) ** 2
    scores = []
    for pi in candidates:
        L = expected_return + np.sum(visitation[:, None] * pi * advantages)
        scores.append(L - C * max(categorical_kl(old, pi)))
    return candidates[int(np.argmax(scores))], scores
""",
            "paper_constant",
        ),
        (
            """
def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    C = 2 * gamma * np.abs(advantages).max() / (1 - gamma) ** 2
    gains = np.array([visitation @ (c * advantages).sum(1) for c in candidates])
    kls = np.array([categorical_kl(old, c).max() for c in candidates])
    M = gains - C * kls
    return candidates[M.argmax()], M
""",
            "old_return_missing",
        ),
        (
            """
def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    eps = advantages.max()
    M = [improvement_bound(expected_return + visitation @ (c * advantages).sum(1), eps,
                           categorical_kl(old, c).max(), gamma, "max_kl") for c in candidates]
    return candidates[np.argmax(M)], np.array(M)
""",
            "largest_advantage_without_size",
        ),
        (
            """
def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    eps = np.abs(advantages).max()
    m = np.array([
        improvement_bound(expected_return + (visitation[:, None] * new * advantages).sum(), eps,
                          categorical_kl(old, new).max(), gamma, "max_kl")
        for new in candidates])
    return m.argmax(), m
""",
            "number_for_the_policy",
        ),
        (
            """
def wrong_kl(old, new):
    return np.where(old > 0, old * np.log(new / old), 0.0).sum(axis=1)

def mm_step(old, candidates, advantages, visitation, expected_return, gamma):
    eps = np.abs(advantages).max()
    m = np.array([
        improvement_bound(expected_return + (visitation[:, None] * new * advantages).sum(), eps,
                          wrong_kl(old, new).max(), gamma, "max_kl")
        for new in candidates])
    return candidates[m.argmax()], m
""",
            "kl_negative",
        ),
    ],
}

"""Chapter 9."""

import numpy as np
from gymnasium.spaces import Box

from course_lib.algorithms import vine
from course_lib.algorithms.agent import explained_variance
from course_lib.distributions import DiagonalGaussian
from course_lib.spaces import ActionMap

LIBRARY = {
    "gaussian_log_prob": lambda mean, log_std, actions: DiagonalGaussian(mean, log_std).log_prob(
        actions
    ),
    "explained_variance": explained_variance,
    "finite_action_surrogate": vine.finite_action_surrogate,
    "self_normalised_surrogate": vine.self_normalised_surrogate,
    "actions_sent": lambda actions, low, high: ActionMap(Box(low, high, dtype=np.float64))(actions),
}
EQUIVALENT = {
    "gaussian_log_prob": [("actions - mean -> mean - actions", "the difference is squared")],
    "explained_variance": [
        ("targets - values -> values - targets", "a variance does not feel the sign"),
    ],
}
CORRECT = {
    "actions_sent": [
        """
def actions_sent(actions, low, high):
    return low + (high - low) * (np.clip(actions, -1.0, 1.0) + 1.0) / 2.0
""",
        """
def actions_sent(actions, low, high):
    sent = np.empty_like(actions)
    for j in range(actions.shape[1]):
        sent[:, j] = np.interp(actions[:, j], [-1.0, 1.0], [low[j], high[j]])
    return sent
""",
    ],
    "gaussian_log_prob": [
        """
def gaussian_log_prob(mean, log_std, actions):
    normal = torch.distributions.Normal(mean, torch.exp(log_std))
    return torch.distributions.Independent(normal, 1).log_prob(actions)
""",
        """
def gaussian_log_prob(mean, log_std, actions):
    rows = []
    for b in range(len(mean)):
        s = log_std if log_std.dim() == 1 else log_std[b]
        cov = torch.diag(torch.exp(2 * s))
        rows.append(torch.distributions.MultivariateNormal(mean[b], cov).log_prob(actions[b]))
    return torch.stack(rows)
""",
        """
def gaussian_log_prob(mean, log_std, actions):
    m, s, a = mean.float(), log_std.float().expand_as(mean), actions.float()
    variance = (2 * s).exp()
    quadratic = ((a - m).pow(2) / variance).sum(-1)
    return -0.5 * (quadratic + torch.log(2 * np.pi * variance).sum(-1))
""",
    ],
    "explained_variance": [
        """
def explained_variance(values, targets):
    if len(set(targets.tolist())) == 1:
        return float("nan")
    v, t = torch.tensor(values), torch.tensor(targets)
    return 1 - (t - v).var() / t.var()
""",
        """
def explained_variance(values, targets):
    n = len(targets)
    mean_t, mean_e = sum(targets) / n, sum(t - v for t, v in zip(targets, values)) / n
    top = sum((t - v - mean_e) ** 2 for t, v in zip(targets, values))
    bottom = sum((t - mean_t) ** 2 for t in targets)
    return 1 - top / bottom if bottom else np.nan
""",
        """
def explained_variance(values, targets):
    centred = targets - targets.mean()
    if not centred.any():
        return np.float32("nan")
    error = centred - (values - values.mean())
    return np.float32(1 - (error @ error) / (centred @ centred))
""",
    ],
    "finite_action_surrogate": [
        """
def finite_action_surrogate(probabilities, q_values):
    return torch.einsum("sk,sk->s", probabilities, q_values)
""",
        """
def finite_action_surrogate(probabilities, q_values):
    total = 0
    for k in range(q_values.shape[1]):
        total = total + probabilities[:, k] * q_values[:, k]
    return total
""",
        """
def finite_action_surrogate(probabilities, q_values):
    p = (probabilities / probabilities.sum(1, keepdim=True)).float()
    return torch.bmm(p[:, None, :], q_values.float()[:, :, None])[:, 0, 0]
""",
    ],
    "self_normalised_surrogate": [
        """
def self_normalised_surrogate(log_probs, proposal_log_probs, q_values):
    return (torch.softmax(log_probs - proposal_log_probs.detach(), 1) * q_values).sum(1)
""",
        """
def self_normalised_surrogate(log_probs, proposal_log_probs, q_values):
    out = []
    for lp, lq, q in zip(log_probs, proposal_log_probs, q_values):
        d = lp - lq
        w = torch.exp(d - d.max())
        out.append(torch.dot(w, q) / torch.sum(w))
    return torch.stack(out)
""",
        """
def self_normalised_surrogate(log_probs, proposal_log_probs, q_values):
    d = (log_probs - proposal_log_probs).float()
    shift = q_values.mean(1, keepdim=True).float()
    w = (d - torch.logsumexp(d, 1, keepdim=True)).exp()
    return (w * (q_values.float() - shift)).sum(1) + shift[:, 0]
""",
    ],
}
WRITTEN = {
    "actions_sent": [
        (
            """
def actions_sent(actions, low, high):
    return np.minimum(np.maximum(actions, low), high)
""",
            "only_clipped",
        ),
        (
            """
def actions_sent(actions, low, high):
    return low + (high - low) * (actions + 1) / 2
""",
            "not_clipped",
        ),
        (
            """
def actions_sent(actions, low, high):
    return np.clip(actions * (high - low) / 2, low, high)
""",
            "centre_missing",
        ),
    ],
    "gaussian_log_prob": [
        (
            """
def gaussian_log_prob(mean, log_std, actions):
    cov = torch.diag_embed(log_std.exp().expand_as(mean))
    return torch.distributions.MultivariateNormal(mean, cov).log_prob(actions)
""",
            "sigma_as_variance",
        ),
        (
            """
def gaussian_log_prob(mean, log_std, actions):
    var = torch.exp(log_std) ** 2
    log_p = -((actions - mean) ** 2 / (2 * var) + log_std).sum(axis=-1)
    return log_p - 0.5 * np.log(2 * np.pi)
""",
            "two_pi_once",
        ),
        (
            """
def gaussian_log_prob(mean, log_std, actions):
    std = torch.exp(log_std.data)
    return torch.distributions.Normal(mean, std).log_prob(actions).sum(-1)
""",
            "log_std_detached",
        ),
    ],
    "explained_variance": [
        (
            """
def explained_variance(values, targets):
    total = ((targets - targets.mean()) ** 2).sum()
    return 1 - ((targets - values) ** 2).sum() / total if total > 0 else float("nan")
""",
            "r_squared",
        ),
        (
            """
def explained_variance(values, targets):
    return 1 - np.var(targets - values) / np.var(targets)
""",
            "infinite_for_constant_targets",
        ),
        (
            """
def explained_variance(values, targets):
    return 1 - np.var(targets - values) / (np.var(targets) + 1e-8)
""",
            "epsilon",
        ),
    ],
    "finite_action_surrogate": [
        (
            """
def finite_action_surrogate(probabilities, q_values):
    return torch.mean(probabilities * q_values, axis=-1)
""",
            "mean_over_actions",
        ),
        (
            """
def finite_action_surrogate(probabilities, q_values):
    p = probabilities.detach().numpy()
    return torch.from_numpy(np.sum(p * q_values.numpy(), axis=1))
""",
            "detached",
        ),
    ],
    "self_normalised_surrogate": [
        (
            """
def self_normalised_surrogate(log_probs, proposal_log_probs, q_values):
    ratio = torch.exp(log_probs - proposal_log_probs)
    return (ratio * q_values).mean(dim=-1)
""",
            "divided_by_the_count",
        ),
        (
            """
def self_normalised_surrogate(log_probs, proposal_log_probs, q_values):
    ratio = torch.exp(log_probs) / torch.exp(proposal_log_probs)
    return (ratio * q_values).sum(-1) / ratio.sum(-1)
""",
            "quotient_of_zeros",
        ),
        (
            """
def self_normalised_surrogate(log_probs, proposal_log_probs, q_values):
    ratio = torch.exp(log_probs - proposal_log_probs)
    with torch.no_grad():
        total = ratio.sum(1)
    return (ratio * q_values).sum(1) / total
""",
            "normaliser_detached",
        ),
    ],
}

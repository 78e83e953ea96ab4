"""Chapter 15."""

import torch

from course_lib.language import bounds, groups, ratios, reference
from course_lib.language.grpo import grpo_loss


def rloo(rewards):
    """The library takes tensors."""
    return groups.rloo_advantages(torch.as_tensor(rewards))


def grpo(rewards, divide, epsilon):
    """A group of equal rewards with epsilon 0 is nobody's business."""
    return groups.grpo_advantages(torch.as_tensor(rewards), divide, epsilon)


def log_ratio(log_probs, old_log_probs, mask, average):
    """The library takes tensors."""
    return ratios.sequence_log_ratio(
        *map(torch.as_tensor, (log_probs, old_log_probs, mask)), average
    )


def bound(old, new):
    """Enumeration knows log-probabilities of one prompt, level by level."""
    old, new = ([torch.as_tensor(x).log()[None] for x in tree] for tree in (old, new))
    return bounds.tv_bound(bounds.largest_tv(old, new)[:, 0])


LIBRARY = {
    "rloo_advantages": rloo,
    "grpo_advantages": grpo,
    "sequence_log_ratio": log_ratio,
    "reference_kl": reference.reference_kl,
    "kl_in_reward": reference.kl_in_reward,
    "grpo_loss": grpo_loss,
    "std_weight": groups.std_weight,
    "tv_bound": bound,
}
EQUIVALENT = {
    "grpo_loss": [
        ("0.0 -> 1.0", "the ratio beyond an answer's end: the mask takes it out again"),
        ("0.0 -> -1", "likewise"),
        (
            "torch.where(mask, log_probs - old_log_probs, 0.0) -> log_probs - old_log_probs",
            "likewise",
        ),
    ],
    "std_weight": [("1 -> 0", "with no right answer the deviation is 0")],
    "tv_bound": [("new - old -> old - new", "only absolute differences count")],
}
CORRECT = {
    "rloo_advantages": [
        """
def rloo_advantages(rewards):
    G = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdims=True)) * G / (G - 1)
""",
        """
def rloo_advantages(rewards):
    rows = []
    for row in rewards:
        rows.append([r - np.mean(np.delete(row, i)) for i, r in enumerate(row)])
    return rows
""",
    ],
    "grpo_advantages": [
        """
def grpo_advantages(rewards, divide, epsilon):
    x = torch.tensor(rewards)
    x = x - x.mean(dim=1, keepdim=True)
    return x / (x.std(dim=1, unbiased=False, keepdim=True) + epsilon) if divide else x
""",
        """
def grpo_advantages(rewards, divide, epsilon):
    out = np.zeros_like(rewards, dtype=float)
    for n, row in enumerate(rewards):
        out[n] = row - sum(row) / len(row)
        if divide:
            out[n] /= np.sqrt(sum(out[n] ** 2) / len(row)) + epsilon
    return out
""",
    ],
    "sequence_log_ratio": [
        """
def sequence_log_ratio(log_probs, old_log_probs, mask, average):
    m = mask.astype(float)
    s = (m * log_probs).sum(-1) - (m * old_log_probs).sum(-1)
    return s / m.sum(-1) if average else s
""",
        """
def sequence_log_ratio(log_probs, old_log_probs, mask, average):
    pairs = [(n[m] - o[m]) for n, o, m in zip(log_probs, old_log_probs, mask)]
    return torch.tensor([d.mean() if average else d.sum() for d in pairs])
""",
    ],
    "reference_kl": [
        """
def reference_kl(log_probs, reference_log_probs, estimator):
    d = reference_log_probs - log_probs
    return {"k1": -d, "k2": 0.5 * d.square(), "k3": torch.expm1(d) - d}[estimator]
""",
        """
def reference_kl(log_probs, reference_log_probs, estimator):
    log_ratio = log_probs - reference_log_probs.detach()
    match estimator:
        case "k1":
            return log_ratio
        case "k2":
            return log_ratio.pow(2) / 2
        case "k3":
            return 1 / torch.exp(log_ratio) - 1 + log_ratio
""",
    ],
    "kl_in_reward": [
        """
def kl_in_reward(rewards, log_probs, reference_log_probs, mask, beta):
    with torch.no_grad():
        return rewards - beta * ((log_probs - reference_log_probs) * mask).sum(-1)
""",
        """
def kl_in_reward(rewards, log_probs, reference_log_probs, mask, beta):
    out = []
    for R, new, ref, m in zip(rewards, log_probs.detach(), reference_log_probs, mask):
        out.append(float(R) - beta * float((new[m] - ref[m]).sum()))
    return out
""",
    ],
    "grpo_loss": [
        """
def grpo_loss(log_probs, old_log_probs, advantages, mask, clip_low, clip_high):
    total = 0.0
    for new, old, A, m in zip(log_probs, old_log_probs, advantages.tolist(), mask):
        r = (new[m] - old[m]).exp()
        r = r.clamp(max=1 + clip_high) if A > 0 else r.clamp(min=1 - clip_low)
        total = total - (A * r).mean()
    return total / len(mask)
""",
        """
def grpo_loss(log_probs, old_log_probs, advantages, mask, clip_low, clip_high):
    adv = advantages.detach().unsqueeze(1)
    ratio = torch.exp(log_probs - old_log_probs)
    per_token = torch.max(-adv * ratio, -adv * torch.clamp(ratio, 1 - clip_low, 1 + clip_high))
    m = mask.double()
    return torch.mean((per_token * m).sum(1) / m.sum(1))
""",
    ],
    "std_weight": [
        """
def std_weight(p, group_size):
    from scipy.stats import binom
    k = np.arange(group_size + 1)
    sd = np.sqrt(k * (group_size - k)) / group_size
    return (binom.pmf(k, group_size, p) @ sd) / p / (1 - p)
""",
    ],
    "tv_bound": [
        """
def tv_bound(old, new):
    a = [max(0.5 * np.abs(o - n).sum() for o, n in zip(*at)) for at in zip(old, new)]
    return 2 * sum(a[t] * a[k] for t in range(len(a)) for k in range(t))
""",
        """
def tv_bound(old, new):
    a = np.maximum(old - new, 0).sum(-1).max(-1)
    return a.sum() ** 2 - (a**2).sum()
""",
    ],
}
WRITTEN = {
    "reference_kl": [
        (
            """
def reference_kl(log_probs, reference_log_probs, estimator):
    x = log_probs - reference_log_probs
    ratio = x.exp()
    return {"k1": x, "k2": x**2 / 2, "k3": ratio - 1 - x}[estimator]
""",
            "k3_reversed",
        ),
        (
            """
def reference_kl(log_probs, reference_log_probs, estimator):
    x = log_probs - reference_log_probs
    with torch.no_grad():
        ratio = torch.exp(-x)
    return {"k1": x, "k2": x**2 / 2, "k3": ratio - 1 + x}[estimator]
""",
            "ratio_detached",
        ),
        (
            """
def reference_kl(log_probs, reference_log_probs, estimator):
    x = (log_probs - reference_log_probs).detach()
    return {"k1": x, "k2": x**2 / 2, "k3": torch.exp(-x) - 1 + x}[estimator]
""",
            "everything_detached",
        ),
    ],
    "kl_in_reward": [
        (
            """
def kl_in_reward(rewards, log_probs, reference_log_probs, mask, beta):
    kl = ((log_probs - reference_log_probs) * mask).sum(1)
    return rewards - beta * kl
""",
            "gradient_flows",
        ),
    ],
    "grpo_advantages": [
        (
            """
def grpo_advantages(rewards, divide, epsilon):
    x = torch.tensor(rewards)
    x = x - x.mean(1, keepdim=True)
    return x / (x.std(1, keepdim=True) + epsilon) if divide else x
""",
            "sample_deviation",
        ),
    ],
    "grpo_loss": [
        (
            """
def grpo_loss(log_probs, old_log_probs, advantages, mask, clip_low, clip_high):
    A = advantages.detach()[:, None]
    r = (log_probs - old_log_probs).exp()
    gain = torch.min(r * A, r.clamp(1 - clip_low, 1 + clip_high) * A)
    return -(gain * mask).sum() / mask.sum()
""",
            "mean_of_all_tokens",
        ),
    ],
}

"""Chapter 1."""

from course_lib.algorithms.reinforce import policy_gradient_loss

LIBRARY = {"policy_gradient_loss": policy_gradient_loss}
EQUIVALENT = {
    "entropy_bonus": [("-1 -> 1", "the last axis of two is axis 1"), ("-1 -> 1", "likewise")],
}
CORRECT = {
    "rewards_to_go": [
        """
def rewards_to_go(rewards, gamma):
    return [sum(gamma**k * r for k, r in enumerate(rewards[t:])) for t in range(len(rewards))]
""",
        """
def rewards_to_go(rewards, gamma):
    T = len(rewards)
    lag = np.arange(T)[None, :] - np.arange(T)[:, None]
    return (np.where(lag >= 0, float(gamma) ** np.abs(lag), 0) * rewards).sum(axis=1)
""",
        """
def rewards_to_go(rewards, gamma):
    T = len(rewards)
    padded = np.concatenate([rewards, np.zeros(T)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, T)[:T]
    return windows @ float(gamma) ** np.arange(T)
""",
    ],
    "policy_gradient_loss": [
        """
def policy_gradient_loss(log_probs, weights):
    with torch.no_grad():
        w = weights.float()
    return torch.dot(-w.double(), log_probs) / len(w)
""",
        """
def policy_gradient_loss(log_probs, weights):
    total = 0
    for i in range(len(log_probs)):
        total = total - log_probs[i] * weights[i].item()
    return total / log_probs.shape[0]
""",
        """
def policy_gradient_loss(log_probs, weights):
    row = -weights.detach()[None]
    return torch.nn.functional.linear(log_probs[None], row).squeeze() / len(weights)
""",
    ],
    "entropy_bonus": [
        """
def entropy_bonus(logits, coefficient):
    return coefficient * torch.distributions.Categorical(logits=logits).entropy().mean()
""",
        """
def entropy_bonus(logits, coefficient):
    p = torch.softmax(logits, -1)
    return coefficient * (torch.logsumexp(logits, -1) - (p * logits).sum(-1)).mean()
""",
        """
def entropy_bonus(logits, coefficient):
    total = 0.0
    for row in logits.float():
        log_p = row - row.max() - (row - row.max()).exp().sum().log()
        total = total - torch.dot(log_p.exp(), log_p)
    return coefficient * total / len(logits)
""",
    ],
}
WRITTEN = {
    "rewards_to_go": [
        (
            """
def rewards_to_go(rewards, gamma):
    out = np.zeros_like(rewards)
    running = 0
    for t in reversed(range(len(rewards))):
        running = rewards[t] + gamma * running
        out[t] = running
    return out
""",
            "integer_array",
        ),
        (
            """
def rewards_to_go(rewards, gamma):
    d = gamma ** np.arange(len(rewards))
    return np.cumsum((d * rewards)[::-1])[::-1] / d
""",
            "divided_by_a_power_of_gamma",
        ),
        (
            """
def rewards_to_go(rewards, gamma):
    for t in reversed(range(len(rewards) - 1)):
        rewards[t] += gamma * rewards[t + 1]
    return rewards
""",
            "integer_array_read_back",
        ),
        (
            """
def rewards_to_go(rewards, gamma):
    out = np.zeros(len(rewards))
    for t in range(len(rewards) - 2, -1, -1):
        out[t] = gamma * (rewards[t + 1] + out[t + 1])
    return out
""",
            "own_reward_missing",
        ),
    ],
    "policy_gradient_loss": [
        (
            """
def policy_gradient_loss(log_probs, weights):
    return -(log_probs * weights).mean()
""",
            "gradient_through_the_weights",
        ),
        (
            """
def policy_gradient_loss(log_probs, weights):
    w = weights.detach()
    w = (w - w.mean()) / (w.std() + 1e-8)
    return -(log_probs * w).mean()
""",
            "weights_normalised_sample",
        ),
        (
            """
def policy_gradient_loss(log_probs, weights):
    w = weights.detach()
    w = (w - w.mean()) / (w.std(unbiased=False) + 1e-8)
    return -(log_probs * w).mean()
""",
            "weights_normalised_population",
        ),
    ],
    "entropy_bonus": [
        (
            """
def entropy_bonus(logits, coefficient):
    p = torch.softmax(logits, dim=-1)
    return -coefficient * (p * torch.log(p)).sum(-1).mean()
""",
            "probabilities_underflow",
        ),
        (
            """
def entropy_bonus(logits, coefficient):
    return coefficient * torch.special.entr(torch.softmax(logits, 1)).sum(1).mean()
""",
            "gradient_underflows",
        ),
        (
            """
def entropy_bonus(logits, coefficient):
    logp = torch.log_softmax(logits, dim=0)
    return -coefficient * (logp.exp() * logp).sum(-1).mean()
""",
            "softmax_over_the_states",
        ),
        (
            """
def entropy_bonus(logits, coefficient):
    return -coefficient * (logits.exp() * logits).sum(-1).mean()
""",
            "logits_never_normalised",
        ),
    ],
}

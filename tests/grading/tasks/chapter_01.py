"""Chapter 1."""

from course_lib.reinforce import policy_gradient_loss

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
    ],
    "entropy_bonus": [
        """
def entropy_bonus(logits, coefficient):
    return coefficient * torch.distributions.Categorical(logits=logits).entropy().mean()
""",
        """
def entropy_bonus(logits, coefficient):
    p = torch.softmax(logits, 1)
    return -(p * torch.log(p)).sum() * coefficient / p.shape[0]
""",
    ],
}
WRITTEN = {
    "policy_gradient_loss": [
        (
            """
def policy_gradient_loss(log_probs, weights):
    return -(log_probs * weights).mean()
""",
            "gradient_through_the_weights",
        ),
    ],
}

"""Chapter 3."""

from course_lib import exact
from course_lib import surrogate as sampled


def visitation_distribution(transitions, gamma, initial, policy):
    """Call the library with an MDP; the rewards do not matter."""
    rewards = policy * 0.0
    return exact.state_distribution(exact.MDP(transitions, rewards, gamma, initial), policy)


def performance_difference(transitions, rewards, gamma, initial, old, new):
    """Return the side of the lemma that the library builds from advantages."""
    mdp = exact.MDP(transitions, rewards, gamma, initial)
    return exact.performance_difference(mdp, old, new)[1]


def surrogate(log_probs, old_log_probs, advantages):
    """Call the library as its algorithms do, with data that carry no gradient."""
    return sampled.surrogate(log_probs, old_log_probs.detach(), advantages.detach())


LIBRARY = {
    "visitation_distribution": visitation_distribution,
    "performance_difference": performance_difference,
    "surrogate": surrogate,
}
EQUIVALENT: dict = {}
CORRECT = {
    "visitation_distribution": [
        """
def visitation_distribution(transitions, gamma, initial, policy):
    S, A = policy.shape
    P = [[sum(policy[s, a] * transitions[s, a, t] for a in range(A)) for t in range(S)]
         for s in range(S)]
    P = np.array(P)
    d, state, weight = np.zeros(S), initial.copy(), 1.0
    while weight > 1e-12:
        d += weight * state
        state, weight = state @ P, gamma * weight
    return d / d.sum()
""",
        """
def visitation_distribution(transitions, gamma, initial, policy):
    flow = np.matmul(policy[:, None, :], transitions)[:, 0]
    d, before = initial, 0 * initial
    while np.abs(d - before).max() > 1e-12:
        d, before = (1 - gamma) * initial + gamma * d @ flow, d
    return d.tolist()
""",
        """
def visitation_distribution(transitions, gamma, initial, policy):
    T, pi = (torch.tensor(x, dtype=torch.float32) for x in (transitions, policy))
    chain = (pi.unsqueeze(-1) * T).sum(dim=1)
    inverse = torch.linalg.inv(torch.eye(len(chain)) - gamma * chain)
    return (1 - gamma) * torch.tensor(initial, dtype=torch.float32) @ inverse
""",
    ],
    "performance_difference": [
        """
def performance_difference(transitions, rewards, gamma, initial, old, new):
    def expected_return(policy):
        v = np.zeros(len(initial))
        for _ in range(1 + int(40 / (1 - gamma))):
            v = (policy * (rewards + gamma * transitions @ v)).sum(axis=1)
        return initial @ v
    return expected_return(new) - expected_return(old)
""",
        """
def performance_difference(transitions, rewards, gamma, initial, old, new):
    S, A = rewards.shape
    P_old = np.einsum("ij,ijk->ik", old, transitions)
    V = np.linalg.inv(np.eye(S) - gamma * P_old) @ np.sum(old * rewards, 1)
    P_new = np.einsum("ij,ijk->ik", new, transitions)
    rho = np.linalg.inv(np.eye(S) - gamma * P_new.T) @ initial
    total = 0
    for s in range(S):
        for a in range(A):
            Q = rewards[s, a] + gamma * sum(transitions[s, a, k] * V[k] for k in range(S))
            total += rho[s] * new[s, a] * (Q - V[s])
    return total
""",
        """
def performance_difference(transitions, rewards, gamma, initial, old, new):
    # The advantages of the old policy as a reward that the new one collects.
    chain = lambda pi: (pi[:, :, None] * transitions).sum(1)
    solve = lambda pi, r: np.linalg.solve(np.eye(len(r)) - gamma * chain(pi), (pi * r).sum(1))
    V = solve(old, rewards)
    A = rewards + gamma * transitions.dot(V) - V.reshape(-1, 1)
    return np.dot(initial, solve(new, A))
""",
        """
def performance_difference(transitions, rewards, gamma, initial, old, new):
    P_old, P_new = ((pi[:, :, None] * transitions).sum(1) for pi in (old, new))
    V = np.linalg.solve(np.eye(len(initial)) - gamma * P_old, (old * rewards).sum(1))
    Q = rewards + gamma * transitions @ V
    rho = np.linalg.inv(np.eye(len(initial)) - gamma * P_new).T @ initial
    return np.array([rho @ ((new - old) * Q).sum(1)])[0]
""",
    ],
    "surrogate": [
        """
def surrogate(log_probs, old_log_probs, advantages):
    with torch.no_grad():
        weights = advantages / len(advantages)
        old = old_log_probs.clone()
    return torch.dot(torch.exp(log_probs - old), weights)
""",
        """
def surrogate(log_probs, old_log_probs, advantages):
    total = 0.0
    for new, old, A in zip(log_probs, old_log_probs.tolist(), advantages.tolist()):
        total = total + (new - old).exp() * A
    return total / len(log_probs)
""",
        """
def surrogate(log_probs, old_log_probs, advantages):
    old = torch.from_numpy(old_log_probs.detach().numpy().astype(np.float32))
    ratio = (log_probs.float() - old).exp()
    return (ratio * advantages.detach().float()).mean()
""",
    ],
}
WRITTEN = {
    "visitation_distribution": [
        (
            """
def visitation_distribution(transitions, gamma, initial, policy):
    P = np.einsum("ij,ijk->ik", policy, transitions)
    return np.linalg.inv(np.eye(len(P)) - gamma * P).T @ initial
""",
            "not_normalised",
        ),
        (
            """
def visitation_distribution(transitions, gamma, initial, policy):
    P = (policy[:, :, None] * transitions).sum(axis=1)
    return (1 - gamma) * np.linalg.inv(np.eye(len(P)) - gamma * P) @ initial
""",
            "chain_transposed",
        ),
        (
            """
def visitation_distribution(transitions, gamma, initial, policy):
    P = np.einsum("sa,sax->sx", policy, transitions)
    d = np.zeros(len(initial))
    p = initial
    for t in range(100):
        d += gamma ** t * p
        p = p @ P
    return (1 - gamma) * d
""",
            "a_hundred_steps",
        ),
        (
            """
def visitation_distribution(transitions, gamma, initial, policy):
    P = np.einsum("sa,sax->sx", policy, transitions)
    d, p = np.zeros(len(initial)), initial
    for t in range(1, 3000):
        p = p @ P
        d = d + gamma ** t * p
    return (1 - gamma) * d
""",
            "first_state_missing",
        ),
        (
            """
def visitation_distribution(transitions, gamma, initial, policy):
    P = np.einsum("sa,sat->st", policy, transitions)
    d = np.linalg.solve(np.eye(len(initial)) - gamma * P, initial)
    return d / d.sum()
""",
            "chain_transposed_and_rescaled",
        ),
        (
            """
def visitation_distribution(transitions, gamma, initial, policy):
    P = np.einsum("sa,sat->st", policy, transitions)
    return (1 - gamma) * np.linalg.solve(np.eye(len(initial)) - gamma * P.T, P.T @ initial)
""",
            "starts_after_the_first_step",
        ),
    ],
    "performance_difference": [
        (
            """
def performance_difference(transitions, rewards, gamma, initial, old, new):
    A = tabular_advantages(transitions, rewards, gamma, old)
    d = visitation_distribution(transitions, gamma, initial, old)
    return np.sum(d[:, None] * new * A) / (1 - gamma)
""",
            "states_of_the_old_policy",
        ),
        (
            """
def performance_difference(transitions, rewards, gamma, initial, old, new):
    A = tabular_advantages(transitions, rewards, gamma, new)
    d = visitation_distribution(transitions, gamma, initial, new)
    return d @ (new * A).sum(1) / (1 - gamma)
""",
            "one_policy_only",
        ),
        (
            """
def performance_difference(transitions, rewards, gamma, initial, old, new):
    A = tabular_advantages(transitions, rewards, gamma, old)
    d = visitation_distribution(transitions, gamma, initial, new)
    return sum(d[s] * new[s] @ A[s] for s in range(len(d)))
""",
            "factor_missing",
        ),
        (
            """
def visits(transitions, gamma, initial, policy):
    P = (policy[:, :, None] * transitions).sum(axis=1)
    return (1 - gamma) * np.linalg.inv(np.eye(len(P)) - gamma * P) @ initial

def performance_difference(transitions, rewards, gamma, initial, old, new):
    A = tabular_advantages(transitions, rewards, gamma, old)
    d = visits(transitions, gamma, initial, new)
    return np.sum(d[:, None] * new * A) / (1 - gamma)
""",
            "chain_transposed",
        ),
    ],
    "surrogate": [
        (
            """
def surrogate(log_probs, old_log_probs, advantages):
    return (torch.exp(log_probs - old_log_probs) * advantages).mean()
""",
            "data_not_detached",
        ),
        (
            """
def surrogate(log_probs, old_log_probs, advantages):
    ratio = log_probs.exp() / old_log_probs.exp().detach()
    return torch.mean(ratio * advantages.detach())
""",
            "probabilities_underflow",
        ),
        (
            """
def surrogate(log_probs, old_log_probs, advantages):
    a = advantages.detach()
    a = (a - a.mean()) / (a.std(unbiased=False) + 1e-8)
    return (torch.exp(log_probs - old_log_probs.detach()) * a).mean()
""",
            "advantages_normalised_population",
        ),
        (
            """
def surrogate(log_probs, old_log_probs, advantages):
    ratios = torch.exp(log_probs - old_log_probs.detach())
    loss = -(ratios * advantages.detach()).sum() / len(ratios)
    return loss
""",
            "sign",
        ),
    ],
}

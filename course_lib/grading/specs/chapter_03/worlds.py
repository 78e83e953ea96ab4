"""Small random MDPs and policies whose numbers can be followed by hand."""

import numpy as np

STEPS = 20  # probabilities are multiples of 1 / STEPS


def draw_distributions(generator, *shape):
    """Return rows of probabilities: multiples of 0.05, none of them 0, no two of a row equal."""
    rows = []
    while len(rows) < np.prod(shape[:-1]):
        cuts = generator.choice(np.arange(1, STEPS), size=shape[-1] - 1, replace=False)
        parts = np.diff([0, *sorted(cuts), STEPS])
        if len(set(parts.tolist())) == len(parts):
            rows.append(parts / STEPS)
    return np.array(rows).reshape(shape)


def draw_rewards(generator, states, actions):
    """Return rewards of both signs with one decimal, none of them 0."""
    signs = generator.permutation(np.arange(states * actions) % 2 * 2 - 1)
    return (signs * generator.integers(2, 30, size=states * actions) / 10).reshape(states, actions)


def draw_policies(generator, states, actions):
    """Return two policies that differ in every state."""
    while True:
        old, new = draw_distributions(generator, 2, states, actions)
        if (np.abs(old - new).max(axis=1) > 0.1).all():
            return old, new


def draw_of_many(generator, states, actions):
    """Return two policies over more actions than `draw_policies` can tell apart."""
    shares = generator.integers(1, 100, size=(2, states, actions))
    return shares / shares.sum(axis=2, keepdims=True)


def chain_of(transitions, policy):
    """Return the matrix (S, S) of the Markov chain that a policy makes of an MDP."""
    return sum(policy[:, [a]] * transitions[:, a] for a in range(policy.shape[1]))


def values_of(transitions, rewards, gamma, policy):
    """Return V (S,) and Q (S, A) of a policy."""
    chain = chain_of(transitions, policy)
    resolvent = np.linalg.inv(np.eye(len(chain)) - gamma * chain)
    values = resolvent @ (policy * rewards).sum(axis=1)
    return values, rewards + gamma * transitions @ values


def visits_of(transitions, gamma, initial, policy):
    """Return the unnormalised discounted visitation rho (S,) of a policy."""
    chain = chain_of(transitions, policy)
    return initial @ np.linalg.inv(np.eye(len(chain)) - gamma * chain)

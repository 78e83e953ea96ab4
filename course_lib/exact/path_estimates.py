"""Policy-gradient estimates by single paths and by the vine, on an MDP whose gradient is known.

Both estimate ``sum_s d(s) sum_a grad pi(a|s) Q(s, a)`` at a `softmax_policy`. A single path has one
sample of Q for each state it visits, taken along the way. The vine restores states of a path,
tries every action there, and follows the policy afresh (chapter 9).
"""

import numpy as np
from numpy.typing import NDArray

from .ledger import softmax_policy
from .mdp import MDP, policy_evaluation


def walk(
    mdp: MDP, policy: NDArray, states: NDArray, uniforms: NDArray, first: NDArray | None = None
) -> tuple[NDArray, NDArray, NDArray]:
    """Follow a policy from each of N states.

    Parameters
    ----------
    mdp : MDP
    policy : ndarray, shape (S, A)
    states : ndarray of int, shape (N,)
    uniforms : ndarray, shape (T, 2, N)
        In [0, 1): what decides the action and the next state of each step. Walks that share them
        have common random numbers.
    first : ndarray of int, shape (N,), optional
        The first actions.

    Returns
    -------
    states, actions, rewards : ndarray, each of shape (T, N)
    """
    act, go = policy.cumsum(axis=-1), mdp.transitions.cumsum(axis=-1)
    visited, taken = [], []
    for t, (u, v) in enumerate(uniforms):
        actions = _drawn(act[states], u) if t or first is None else first
        visited.append(states)
        taken.append(actions)
        states = _drawn(go[states, actions], v)
    s, a = np.array(visited), np.array(taken)
    return s, a, mdp.rewards[s, a]


def _drawn(cumulative: NDArray, uniforms: NDArray) -> NDArray:
    """Inverse of each row's distribution function."""
    return np.minimum((uniforms[:, None] >= cumulative).sum(axis=1), cumulative.shape[1] - 1)


def discounted_sums(rewards: NDArray, gamma: float) -> NDArray:
    """Discounted sum of the rewards from each step on, shape (T, N)."""
    sums = np.zeros_like(rewards)
    total = np.zeros(rewards.shape[1])
    for t in reversed(range(len(rewards))):
        total = rewards[t] + gamma * total
        sums[t] = total
    return sums


def single_path(
    mdp: MDP,
    theta: NDArray,
    features: NDArray,
    steps: int,
    look: int,
    repeats: int,
    rng: np.random.Generator,
    baseline: bool = False,
) -> NDArray:
    """Estimates from one path each: ``(1 - gamma) sum_t gamma^t grad log pi(a_t|s_t) G_t``.

    Parameters
    ----------
    mdp : MDP
    theta, features : ndarray
        Of a `softmax_policy`.
    steps, look : int
        States with a sample of Q, and steps beyond the last of them that its return still counts.
    repeats : int
        Independent estimates R.
    rng : numpy.random.Generator
    baseline : bool
        Subtract the exact V from the return.

    Returns
    -------
    ndarray, shape (R, F, A)
    """
    policy = softmax_policy(theta, features)
    starts = rng.choice(mdp.n_states, size=repeats, p=mdp.initial)
    s, a, r = walk(mdp, policy, starts, rng.random((steps + look, 2, repeats)))
    q = discounted_sums(r, mdp.gamma)[:steps]
    s, a = s[:steps], a[:steps]
    if baseline:
        q = q - policy_evaluation(mdp, policy).v[s]
    weights = (1.0 - mdp.gamma) * mdp.gamma ** np.arange(steps)[:, None] * q
    scores = np.eye(policy.shape[1])[a] - policy[s]  # (T, R, A)
    return np.einsum("tr,trf,tra->rfa", weights, features[s], scores)


def vine(
    mdp: MDP,
    theta: NDArray,
    features: NDArray,
    steps: int,
    look: int,
    count: int,
    repeats: int,
    rng: np.random.Generator,
    common: bool = True,
) -> NDArray:
    """Estimates from ``count`` states of one path each, with every action tried in each of them.

    ``(1 - gamma) steps / count sum_n gamma^t_n sum_a grad pi(a|s_n) Q(s_n, a)``.

    Parameters
    ----------
    mdp, theta, features, steps, look, repeats, rng
        As in `single_path`; ``look + 1`` is the length of a branch.
    count : int, at most steps
        States of the rollout set, drawn without replacement.
    common : bool
        Give the branches of a state common random numbers.

    Returns
    -------
    ndarray, shape (R, F, A)
    """
    policy = softmax_policy(theta, features)
    A = policy.shape[1]
    starts = rng.choice(mdp.n_states, size=repeats, p=mdp.initial)
    s, _, _ = walk(mdp, policy, starts, rng.random((steps, 2, repeats)))
    chosen = rng.permuted(np.tile(np.arange(steps), (repeats, 1)), axis=1)[:, :count]  # (R, n)
    states = np.take_along_axis(s.T, chosen, axis=1).ravel()
    branches = len(states) * A
    if common:
        uniforms = np.repeat(rng.random((look + 1, 2, len(states))), A, axis=2)
    else:
        uniforms = rng.random((look + 1, 2, branches))
    first = np.tile(np.arange(A), len(states))
    _, _, r = walk(mdp, policy, np.repeat(states, A), uniforms, first)
    q = discounted_sums(r, mdp.gamma)[0].reshape(len(states), A)
    p = policy[states]
    slopes = p * (q - (p * q).sum(axis=1, keepdims=True))  # in the logits of the state
    weights = (1.0 - mdp.gamma) * steps / count * mdp.gamma ** chosen.ravel()
    each = (weights[:, None, None] * features[states][:, :, None] * slopes[:, None]).reshape(
        repeats, count, features.shape[1], A
    )
    return each.sum(axis=1)

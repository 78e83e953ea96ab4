"""Bias and variance of GAE for any critic, exactly, where the transitions are known (chapter 2).

States are numbered 0 .. S-1. ``transitions[s, a, s2]`` is the probability of reaching s2 from s by
action a; what a row lacks to one is the probability that the episode terminates. A policy has shape
``(S, A)``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import require_shape, require_unit_interval


class Moments(NamedTuple):
    """What `gae_moments` returns."""

    mean: NDArray  #: (S, A), E[GAE | s, a]
    variance: NDArray  #: (S, A), Var[GAE | s, a]


def gae_bias(
    transitions: ArrayLike,
    policy: ArrayLike,
    error: ArrayLike,
    gamma: float,
    gae_lambda: float,
    steps: int | None = None,
) -> NDArray:
    """E[GAE | s, a] - A(s, a) for a critic that is wrong by ``error``, Eqs. (2.12) and (2.13).

    Parameters
    ----------
    transitions : array_like, shape (S, A, S)
    policy : array_like, shape (S, A)
        The policy that acts from the second step on.
    error : array_like, shape (S,)
        The critic's value minus the policy's value, of every state.
    gamma, gae_lambda : float in [0, 1]
    steps : int, at least 1, optional
        Steps until the sum is cut, by a time limit or the end of the data. Default: never.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    ValueError
        If shapes do not fit, a factor lies outside [0, 1], or steps is less than 1.
    numpy.linalg.LinAlgError
        If the sum diverges: gamma and gae_lambda are 1 in a chain that never terminates.
    """
    P, pi, eps = _arrays(transitions, policy, error)
    require_unit_interval(gamma=gamma, gae_lambda=gae_lambda)
    if steps is not None and not (steps >= 1 and steps % 1 == 0):
        raise ValueError(f"steps counts the steps until the cut and is at least 1, not {steps!r}")
    return _bias(P, pi, eps, gamma, gae_lambda, steps)


def _bias(P, policy, error, gamma, gae_lambda, steps):
    chain, w = np.einsum("sa,sat->st", policy, P), gamma * gae_lambda
    if steps is None:
        later = (1 - gae_lambda) * _summed(chain, w, error)
    else:
        later = error  # of the state at the cut: no further residual takes w of it away
        for _ in range(int(steps) - 1):
            later = (1 - gae_lambda) * error + w * chain @ later
    return gamma * P @ later - error[:, None]


def gae_moments(
    transitions: ArrayLike,
    rewards: ArrayLike,
    policy: ArrayLike,
    values: ArrayLike,
    gamma: float,
    gae_lambda: float,
) -> Moments:
    """Mean and variance of GAE for every state and action, if nothing is cut, Eq. (2.14).

    Parameters
    ----------
    transitions : array_like, shape (S, A, S)
    rewards : array_like, shape (S, A)
        Certain, given state and action.
    policy : array_like, shape (S, A)
    values : array_like, shape (S,)
        The critic's.
    gamma, gae_lambda : float in [0, 1]

    Raises
    ------
    ValueError
        If shapes do not fit or a factor lies outside [0, 1].
    numpy.linalg.LinAlgError
        If the sum diverges, as in `gae_bias`.
    """
    P, pi, V = _arrays(transitions, policy, values)
    R = np.asarray(rewards, dtype=np.float64)
    require_shape("rewards", R, pi.shape, hint="one for each state and action")
    require_unit_interval(gamma=gamma, gae_lambda=gae_lambda)
    return _moments(P, R, pi, V, gamma, gae_lambda)


def _moments(P, R, policy, values, gamma, gae_lambda):
    chain, w = np.einsum("sa,sat->st", policy, P), gamma * gae_lambda
    deltas = R + gamma * P @ values - values[:, None]
    ahead = _summed(chain, w, (policy * deltas).sum(1))  # by state
    mean = deltas + w * P @ ahead
    known = gamma * values + w * ahead  # what a state reached contributes; 0 beyond the end
    by_state = P @ known**2 - (P @ known) ** 2
    by_action = (policy * mean**2).sum(1) - ahead**2
    own = (policy * by_state).sum(1) + by_action
    return Moments(mean, by_state + w**2 * P @ _summed(chain, w**2, own))


def _summed(chain, factor, first):
    """The sum of ``factor**k * chain**k @ first`` over all k."""
    # Rounding may hide that the matrix below is singular, so the factor of growth is asked.
    if factor * np.abs(np.linalg.eigvals(chain)).max(initial=0.0) > 1 - 1e-12:
        raise np.linalg.LinAlgError("the sum diverges: nothing discounts it and nothing ends it")
    return np.linalg.solve(np.eye(len(chain)) - factor * chain, first)


def _arrays(transitions, policy, by_state):
    """Float arrays of shapes (S, A, S), (S, A) and (S,)."""
    P, policy, by_state = (np.asarray(x, dtype=np.float64) for x in (transitions, policy, by_state))
    if P.ndim != 3 or P.shape[0] != P.shape[2]:
        raise ValueError(f"transitions must have shape (S, A, S), not {P.shape}")
    require_shape("policy", policy, P.shape[:2], hint="a row of probabilities for each state")
    require_shape("the critic's array", by_state, P.shape[:1], hint="one entry per state")
    return P, policy, by_state

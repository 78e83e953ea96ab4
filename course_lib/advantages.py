"""Advantage estimation: TD residuals, n-step estimators, GAE and its targets (chapter 2).

Everything here is NumPy and takes arrays with time first: shape ``(T, N)`` for T steps of N
environments (``(T,)`` for a single one works too). Three arrays describe how episodes end.

``terminated[t]``
    Step t ended the episode for good. Nothing follows, so nothing is bootstrapped.
``truncated[t]``
    Step t was the last one for an outside reason, such as a time limit. The episode would have gone
    on, so the value of the state it reached stands in for the rest.
``next_values[t]``
    V of the state that step t actually reached. At an ended step this is the *final* observation,
    never the first observation of the next episode.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import require_unit_interval, rollout_arrays, varies


def td_residuals(
    rewards: ArrayLike,
    values: ArrayLike,
    next_values: ArrayLike,
    terminated: ArrayLike,
    gamma: float,
) -> NDArray:
    """One-step temporal-difference residuals, Eq. (2.8).

    Parameters
    ----------
    rewards, values, next_values : array_like, shape (T, N)
        Reward of each step, V of the state it left and V of the state it reached.
    terminated : array_like of bool, shape (T, N)
        Where the episode ended for good; there V of the reached state counts as 0.
    gamma : float in [0, 1]
        Discount factor.

    Returns
    -------
    ndarray, shape (T, N)
        ``rewards + gamma * (1 - terminated) * next_values - values``.

    Raises
    ------
    ValueError
        If shapes differ, the rollout is empty, or gamma lies outside [0, 1].

    References
    ----------
    Schulman et al. (2016), arXiv:1506.02438, section 3.
    """
    require_unit_interval(gamma=gamma)
    rewards, values, next_values, (terminated,) = rollout_arrays(
        dict(rewards=rewards, values=values, next_values=next_values), dict(terminated=terminated)
    )
    return _td_residuals(rewards, values, next_values, terminated, gamma)


def n_step_advantages(
    rewards: ArrayLike,
    values: ArrayLike,
    next_values: ArrayLike,
    terminated: ArrayLike,
    truncated: ArrayLike,
    gamma: float,
    n: int,
) -> NDArray:
    """Advantages that look n rewards ahead before they trust the critic, Eq. (2.4).

    The sum of ``gamma**k * delta[t + k]`` for k < n stops early where the episode or the rollout
    ends, so the last steps of an episode look ahead less far than n.

    Parameters
    ----------
    rewards, values, next_values, terminated, gamma
        As in `td_residuals`.
    truncated : array_like of bool, shape (T, N)
        Where the episode was cut from outside.
    n : int, at least 1
        Number of rewards; 1 gives the TD residuals, T or more the Monte Carlo advantage.

    Returns
    -------
    ndarray, shape (T, N)

    Raises
    ------
    ValueError
        As in `td_residuals`, and if n is not a positive integer.

    References
    ----------
    Schulman et al. (2016), arXiv:1506.02438, Eqs. (11) to (14).
    """
    if not n >= 1 or n % 1 != 0:  # infinity fails here too
        raise ValueError(f"n counts rewards and must be a positive integer, not {n!r}")
    deltas, going_on = _residuals_and_continuation(
        rewards, values, next_values, terminated, truncated, gamma
    )
    advantages = deltas.copy()
    for _ in range(min(int(n), len(deltas)) - 1):
        # One more reward: A(n+1) at t is delta at t, then A(n) at t+1 if the episode goes on.
        following = np.where(going_on[:-1], advantages[1:], 0.0)
        advantages[:-1] = deltas[:-1] + gamma * following
    return advantages


def gae(
    rewards: ArrayLike,
    values: ArrayLike,
    next_values: ArrayLike,
    terminated: ArrayLike,
    truncated: ArrayLike,
    gamma: float,
    gae_lambda: float,
) -> NDArray:
    """Generalised advantage estimation by its backward recursion, Eq. (2.9).

    This loop is the definition to read. `gae_scan` computes the same numbers faster.

    Parameters
    ----------
    rewards, values, next_values, terminated, truncated, gamma
        As in `n_step_advantages`.
    gae_lambda : float in [0, 1]
        0 gives the TD residuals: low variance, biased by the critic. 1 gives the discounted rewards
        minus V: high variance, and where episodes run to their end no bias that depends on the
        action, for the return with this gamma. Where a time limit or the rollout's end cuts an
        episode, the critic stands in for the rest, with its error, Eq. (2.13).

    Returns
    -------
    ndarray, shape (T, N)

    Raises
    ------
    ValueError
        As in `td_residuals`, and if gae_lambda lies outside [0, 1].

    References
    ----------
    Schulman et al. (2016), arXiv:1506.02438, Eq. (16).
    """
    require_unit_interval(gae_lambda=gae_lambda)
    deltas, going_on = _residuals_and_continuation(
        rewards, values, next_values, terminated, truncated, gamma, gae_lambda
    )
    advantages = np.zeros_like(deltas)
    following = np.zeros_like(deltas[-1])  # (N,), beyond the rollout
    for t in reversed(range(len(deltas))):
        following = deltas[t] + gamma * gae_lambda * np.where(going_on[t], following, 0.0)
        advantages[t] = following
    return advantages


def gae_scan(
    rewards: ArrayLike,
    values: ArrayLike,
    next_values: ArrayLike,
    terminated: ArrayLike,
    truncated: ArrayLike,
    gamma: float,
    gae_lambda: float,
) -> NDArray:
    """`gae` as an associative scan: log2(T) vectorised passes instead of T steps, Eq. (2.16).

    Parameters, returns and errors are those of `gae`. Results differ from the loop only by
    rounding, because the same terms are added in another order. Beyond 256 copies it is the loop:
    rows as long as that keep the processor busy, and the loop does less arithmetic.

    References
    ----------
    Hillis and Steele (1986), "Data parallel algorithms", doi:10.1145/7902.7903.
    """
    if math.prod(np.shape(rewards)[1:]) > 256:
        return gae(rewards, values, next_values, terminated, truncated, gamma, gae_lambda)
    require_unit_interval(gae_lambda=gae_lambda)
    sums, going_on = _residuals_and_continuation(
        rewards, values, next_values, terminated, truncated, gamma, gae_lambda
    )
    weights = (gamma * gae_lambda) * going_on[:-1].astype(sums.dtype)  # for sums[t + span]
    span = 1  # sums[t] holds the weighted deltas of t .. t+span-1; every pass doubles the span
    while span < len(sums):
        sums[:-span] += weights * np.where(weights > 0.0, sums[span:], 0.0)
        weights = weights[:-span] * weights[span:]
        span *= 2
    return sums


def discounted_returns(
    rewards: ArrayLike,
    next_values: ArrayLike,
    terminated: ArrayLike,
    truncated: ArrayLike,
    gamma: float,
) -> NDArray:
    """Monte Carlo value targets with a bootstrap wherever an episode was cut, Eq. (2.10).

    The reward sum runs to the end of the episode. Where a time limit or the end of the rollout
    cut it, V of the state reached stands in for the rest; where it terminated, nothing does.

    Parameters
    ----------
    rewards, next_values, terminated, truncated, gamma
        As in `n_step_advantages`. Give zeros as ``next_values`` for plain discounted returns.

    Returns
    -------
    ndarray, shape (T, N)

    Raises
    ------
    ValueError
        As in `td_residuals`.

    References
    ----------
    Pardo et al. (2018), arXiv:1712.00378, on partial-episode bootstrapping.
    """
    rewards, next_values, (terminated, truncated) = rollout_arrays(
        dict(rewards=rewards, next_values=next_values),
        dict(terminated=terminated, truncated=truncated),
    )
    cut = np.array(truncated)
    cut[-1] = True  # the end of the rollout cuts whatever is still running
    # The lambda = 1 advantage over a critic that is zero, except where it stands in for the rest.
    return gae_scan(
        rewards,
        np.zeros_like(rewards),
        np.where(cut, next_values, 0.0),
        terminated,
        truncated,
        gamma,
        1.0,
    )


def normalize(x: ArrayLike, epsilon: float = 1e-8) -> NDArray:
    """Shift and scale to mean 0 and standard deviation 1 over all entries, Eq. (2.15).

    Parameters
    ----------
    x : array_like, any shape
        Advantages of a whole batch.
    epsilon : float, at least 0
        Added to the standard deviation.

    Returns
    -------
    ndarray, the shape of x
        Zeros where x is constant, up to the rounding of its dtype.

    Raises
    ------
    ValueError
        If x is empty or epsilon is negative.
    """
    x = np.asarray(x)
    if x.size == 0:
        raise ValueError("normalize needs at least one number, x is empty")
    if not epsilon >= 0:
        raise ValueError(f"epsilon must not be negative, not {epsilon!r}")
    x = x.astype(np.result_type(x, np.float32), copy=False)
    if not varies(x):
        return np.zeros_like(x)
    return (x - x.mean()) / (x.std() + epsilon)


def _td_residuals(rewards, values, next_values, terminated, gamma):
    # Chosen, not multiplied by 0: a NaN beyond a termination stays there, here and below.
    return rewards + gamma * np.where(terminated, 0.0, next_values) - values


def _residuals_and_continuation(
    rewards, values, next_values, terminated, truncated, gamma, gae_lambda=1.0
):
    """TD residuals, and whether the trace goes on: the same episode has a next step that counts."""
    require_unit_interval(gamma=gamma)
    rewards, values, next_values, (terminated, truncated) = rollout_arrays(
        dict(rewards=rewards, values=values, next_values=next_values),
        dict(terminated=terminated, truncated=truncated),
    )
    deltas = _td_residuals(rewards, values, next_values, terminated, gamma)
    return deltas, ~(terminated | truncated) & (gamma * gae_lambda > 0.0)

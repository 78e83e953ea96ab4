"""What multiplies the score: the six choices of Psi_t, and two baselines (chapter 1).

NumPy throughout. Steps come first, ``(T, N)`` for N episodes of at most T steps. A shorter episode
is followed by zeros: nothing is earned, and no state is worth anything, once it is over.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import require_same_shape, require_unit_interval

#: The names of the six, in the order of Eq. (1.7).
CHOICES = ("total return", "reward-to-go", "reward-to-go - b", "Q", "advantage", "TD residual")


def gradient_weights(
    rewards: ArrayLike,
    q_values: ArrayLike,
    values: ArrayLike,
    next_values: ArrayLike,
    gamma: float,
    baseline: ArrayLike | None = None,
) -> dict[str, NDArray]:
    """``gamma^t Psi_t`` for the six choices of Psi_t, Eq. (1.7).

    The sum over t of these times ``grad log pi(a_t | s_t)`` estimates the gradient of J without bias,
    given that Q and V are the policy's own and that the N episodes are whole.

    Parameters
    ----------
    rewards, q_values, values, next_values : array_like, shape (T, N)
        Reward of each step; Q of the action taken, V of the state left and V of the state reached.
    gamma : float in [0, 1]
        Discount factor.
    baseline : array_like, shape (T, N), optional
        Any function of the states left, for the third choice; ``values`` by default.

    Returns
    -------
    dict of str to ndarray, shape (T, N)
        One entry for each of `CHOICES`.

    Raises
    ------
    ValueError
        If shapes differ, there is no step, or gamma lies outside [0, 1].

    References
    ----------
    Schulman et al. (2016), arXiv:1506.02438, Eq. (1), where gamma is 1 and no gamma^t is needed.
    """
    rewards, q_values, values, next_values, baseline = _arrays(
        rewards=rewards,
        q_values=q_values,
        values=values,
        next_values=next_values,
        baseline=values if baseline is None else baseline,
    )
    _require_a_step(rewards)
    require_unit_interval(gamma=gamma)
    discount = gamma ** np.arange(len(rewards)).reshape(-1, *[1] * (rewards.ndim - 1))
    to_go = np.cumsum((discount * rewards)[::-1], axis=0)[::-1]  # gamma^t G_t
    return {
        "total return": np.broadcast_to(to_go[0], to_go.shape),
        "reward-to-go": to_go,
        "reward-to-go - b": to_go - discount * baseline,
        "Q": discount * q_values,
        "advantage": discount * (q_values - values),
        "TD residual": discount * (rewards + gamma * next_values - values),
    }


def optimal_baseline(policy: ArrayLike, q_values: ArrayLike) -> NDArray:
    """The baseline with the least variance in one state of a softmax over its actions, Eq. (1.12).

    The mean of Q, weighed by the squared length of each action's score. For logits as parameters
    that is ``1 - 2 pi(a) + sum_b pi(b)^2``.

    Parameters
    ----------
    policy, q_values : array_like, shape (..., A)
        Probability and value of every action, A at least 2.

    Returns
    -------
    ndarray, shape (...)
        Where one action is certain no score is left to weigh by, and Q's mean is returned.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Greensmith, Bartlett and Baxter (2004), "Variance reduction techniques for gradient estimates in
    reinforcement learning", JMLR 5.
    """
    policy, q_values = _arrays(policy=policy, q_values=q_values)
    squared_scores = 1.0 - 2.0 * policy + np.square(policy).sum(-1, keepdims=True)
    weights = policy * squared_scores
    total = weights.sum(-1, keepdims=True)
    weights = np.where(total > 0.0, weights / np.where(total > 0.0, total, 1.0), policy)
    return (weights * q_values).sum(-1)


def score_variance(policy: ArrayLike, q_values: ArrayLike, baseline: ArrayLike) -> NDArray:
    """Variance of ``grad log pi(a) (Q(a) - b)`` in one state, summed over the logits, Eq. (1.11).

    Parameters
    ----------
    policy, q_values : array_like, shape (..., A)
    baseline : array_like, shape (...)

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    policy, q_values = _arrays(policy=policy, q_values=q_values)
    scores = np.eye(policy.shape[-1]) - policy[..., None, :]  # (..., A, A): action, logit
    baseline = np.asarray(baseline, dtype=np.float64)
    require_same_shape(a_row_of_the_policy=policy[..., 0], baseline=baseline)
    signal = (q_values - baseline[..., None])[..., None]
    second = np.square(scores * signal).sum(-1)
    mean = (policy[..., None] * scores * signal).sum(-2)
    return (policy * second).sum(-1) - np.square(mean).sum(-1)


def _require_a_step(rewards: NDArray) -> None:
    if rewards.ndim == 0 or len(rewards) == 0:
        raise ValueError(f"rewards has shape {rewards.shape}; needed is at least one step: (T, N)")


def _arrays(**arrays: ArrayLike) -> list[NDArray]:
    """The arguments as float64 arrays of one shape."""
    found = {name: np.asarray(x, dtype=np.float64) for name, x in arrays.items()}
    require_same_shape(**found)
    return list(found.values())

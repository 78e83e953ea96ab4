"""Improving a tabular policy exactly: policy iteration, CPI, and minorisation-maximisation (ch. 4).

A step solves one small problem per state; those with the KL in them are in `kl_steps`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from .bounds import eps_a, eps_cpi, kl_coefficient, kl_divergence, mean_over
from .kl_steps import check_max_kl, kl_limit_step, kl_penalty_step, price_of_step
from .kl_steps import reps_step as reps_step
from .mdp import (
    MDP,
    check_policy,
    expected_return,
    policy_evaluation,
    visitation,
)


class Improvement(NamedTuple):
    """The policies of an algorithm, first to last, and what each one earns."""

    policies: list[NDArray]  #: each (S, A)
    returns: NDArray  #: (number of policies,), J of each


def greedy_policy(q: ArrayLike) -> NDArray:
    """The deterministic policy (S, A) that takes the best action of each row of q; ties: the first."""
    q = np.asarray(q)
    return np.eye(q.shape[1])[q.argmax(axis=1)]


def policy_iteration(mdp: MDP, policy: ArrayLike) -> Improvement:
    """Act greedily on the exact values until nothing changes: ends at an optimal policy.

    References
    ----------
    Howard (1960); Sutton and Barto (2018), section 4.3.
    """
    policies = [check_policy(mdp, policy)]
    while True:
        _, q, advantage = policy_evaluation(mdp, policies[-1])
        better = advantage.max(axis=1) > 1e-13 * np.abs(q).max()  # by more than rounding
        new = greedy_policy(advantage)
        if len(policies) > 1:
            new = np.where(better[:, None], new, policies[-1])
        if any(np.array_equal(new, known) for known in policies[1:]):
            return _improvement(mdp, policies)
        policies.append(new)


def conservative_step(mdp: MDP, old: ArrayLike, omega: float | None = None) -> NDArray:
    """The CPI mixture ``(1 - omega) old + omega greedy``, shape (S, A).

    Parameters
    ----------
    mdp : MDP
    old : array_like, shape (S, A)
    omega : float in [0, 1], optional
        By default the weight with the largest guaranteed improvement,
        ``(1-gamma) E_d_old[E_greedy A] / (4 gamma eps_CPI)``, at most 1.

    Raises
    ------
    ValueError
        If omega lies outside [0, 1].

    References
    ----------
    Kakade and Langford (2002), section 4; Schulman et al. (2015), arXiv:1502.05477, Eqs. (5), (6).
    """
    old = check_policy(mdp, old)
    advantage = policy_evaluation(mdp, old).advantage
    if omega is None:
        gain = visitation(mdp, old) @ advantage.max(axis=1)
        price = 4.0 * mdp.gamma * eps_cpi(mdp, old) / (1.0 - mdp.gamma) ** 2
        # At an optimal policy both are rounding, and the greedy policy is as good as the old one.
        omega = float(np.clip(gain / price, 0.0, 1.0)) if price > 0 else 1.0
    if not 0.0 <= omega <= 1.0:
        raise ValueError(f"omega is a mixture weight and must lie in [0, 1], not {omega!r}")
    return (1.0 - omega) * old + omega * greedy_policy(advantage)


def trust_region_step(mdp: MDP, old: ArrayLike, max_kl: float, mean: bool = True) -> NDArray:
    """The exact tabular TRPO step: maximise L_old(new) within a trust region.

    Parameters
    ----------
    mdp : MDP
    old : array_like, shape (S, A)
    max_kl : float, at least 0
        The radius delta_KL.
    mean : bool
        True: of the mean KL over the old policy's discounted states, as in TRPO's practice. False:
        of the max KL, as in its theory.

    Returns
    -------
    ndarray, shape (S, A)

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Eqs. (11) and (12).
    """
    old, advantages = check_policy(mdp, old), policy_evaluation(mdp, old).advantage
    check_max_kl(max_kl)
    if not mean:
        return kl_limit_step(old, advantages, max_kl)
    d_old = (1.0 - mdp.gamma) * visitation(mdp, old)
    unit = np.abs(advantages).max() or 1.0  # of prices: what rewards are counted in changes nothing

    def step(log_price: float) -> NDArray:
        return kl_penalty_step(old, advantages / unit, np.exp(log_price))

    # One price for all states: the larger it is, the smaller their mean KL.
    return step(
        _root(lambda log_price: mean_over(d_old, kl_divergence(old, step(log_price))), max_kl)
    )


def mm_step(
    mdp: MDP, old: ArrayLike, coefficient: float | None = None, mean: bool = False
) -> NDArray:
    """Maximise the minorant ``L_old(new) - C KL(old || new)`` exactly: one step of MM.

    Parameters
    ----------
    mdp : MDP
    old : array_like, shape (S, A)
    coefficient : float, optional
        C; by default `kl_coefficient`, with which the penalised surrogate lies below J.
    mean : bool
        False: max KL over the states, the guaranteed form: J never falls. True: mean KL over the
        old policy's discounted states, which takes larger steps and guarantees nothing.

    Returns
    -------
    ndarray, shape (S, A)

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Algorithm 1.
    """
    old, advantages = check_policy(mdp, old), policy_evaluation(mdp, old).advantage
    if coefficient is None:
        coefficient = kl_coefficient(eps_a(mdp, old), mdp.gamma)
    if not coefficient >= 0.0:
        raise ValueError(f"the coefficient of the KL must not be negative, not {coefficient!r}")
    if coefficient == 0.0:  # gamma or all advantages are 0: the surrogate is J itself
        return greedy_policy(advantages)
    if mean:
        return kl_penalty_step(old, advantages, (1.0 - mdp.gamma) * coefficient)
    rho = visitation(mdp, old)

    def step(log_limit: float) -> NDArray:
        return kl_limit_step(old, advantages, np.exp(log_limit))

    # Each state's price of a nat is what a little more room is worth there. The best limit is where
    # the room of all states together is worth C.
    return step(
        _root(lambda log_limit: rho @ price_of_step(old, advantages, step(log_limit)), coefficient)
    )


def iterate(
    mdp: MDP, policy: ArrayLike, step: Callable[[MDP, NDArray], NDArray], steps: int
) -> Improvement:
    """Apply an improvement step again and again, such as `conservative_step` (which makes it CPI),
    `mm_step` (MM) or ``lambda mdp, old: trust_region_step(mdp, old, 0.01)``.

    Raises
    ------
    ValueError
        If steps is negative.
    """
    if steps < 0:
        raise ValueError(f"steps must not be negative, not {steps!r}")
    policies = [check_policy(mdp, policy)]
    for _ in range(steps):
        policies.append(step(mdp, policies[-1]))
    return _improvement(mdp, policies)


def _improvement(mdp: MDP, policies: list[NDArray]) -> Improvement:
    return Improvement(policies, np.array([expected_return(mdp, policy) for policy in policies]))


def _root(value: Callable[[float], float], target: float, limit: float = 40.0) -> float:
    """Where a falling, positive function of a logarithm meets the target; else the nearer end."""
    if value(limit) >= target:
        return limit
    if value(-limit) <= target:
        return -limit
    # Its logarithm is almost a straight line, which brentq finds the root of in a few steps.
    return brentq(lambda x: np.log(max(value(x), 1e-300) / target), -limit, limit, xtol=1e-12)

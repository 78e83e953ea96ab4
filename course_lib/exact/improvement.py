"""Improving a tabular policy exactly: policy iteration, CPI, and minorisation-maximisation (ch. 4).

A step solves one small problem per state. Where it moves away from the old policy under a price or a
limit on ``KL(old || new)``, the solution in every state has one form, with one unknown nu:

    new(a) proportional to old(a) / (nu - A(a)),    nu > max_a A(a).

As nu grows the new policy goes back to the old one, so nu is found by bisection. An action that the
old policy never takes stays untaken, as with a softmax: no sample could speak for it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from .bounds import eps_a, eps_cpi, kl_coefficient, kl_divergence
from .mdp import MDP, check_policy, expected_return, policy_evaluation, visitation


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
        advantage = policy_evaluation(mdp, policies[-1]).advantage
        if len(policies) > 1 and advantage.max() < 1e-10:  # only rounding is left to gain
            return _improvement(mdp, policies)
        policies.append(greedy_policy(advantage))


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
        omega = min(1.0, gain / price) if price > 0 else 1.0
    if not 0.0 <= omega <= 1.0:
        raise ValueError(f"omega is a mixture weight and must lie in [0, 1], not {omega!r}")
    return (1.0 - omega) * old + omega * greedy_policy(advantage)


def kl_penalty_step(old: ArrayLike, advantages: ArrayLike, price: ArrayLike) -> NDArray:
    """In each state, maximise ``E_new[A] - price KL(old || new)``: new = price old / (nu - A).

    Parameters
    ----------
    old, advantages : array_like, shape (S, A)
    price : float or array_like of shape (S,), positive
        What one nat costs, in units of the advantages.

    Returns
    -------
    ndarray, shape (S, A)

    References
    ----------
    Grill et al. (2020), arXiv:2007.12509, section 3.
    """
    old, advantages = np.asarray(old, dtype=float), np.asarray(advantages, dtype=float)
    price = np.broadcast_to(np.asarray(price, dtype=float), old.shape[:1])
    if not (price > 0).all():
        raise ValueError(f"the price of a nat must be positive, not {price.min()}")
    return _solve(old, advantages, lambda total, new: price * total < 1.0)


def kl_limit_step(old: ArrayLike, advantages: ArrayLike, max_kl: float) -> NDArray:
    """In each state, maximise ``E_new[A]`` subject to ``KL(old || new) <= max_kl``.

    Parameters
    ----------
    old, advantages : array_like, shape (S, A)
    max_kl : float, at least 0
        Limit in each state: together they are a limit on the max KL.

    Returns
    -------
    ndarray, shape (S, A)
    """
    old, advantages = np.asarray(old, dtype=float), np.asarray(advantages, dtype=float)
    _check_max_kl(max_kl)
    return _solve(old, advantages, lambda total, new: kl_divergence(old, new) < max_kl)


def reps_step(old: ArrayLike, advantages: ArrayLike, temperature: float) -> NDArray:
    """Maximise ``E_new[A] - temperature KL(new || old)``: new proportional to old exp(A / eta).

    The same price on the KL the other way round. Good actions gain exponentially here and like
    1 / (nu - A) in `kl_penalty_step`; to first order in 1 / price the two agree.

    Parameters
    ----------
    old, advantages : array_like, shape (S, A)
    temperature : float, positive
        eta of relative entropy policy search.

    Returns
    -------
    ndarray, shape (S, A)

    References
    ----------
    Peters, Muelling and Altun (2010), "Relative entropy policy search".
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature!r}")
    old, advantages = np.asarray(old, dtype=float), np.asarray(advantages, dtype=float)
    weights = old * np.exp((advantages - advantages.max(axis=1, keepdims=True)) / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


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
    _check_max_kl(max_kl)
    if not mean:
        return kl_limit_step(old, advantages, max_kl)
    d_old = (1.0 - mdp.gamma) * visitation(mdp, old)

    def step(log_price: float) -> NDArray:
        return kl_penalty_step(old, advantages, np.exp(log_price))

    # One price for all states: the larger it is, the smaller their mean KL.
    return step(_root(lambda log_price: d_old @ kl_divergence(old, step(log_price)), max_kl))


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
        _root(lambda log_limit: rho @ _price(old, advantages, step(log_limit)), coefficient)
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


def _solve(
    old: NDArray, advantages: NDArray, is_near: Callable[[NDArray, NDArray], NDArray]
) -> NDArray:
    """new = old / (nu - A) / total with, in each state, the smallest nu that still ``is_near``."""
    if old.shape != advantages.shape or old.ndim != 2:
        raise ValueError(
            f"old and advantages need one shape (S, A), not {old.shape} and {advantages.shape}"
        )
    best = np.where(old > 0, advantages, -np.inf).max(axis=1, keepdims=True)
    below = np.where(old > 0, best - advantages, 0.0)  # (S, A)
    spread = below.max(axis=1, keepdims=True)
    spread[spread == 0.0] = 1.0  # nothing to choose between: any nu gives the old policy

    def weights(log_nu: NDArray) -> NDArray:  # nu measured from the best advantage
        return old / (below + spread * np.exp(log_nu)[:, None])

    low, high = np.full(len(old), -80.0), np.full(len(old), 80.0)
    for _ in range(64):  # bisection, in all states at once
        middle = (low + high) / 2.0
        total = weights(middle).sum(axis=1)
        near = is_near(total, weights(middle) / total[:, None])
        low, high = np.where(near, low, middle), np.where(near, middle, high)
    new = weights(high)
    return new / new.sum(axis=1, keepdims=True)


def _root(value: Callable[[float], float], target: float, limit: float = 40.0) -> float:
    """Where a falling, positive function of a logarithm meets the target; else the nearer end."""
    if value(limit) >= target:
        return limit
    if value(-limit) <= target:
        return -limit
    # Its logarithm is almost a straight line, which brentq finds the root of in a few steps.
    return brentq(lambda x: np.log(max(value(x), 1e-300) / target), -limit, limit, xtol=1e-12)


def _price(old: NDArray, advantages: NDArray, new: NDArray) -> NDArray:
    """The price (S,) at which `kl_penalty_step` would take this step: from E_new and E_old of
    ``nu - A = price old / new``, the gain divided by the chi-square distance."""
    gain = ((new - old) * advantages).sum(axis=1)
    squares = np.divide((new - old) ** 2, new, out=np.zeros_like(new), where=new > 0)
    distance = squares.sum(axis=1)
    return np.divide(gain, distance, out=np.zeros_like(gain), where=distance > 0)


def _check_max_kl(max_kl: float) -> None:
    if not max_kl >= 0.0:
        raise ValueError(f"max_kl is a radius and must not be negative, not {max_kl!r}")

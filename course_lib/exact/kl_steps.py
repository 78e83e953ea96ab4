"""What is best in one state at a price or a limit on the KL: the steps of a tabular policy (ch. 4).

Under a price or a limit on ``KL(old || new)`` the solution in every state has one form, with one
unknown nu:

    new(a) proportional to old(a) / (nu - A(a)),    nu > max_a A(a).

As nu grows the new policy goes back to the old one, so nu is found by bisection. An action that the
old policy never takes stays untaken, as with a softmax: no sample could speak for it. So these steps
are the best among the policies that take no new action. Without that condition they are not:
``KL(old || new)`` does not see new actions, and would let a better one have some weight.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bounds import kl_divergence
from .mdp import check_distribution


def kl_penalty_step(old: ArrayLike, advantages: ArrayLike, price: ArrayLike) -> NDArray:
    """In each state, maximise ``E_new[A] - price KL(old || new)``: new = price old / (nu - A).

    The maximum is over the policies that take only actions which the old one takes.

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
    old, advantages = _tabular(old, advantages)
    price = np.broadcast_to(np.asarray(price, dtype=float), old.shape[:1])
    if not (price > 0).all():
        raise ValueError(f"the price of a nat must be positive, not {price.min()}")
    return _solve(old, advantages, lambda total, new: price * total < 1.0)


def kl_limit_step(old: ArrayLike, advantages: ArrayLike, max_kl: ArrayLike) -> NDArray:
    """In each state, maximise ``E_new[A]`` subject to ``KL(old || new) <= max_kl``.

    The maximum is over the policies that take only actions which the old one takes.

    Parameters
    ----------
    old, advantages : array_like, shape (S, A)
    max_kl : float or array_like of shape (S,), at least 0
        Limit in each state. One limit for all is a limit on the max KL.

    Returns
    -------
    ndarray, shape (S, A)
    """
    old, advantages = _tabular(old, advantages)
    max_kl = np.broadcast_to(np.asarray(max_kl, dtype=float), old.shape[:1])
    check_max_kl(max_kl.min())
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
    old, advantages = _tabular(old, advantages)
    below = _below_best(old, advantages)
    with np.errstate(over="ignore"):  # exp(-inf) is the 0 it should be
        weights = old * np.exp(-below / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


def price_of_step(old: NDArray, advantages: NDArray, new: NDArray) -> NDArray:
    """The price (S,) at which `kl_penalty_step` would take this step.

    From E_new and E_old of ``nu - A = price old / new``: gain over chi-square distance.
    """
    gain = ((new - old) * advantages).sum(axis=1)
    squares = np.divide((new - old) ** 2, new, out=np.zeros_like(new), where=new > 0)
    distance = squares.sum(axis=1)
    return np.divide(gain, distance, out=np.zeros_like(gain), where=distance > 0)


def check_max_kl(max_kl: float) -> None:
    """Raise a ValueError unless max_kl is a radius."""
    if not max_kl >= 0.0:
        raise ValueError(f"max_kl is a radius and must not be negative, not {max_kl!r}")


def _solve(
    old: NDArray, advantages: NDArray, is_near: Callable[[NDArray, NDArray], NDArray]
) -> NDArray:
    """new = old / (nu - A) / total with, in each state, the smallest nu that still ``is_near``."""
    below = _below_best(old, advantages)
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
    new = new / new.sum(axis=1, keepdims=True)
    # A probability that underflows to 0 would make the KL infinite: the step keeps every action.
    return np.where(old > 0, np.maximum(new, np.finfo(float).tiny), 0.0)


def _below_best(old: NDArray, advantages: NDArray) -> NDArray:
    """How far each action is below the best of those that old takes, (S, A); 0 for the others."""
    best = np.where(old > 0, advantages, -np.inf).max(axis=1, keepdims=True)
    return np.where(old > 0, best - advantages, 0.0)


def _tabular(old: ArrayLike, advantages: ArrayLike) -> tuple[NDArray, NDArray]:
    """Both as arrays (S, A), or a ValueError."""
    old, advantages = np.asarray(old, dtype=float), np.asarray(advantages, dtype=float)
    if old.shape != advantages.shape or old.ndim != 2 or 0 in old.shape:
        raise ValueError(
            f"old and advantages need one shape (S, A), not {old.shape} and {advantages.shape}"
        )
    check_distribution("old", old)
    if not np.isfinite(advantages).all():
        raise ValueError("advantages must be finite")
    return old, advantages

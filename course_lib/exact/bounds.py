"""How far the surrogate can be from the truth: divergences, three epsilons, six bounds (chapter 4).

Every bound limits the gap ``|J(new) - L_old(new)|``. All but one follow from Achiam's by replacing
its epsilon or its divergence by something larger, so none of those is smaller than Achiam's. Kakade
and Langford's has an argument of its own. Of 2,000 random pairs of policies (gamma 0.9) it is the
smaller one in every case; where the new policy is a mixture with weight 0.05 at most, in 6.

========================  ===================================================  ====================
function                  bound                                                source
========================  ===================================================  ====================
`achiam_bound`            2 gamma eps_new E_d_old[TV] / (1-gamma)^2            Achiam et al. (2017)
`kakade_langford_bound`   2 gamma eps omega^2 / ((1-gamma)(1-gamma(1-omega)))  Kakade, Langford
`cpi_bound`               2 gamma eps omega^2 / (1-gamma)^2                    Schulman et al. (2015)
`tv_bound`                4 gamma eps_A max TV^2 / (1-gamma)^2                 Schulman et al. (2015)
`kl_bound`                C max KL, C = 2 gamma eps_A / (1-gamma)^2            the same, by Pinsker
`sqrt_kl_bound`           sqrt(2) gamma eps_new sqrt(E_d_old[KL])/(1-gamma)^2  Achiam et al. (2017)
========================  ===================================================  ====================
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .mdp import (
    MDP,
    check_policy,
    expected_return,
    mean_advantage,
    policy_evaluation,
    state_distribution,
    surrogate,
)


def total_variation(old: ArrayLike, new: ArrayLike) -> NDArray:
    """Total variation ``sum_a |old - new| / 2`` in each state, in [0, 1]; shape (S,).

    It equals half the mean of ``|r - 1|`` under the old policy, where r is the probability ratio.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    old, new = _same_shape(old, new)
    return np.abs(old - new).sum(axis=-1) / 2.0


def kl_divergence(old: ArrayLike, new: ArrayLike) -> NDArray:
    """``KL(old || new) = sum_a old log(old / new)`` in each state; shape (S,), at least 0.

    Infinite where the new policy rules out an action that the old one takes.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    old, new = _same_shape(old, new)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        change = new / old - 1.0
        # Adding new - old, which sums to zero, makes every term non-negative: nothing cancels.
        close = old * (change - np.log1p(change))
        far = old * (np.log(old) - np.log(new)) + (new - old)  # where the ratio leaves float64
    return np.where(old > 0, np.where(np.abs(change) < 0.5, close, far), new).sum(axis=-1)


def mean_over(weights: ArrayLike, x: ArrayLike) -> float:
    """``sum_s weights(s) x(s)`` over the states with positive weight, where x may be infinite.

    With `state_distribution` as weights and `kl_divergence` as x it is the mean KL.
    """
    weights, x = _same_shape(weights, x, "weights and x")
    return float(weights[weights > 0] @ x[weights > 0])


def mixture_weight(old: ArrayLike, new: ArrayLike) -> float:
    """Smallest omega with ``new = (1 - omega) old + omega target`` for some policy target.

    Every pair of policies is such a mixture: omega is one minus the smallest ratio new / old.
    """
    old, new = _same_shape(old, new)
    with np.errstate(over="ignore"):  # a ratio beyond float64 is not the smallest
        return max(0.0, float(1.0 - np.min(new[old > 0] / old[old > 0])))


def eps_cpi(mdp: MDP, old: ArrayLike) -> float:
    """``max_s |E_{a ~ greedy} A_old(s, a)|``: what the greedy policy gains in its best state.

    References
    ----------
    Kakade and Langford (2002), Theorem 4.1, with the greedy policy as the one mixed in.
    """
    gain = float(policy_evaluation(mdp, old).advantage.max())
    return max(0.0, gain)  # the greedy gain is never negative, but for rounding


def eps_new(mdp: MDP, old: ArrayLike, new: ArrayLike) -> float:
    """``max_s |E_{a ~ new} A_old(s, a)|``, which shrinks to zero as new approaches old.

    References
    ----------
    Achiam et al. (2017), arXiv:1705.10528, Corollary 1.
    """
    return float(np.abs(mean_advantage(mdp, old, new)).max())


def eps_a(mdp: MDP, old: ArrayLike) -> float:
    """``max_{s,a} |A_old(s, a)|``, which knows nothing of the new policy.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Theorem 1.
    """
    return float(np.abs(policy_evaluation(mdp, old).advantage).max())


def achiam_bound(eps_new: float, mean_tv: float, gamma: float) -> float:
    """``2 gamma eps_new mean_tv / (1-gamma)^2``, which five of the others follow from.

    Parameters
    ----------
    eps_new : float, at least 0
        See the function `eps_new`.
    mean_tv : float in [0, 1]
        Mean of `total_variation` over the old policy's discounted state distribution.
    gamma : float in [0, 1)

    References
    ----------
    Achiam et al. (2017), arXiv:1705.10528, Corollary 1.
    """
    return _times(2.0 * gamma * _checked(gamma, eps_new=eps_new) / (1.0 - gamma) ** 2, mean_tv)


def kakade_langford_bound(eps: float, omega: float, gamma: float) -> float:
    """``2 gamma eps omega^2 / ((1-gamma)(1 - gamma(1-omega)))`` for a mixture with weight omega.

    Parameters
    ----------
    eps : float, at least 0
        ``max_s |E_{a ~ target} A_old|`` of the policy mixed in: `eps_cpi` if that is the greedy one.
    omega : float in [0, 1]
        Weight of the policy mixed in.
    gamma : float in [0, 1)

    References
    ----------
    Kakade and Langford (2002), Theorem 4.1.
    """
    gap = 2.0 * gamma * _checked(gamma, eps=eps) * omega**2
    return gap / ((1.0 - gamma) * (1.0 - gamma * (1.0 - omega)))


def cpi_bound(eps: float, omega: float, gamma: float) -> float:
    """``2 gamma eps omega^2 / (1-gamma)^2``: `kakade_langford_bound`, simplified for small omega.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Eq. (6).
    """
    return 2.0 * gamma * _checked(gamma, eps=eps) * omega**2 / (1.0 - gamma) ** 2


def tv_bound(eps_a: float, max_tv: float, gamma: float) -> float:
    """``4 gamma eps_A max_tv^2 / (1-gamma)^2``, where max_tv is the paper's alpha.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Theorem 1.
    """
    return 4.0 * gamma * _checked(gamma, eps_a=eps_a) * max_tv**2 / (1.0 - gamma) ** 2


def kl_coefficient(eps_a: float, gamma: float, pinsker: bool = True) -> float:
    """C, the price of one nat of max KL in the guarantee ``J(new) >= L_old(new) - C max KL``.

    ``2 gamma eps_A / (1-gamma)^2`` by Pinsker's inequality ``TV^2 <= KL / 2``. With ``pinsker``
    false it is the paper's 4 in place of 2, from the weaker ``TV^2 <= KL``.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Eq. (9).
    """
    return (2.0 if pinsker else 4.0) * gamma * _checked(gamma, eps_a=eps_a) / (1.0 - gamma) ** 2


def kl_bound(eps_a: float, max_kl: float, gamma: float, pinsker: bool = True) -> float:
    """``C max_kl`` with C from `kl_coefficient`.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Eq. (9).
    """
    return _times(kl_coefficient(eps_a, gamma, pinsker), max_kl)


def sqrt_kl_bound(eps_new: float, mean_kl: float, gamma: float) -> float:
    """``sqrt(2) gamma eps_new sqrt(mean_kl) / (1-gamma)^2``: what a mean-KL constraint guarantees.

    The source has the KL the other way round, KL(new || old). Pinsker's inequality, the one step
    from `achiam_bound`, holds either way. With ``max |A|`` in place of eps_new the bound is still
    valid, but for gamma of 1/2 and more it never promises any improvement.

    References
    ----------
    Achiam et al. (2017), arXiv:1705.10528, Corollary 3 and Proposition 1.
    """
    return achiam_bound(eps_new, np.sqrt(mean_kl / 2.0), gamma)


def guaranteed_tv(gamma: float) -> float:
    """``(1-gamma) / (2 gamma)``: no step with a larger total variation is promised an improvement.

    It is the limit of the mean TV in `achiam_bound`, of the max TV in `tv_bound`, and of
    ``sqrt(KL / 2)`` in `kl_bound` and `sqrt_kl_bound`, whatever the MDP: beyond it the penalty is
    larger than any surrogate's gain. It is above 1, and forbids nothing, for gamma below 1/3.

    Parameters
    ----------
    gamma : float in (0, 1)

    Raises
    ------
    ValueError
        If gamma is out of range.
    """
    if not 0.0 < gamma < 1.0:
        raise ValueError(f"gamma must lie in (0, 1), not {gamma!r}: at 0 any step is safe")
    return (1.0 - gamma) / (2.0 * gamma)


def gap(mdp: MDP, old: ArrayLike, new: ArrayLike) -> float:
    """``|J(new) - L_old(new)|``, the number that every bound limits."""
    return abs(expected_return(mdp, new) - surrogate(mdp, old, new))


def all_bounds(mdp: MDP, old: ArrayLike, new: ArrayLike) -> dict[str, float]:
    """Every bound on `gap` for one pair of policies, by name.

    ``kl_paper`` is `kl_bound` without Pinsker. The two bounds for mixtures take `mixture_weight` as
    omega and the epsilon of the policy that was mixed in, ``eps_new / omega``.
    """
    old, new = check_policy(mdp, old), check_policy(mdp, new)
    gamma, eps, d_old = mdp.gamma, eps_new(mdp, old, new), state_distribution(mdp, old)
    tv, kl, omega = total_variation(old, new), kl_divergence(old, new), mixture_weight(old, new)
    largest, eps_target = eps_a(mdp, old), eps / omega if omega > 0 else 0.0
    return {
        "achiam": achiam_bound(eps, mean_over(d_old, tv), gamma),
        "kakade_langford": kakade_langford_bound(eps_target, omega, gamma),
        "cpi": cpi_bound(eps_target, omega, gamma),
        "tv": tv_bound(largest, tv.max(), gamma),
        "kl": kl_bound(largest, kl.max(), gamma),
        "kl_paper": kl_bound(largest, kl.max(), gamma, pinsker=False),
        "sqrt_kl": sqrt_kl_bound(eps, mean_over(d_old, kl), gamma),
    }


def _checked(gamma: float, **epsilon: float) -> float:
    """The epsilon, if it and gamma are in range."""
    if not 0.0 <= gamma < 1.0:
        raise ValueError(f"gamma must lie in [0, 1), not {gamma!r}")
    ((name, value),) = epsilon.items()
    if not value >= 0.0:
        raise ValueError(f"{name} is a largest absolute value and cannot be {value!r}")
    return value


def _times(coefficient: float, distance: float) -> float:
    """Their product; 0 where the coefficient is, even if the distance is infinite."""
    return coefficient * distance if coefficient != 0 else 0.0


def _same_shape(
    first: ArrayLike, second: ArrayLike, names: str = "old and new"
) -> tuple[NDArray, NDArray]:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{names} differ in shape: {first.shape} and {second.shape}")
    return first, second

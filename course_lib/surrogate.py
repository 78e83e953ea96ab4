"""The surrogate objective and the distance between policies (chapters 3, 5 and 10)."""

import torch
from torch import Tensor

from .checks import require_same_shape
from .distributions import Distribution


def importance_ratio(log_probs: Tensor, old_log_probs: Tensor) -> Tensor:
    """Probability ratio r = pi(a|s) / pi_old(a|s) of the actions taken, Eq. (3.1).

    Parameters
    ----------
    log_probs, old_log_probs : Tensor, shape (B,)
        Log-probabilities of the same actions under the new and the old policy.

    Returns
    -------
    Tensor, shape (B,), positive

    Raises
    ------
    ValueError
        If the shapes differ: (B, 1) against (B,) would broadcast to (B, B) and train on nonsense.

    References
    ----------
    Schulman et al. (2017), arXiv:1707.06347, section 3.
    """
    require_same_shape(log_probs=log_probs, old_log_probs=old_log_probs)
    return (log_probs - old_log_probs).exp()


def surrogate(log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor) -> Tensor:
    """Sample mean of ratio times advantage over the states of a batch: stands in for L_old.

    L_old weighs a state by its discounted visitation. Here every step that was taken counts alike,
    so the states are the undiscounted ones, as in the paper's experiments. Where the two weights
    agree, this estimates L_old without the constant J(old) and the factor 1/(1-gamma).

    Parameters
    ----------
    log_probs, old_log_probs : Tensor, shape (B,)
        As in `importance_ratio`.
    advantages : Tensor, shape (B,)
        Estimates of A_old for the same steps.

    Returns
    -------
    Tensor, scalar
        Mean of ratio times advantage: to be maximised.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Eq. (14).
    """
    ratio = importance_ratio(log_probs, old_log_probs)
    require_same_shape(log_probs=log_probs, advantages=advantages)
    return (ratio * advantages).mean()


def kl_divergence(old: Distribution, new: Distribution) -> Tensor:
    """Mean over states of KL(old || new), exact, in nats.

    Parameters
    ----------
    old, new : Categorical or DiagonalGaussian
        The two policies' distributions in the same B states, at least one. Detach ``old`` wherever the result
        is differentiated: otherwise both sides move together and the KL stays 0.

    Returns
    -------
    Tensor, scalar

    Raises
    ------
    ValueError
        If the two are of different kinds, or of different shapes.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, Eq. (12).
    """
    if type(old) is not type(new):
        raise ValueError(
            f"KL needs two distributions of one kind, not {type(old).__name__} and "
            f"{type(new).__name__}"
        )
    return old.kl(new).mean()  # type: ignore[arg-type]  # the two are of one kind


def approx_kl(log_probs: Tensor, old_log_probs: Tensor, estimator: str = "k3") -> Tensor:
    """Estimate of KL(old || new) from the actions the old policy took.

    Our policies have the exact KL (`kl_divergence`); these estimators are what code without it uses.

    Parameters
    ----------
    log_probs, old_log_probs : Tensor, shape (B,)
        As in `importance_ratio`; the actions must have been drawn from the old policy.
    estimator : {"k1", "k2", "k3"}
        With r the ratio: k1 = -log r (unbiased, can be negative), k2 = (log r)^2 / 2 (biased, never
        negative), k3 = (r - 1) - log r (unbiased, never negative).

    Returns
    -------
    Tensor, scalar

    Raises
    ------
    ValueError
        If the shapes differ or the estimator is unknown.

    References
    ----------
    Schulman (2020), "Approximating KL divergence".
    """
    require_same_shape(log_probs=log_probs, old_log_probs=old_log_probs)
    log_ratio = log_probs - old_log_probs
    match estimator:
        case "k1":
            return -log_ratio.mean()
        case "k2":
            return 0.5 * log_ratio.square().mean()
        case "k3":
            return (torch.expm1(log_ratio) - log_ratio).mean()
    raise ValueError(f"estimator must be 'k1', 'k2' or 'k3', not {estimator!r}")


def effective_sample_size(log_probs: Tensor, old_log_probs: Tensor) -> Tensor:
    """What reweighted samples are worth, as a share of the batch: (sum r)^2 / (B sum r^2).

    Parameters
    ----------
    log_probs, old_log_probs : Tensor, shape (B,)
        As in `importance_ratio`.

    Returns
    -------
    Tensor, scalar in [1/B, 1]
        1 where all ratios agree, however large they are.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Kong (1992), "A note on importance sampling using standardized weights".
    """
    require_same_shape(log_probs=log_probs, old_log_probs=old_log_probs)
    log_ratio = log_probs - old_log_probs
    ratio = (log_ratio - log_ratio.max()).exp()  # a common factor cancels, and could overflow
    return ratio.sum().square() / ratio.square().sum() / len(ratio)

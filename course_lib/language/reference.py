"""The KL to a reference policy: as a loss, or in the reward (chapter 15).

Answers come from the policy itself, so this is KL(policy || reference): in the book's order the
policy stands where old stood in chapter 10, and the reference where new did.
"""

import torch
from torch import Tensor

from ..checks import require_same_shape


def reference_kl(log_probs: Tensor, reference_log_probs: Tensor, estimator: str = "k3") -> Tensor:
    """Estimate of KL(policy || reference) from each token, Eq. (15.6).

    Parameters
    ----------
    log_probs, reference_log_probs : Tensor, of one shape
        Of tokens that the policy drew. As a loss it is differentiated through ``log_probs``, and
        the gradient is *not* that of the KL for k1 and k3: see `kl_gradients`.
    estimator : {"k1", "k2", "k3"}
        With x = log policy - log reference: k1 = x, k2 = x^2 / 2, k3 = exp(-x) - 1 + x.

    Returns
    -------
    Tensor, of that shape, in nats

    Raises
    ------
    ValueError
        If the shapes differ or the estimator is unknown.

    References
    ----------
    Schulman (2020), "Approximating KL divergence"; Shao et al. (2024), arXiv:2402.03300, Eq. (4).
    """
    require_same_shape(log_probs=log_probs, reference_log_probs=reference_log_probs)
    x = log_probs - reference_log_probs
    match estimator:
        case "k1":
            return x
        case "k2":
            return 0.5 * x.square()
        case "k3":
            return torch.expm1(-x) + x
    raise ValueError(f"estimator must be 'k1', 'k2' or 'k3', not {estimator!r}")


def kl_in_reward(
    rewards: Tensor,
    log_probs: Tensor,
    reference_log_probs: Tensor,
    mask: Tensor,
    beta: float,
    estimator: str = "k1",
) -> Tensor:
    """Rewards less beta times the estimated KL of the whole answer, Eq. (15.8).

    Parameters
    ----------
    rewards : Tensor, shape (B,)
    log_probs, reference_log_probs, mask : Tensor, shape (B, T)
        As in `reference_kl` and `ratios.sequence_log_ratio`.
    beta : float, at least 0
    estimator : {"k1", "k2", "k3"}
        Only k1 gives the gradient of the KL.

    Returns
    -------
    Tensor, shape (B,)
        Data: it carries no gradient.

    Raises
    ------
    ValueError
        If the shapes differ or the estimator is unknown.
    """
    require_same_shape(log_probs=log_probs, mask=mask)
    require_same_shape(rewards=rewards, answers=log_probs[:, 0])
    kl = reference_kl(log_probs, reference_log_probs, estimator)
    return (rewards - beta * kl.masked_fill(~mask.bool(), 0.0).sum(-1)).detach()

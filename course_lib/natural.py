"""The natural-gradient step: as far as a KL radius allows (chapter 5)."""

import math

from torch import Tensor


def natural_step(direction: Tensor, curvature: float | Tensor, max_kl: float) -> Tensor:
    """Scale a direction x = F^-1 g so that the quadratic model of the KL reaches max_kl.

    The model says KL(step) = step^T F step / 2. Along x it equals max_kl for the factor
    ``sqrt(2 * max_kl / (x^T F x))``, and x^T F x is g^T F^-1 g if x solves F x = g.

    Parameters
    ----------
    direction : Tensor, shape (P,)
        x, in parameter units.
    curvature : float or scalar Tensor, positive
        x^T F x, without damping: damping is no part of the KL.
    max_kl : float, positive
        delta_KL, the trust region's radius in nats.

    Returns
    -------
    Tensor, shape (P,)

    Raises
    ------
    ValueError
        If curvature or max_kl is not positive and finite.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, appendix C.
    """
    curvature = float(curvature)
    for name, x in (("max_kl", max_kl), ("curvature x^T F x", curvature)):
        if not (x > 0 and math.isfinite(x)):
            raise ValueError(f"{name} must be positive and finite, not {x!r}")
    return math.sqrt(2.0 * max_kl / curvature) * direction

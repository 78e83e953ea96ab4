"""The natural-gradient step: as far as a KL radius allows (chapter 5)."""

import math

import torch
from torch import Tensor

from .checks import require_same_shape, require_shape


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
        If curvature or max_kl is not positive and finite, or a shape does not fit.

    References
    ----------
    Schulman et al. (2015), arXiv:1502.05477, appendix C.
    """
    require_shape("direction", direction, (-1,), hint="one vector (P,)")
    require_shape("curvature", torch.as_tensor(curvature), (), hint="one number")
    curvature = float(curvature)
    for name, x in (("max_kl", max_kl), ("curvature x^T F x", curvature)):
        if not (x > 0 and math.isfinite(x)):
            raise ValueError(f"{name} must be positive and finite, not {x!r}")
    return math.sqrt(2.0 * max_kl / curvature) * direction


def undamped_curvature(direction: Tensor, damped_product: Tensor, damping: float) -> float:
    """x^T F x from the product (F + damping I) x, which conjugate gradients leave behind.

    Parameters
    ----------
    direction, damped_product : Tensor, shape (P,)
        x, and (F + damping I) x: for a `ConjugateGradientResult`, ``b - residual``.
    damping : float, at least 0
        The KL knows no damping, so its share is taken out again.

    Returns
    -------
    float
        Summed in float64: it is a square, and may be smaller than float32 can hold.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    require_same_shape(direction=direction, damped_product=damped_product)
    x = direction.double()
    return (x @ (damped_product.double() - damping * x)).item()

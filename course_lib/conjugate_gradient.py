"""Conjugate gradients: solve A x = b when A is known only through its products (chapter 7)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ConjugateGradientResult:
    """An approximate solution of A x = b, and how it was reached.

    Attributes
    ----------
    x : Tensor, shape (P,)
        The solution found.
    residual : Tensor, shape (P,)
        b - A x, as the recursion carries it. So A x is ``b - residual`` without another product,
        and x^T A x is ``x @ (b - residual)``.
    residual_norms : tuple of float
        Norm of the residual before the first iteration and after each.
    reason : str
        Why it stopped: ``"tolerance"``, ``"iterations"``, or ``"curvature"`` where p^T A p was not
        positive: A is not positive definite (or not symmetric), and x is the last good iterate.
    iterates : tuple of Tensor or None
        x before the first iteration and after each, if they were asked for.
    """

    x: Tensor
    residual: Tensor
    residual_norms: tuple[float, ...]
    reason: str
    iterates: tuple[Tensor, ...] | None = None

    @property
    def iterations(self) -> int:
        """Number of iterations completed."""
        return len(self.residual_norms) - 1


def conjugate_gradient(
    linear_operator: Callable[[Tensor], Tensor],
    b: Tensor,
    iterations: int = 10,
    tolerance: float = 1e-10,
    keep_iterates: bool = False,
) -> ConjugateGradientResult:
    """Solve A x = b for a symmetric positive definite A by conjugate gradients, from x = 0.

    Every iteration takes one product with A and steps to the minimum of ``x^T A x / 2 - b^T x``
    along a direction that is A-conjugate to all before. With exact arithmetic P iterations suffice;
    far fewer do when the eigenvalues of A lie close together. A singular A is fine as long as b has
    no component in its null space.

    Parameters
    ----------
    linear_operator : callable
        Maps v, shape (P,), to A v.
    b : Tensor, shape (P,)
        All arithmetic is in its dtype.
    iterations : int, at least 0
        Most iterations to make.
    tolerance : float, at least 0
        Stop when the residual's norm falls to this fraction of the norm of b.
    keep_iterates : bool
        Keep every x on the way, for figures.

    Returns
    -------
    ConjugateGradientResult

    Raises
    ------
    ValueError
        If b or a product is not finite (the message says which), or shapes do not fit.

    References
    ----------
    Hestenes and Stiefel (1952), doi:10.6028/jres.049.044; Nocedal and Wright (2006), Algorithm 5.2.
    """
    if b.dim() != 1:
        raise ValueError(f"b must be a vector, shape (P,), not {tuple(b.shape)}")
    if iterations < 0 or not tolerance >= 0:
        raise ValueError(
            f"iterations and tolerance must not be negative, not {iterations!r} and {tolerance!r}"
        )
    x = torch.zeros_like(b)
    residual = b.detach().clone()
    direction = residual.clone()
    squared_norm = residual.dot(residual).item()
    if not math.isfinite(squared_norm):
        raise ValueError(f"b is not finite (its squared norm is {squared_norm})")
    norms, iterates = [math.sqrt(squared_norm)], [x.clone()]
    reason = "iterations"
    for i in range(iterations):
        if norms[-1] <= tolerance * norms[0]:
            reason = "tolerance"
            break
        product = linear_operator(direction)
        if product.shape != b.shape:
            raise ValueError(
                f"linear_operator returned shape {tuple(product.shape)} for a vector of shape "
                f"{tuple(b.shape)}"
            )
        curvature = direction.dot(product).item()
        if not math.isfinite(curvature):
            raise ValueError(f"linear_operator's product in iteration {i + 1} is not finite")
        if curvature <= 0.0:
            reason = "curvature"
            break
        step = squared_norm / curvature
        x.add_(direction, alpha=step)
        residual.sub_(product, alpha=step)
        previous, squared_norm = squared_norm, residual.dot(residual).item()
        direction.mul_(squared_norm / previous).add_(residual)
        norms.append(math.sqrt(squared_norm))
        if keep_iterates:
            iterates.append(x.clone())
    else:
        if norms[-1] <= tolerance * norms[0]:
            reason = "tolerance"
    return ConjugateGradientResult(
        x, residual, tuple(norms), reason, tuple(iterates) if keep_iterates else None
    )

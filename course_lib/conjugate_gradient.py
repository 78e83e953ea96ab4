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

    @property
    def relative_residual(self) -> float:
        """Norm of the residual as a share of the norm of b; 0 if b is 0."""
        return self.residual_norms[-1] / self.residual_norms[0] if self.residual_norms[0] else 0.0


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
        All arithmetic is in its dtype. Its length may be anything the dtype holds: the equation is
        solved for b scaled to about 1, by a power of two, so that no digit changes.
    iterations : int, at least 0
        Most iterations to make.
    tolerance : float, at least 0
        Stop when the residual's norm falls to this fraction of the norm of b, or to 1e-18 of it (in
        float64 1e-153), below which squares of norms are no longer accurate.
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
    _check(b, iterations, tolerance)
    scale = _power_of_two(b)
    x = torch.zeros_like(b)
    residual = b.detach() / scale
    direction = residual.clone()
    squared_norm = residual.dot(residual).item()
    norms, iterates = [math.sqrt(squared_norm)], [x.clone()]
    enough = max(tolerance, 10.0 * math.sqrt(torch.finfo(b.dtype).tiny)) * norms[0]
    reason = "iterations"
    for i in range(iterations):
        if norms[-1] <= enough:
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
    if norms[-1] <= enough:
        reason = "tolerance"
    return ConjugateGradientResult(
        x * scale,
        residual * scale,
        tuple(norm * scale for norm in norms),
        reason,
        tuple(iterate * scale for iterate in iterates) if keep_iterates else None,
    )


def _check(b: Tensor, iterations: int, tolerance: float) -> None:
    if b.dim() != 1 or not b.is_floating_point():
        raise ValueError(
            f"b must be a vector, shape (P,), of floats, not {tuple(b.shape)} {b.dtype}"
        )
    if iterations < 0 or not tolerance >= 0:
        raise ValueError(
            f"iterations and tolerance must not be negative, not {iterations!r} and {tolerance!r}"
        )
    if not torch.isfinite(b).all():
        raise ValueError("b is not finite: look at what it was computed from")


def _power_of_two(b: Tensor) -> float:
    """A power of two close to the largest magnitude in b; 1 if b is 0 or empty."""
    largest = b.detach().abs().max().item() if len(b) else 0.0
    if largest == 0.0:
        return 1.0
    tiny = torch.finfo(b.dtype).tiny  # also a power of two; what is smaller has no reciprocal
    return min(max(2.0 ** (math.frexp(largest)[1] - 1), tiny), 1.0 / tiny)

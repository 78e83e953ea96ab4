"""How fast conjugate gradients converge, and steepest descent beside them (chapter 7).

The measure is the energy norm ``sqrt(v^T A v)`` of the error: half of its square is how far the
quadratic ``x^T A x / 2 - b^T x`` still is above its minimum.
"""

import math

import torch
from torch import Tensor

from .checks import require_same_shape
from .fisher import LinearOperator


def quadratic(linear_operator: LinearOperator, b: Tensor, x: Tensor) -> float:
    """``x^T A x / 2 - b^T x``, whose minimum solves A x = b.

    Parameters
    ----------
    linear_operator : callable
        Maps v, shape (P,), to A v; A symmetric.
    b, x : Tensor, shape (P,)

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    require_same_shape(b=b, x=x)
    return (0.5 * x @ linear_operator(x) - b @ x).item()


def energy_norm(linear_operator: LinearOperator, v: Tensor) -> float:
    """``sqrt(v^T A v)``, the length that conjugate gradients make small.

    Parameters
    ----------
    linear_operator : callable
        Maps v to A v; A symmetric positive semi-definite.
    v : Tensor, shape (P,)
        Often the error x - x* of an approximate solution.
    """
    return math.sqrt(max((v @ linear_operator(v)).item(), 0.0))


def steepest_descent(
    linear_operator: LinearOperator, b: Tensor, iterations: int
) -> tuple[Tensor, ...]:
    """Solve A x = b from x = 0 by going down the gradient, each time as far as it falls.

    One product with A per iteration, as in conjugate gradients, and no memory.

    Parameters
    ----------
    linear_operator : callable
        Maps v, shape (P,), to A v; A symmetric positive definite.
    b : Tensor, shape (P,)
    iterations : int, at least 0

    Returns
    -------
    tuple of Tensor
        x before the first iteration and after each. It ends early where the residual is 0.

    Raises
    ------
    ValueError
        If iterations is negative.

    References
    ----------
    Nocedal and Wright (2006), their equation 3.26.
    """
    if iterations < 0:
        raise ValueError(f"iterations must not be negative, not {iterations!r}")
    iterates, residual = [torch.zeros_like(b)], b
    for _ in range(iterations):
        product = linear_operator(residual)
        curvature = residual @ product
        if not curvature > 0:
            break
        step = residual @ residual / curvature
        iterates.append(iterates[-1] + step * residual)
        residual = residual - step * product
    return tuple(iterates)


def steepest_descent_bound(condition: float, iterations: int) -> float:
    """Largest share of the energy norm of the error that steepest descent can leave.

    Parameters
    ----------
    condition : float, at least 1
        Condition number of A: largest over smallest eigenvalue.
    iterations : int, at least 0

    Raises
    ------
    ValueError
        If condition is smaller than 1 or iterations negative.
    """
    _check(condition, iterations)
    return ((condition - 1.0) / (condition + 1.0)) ** iterations


def conjugate_gradient_bound(condition: float, iterations: int) -> float:
    """Largest share of the energy norm of the error that conjugate gradients can leave.

    It is 1 / T_k((condition + 1) / (condition - 1)), with Chebyshev's polynomial T_k, and at most
    twice ``((sqrt(condition) - 1) / (sqrt(condition) + 1)) ** k``. Parameters and errors as in
    `steepest_descent_bound`.

    References
    ----------
    Saad (2003), "Iterative methods for sparse linear systems", Theorem 6.29.
    """
    _check(condition, iterations)
    root = math.sqrt(condition)
    rate = ((root - 1.0) / (root + 1.0)) ** iterations
    return 2.0 * rate / (1.0 + rate**2)


def _check(condition: float, iterations: int) -> None:
    if not condition >= 1.0 or iterations < 0:
        raise ValueError(
            "condition must be at least 1 and iterations at least 0, not "
            f"{condition!r} and {iterations!r}"
        )

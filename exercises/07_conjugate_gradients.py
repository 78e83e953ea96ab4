"""Exercise 07: conjugate gradients. Write the functions, then run ``pytest exercises/``."""

# %%
import numpy as np
import torch


# %%
def conjugate_gradient(linear_operator, b, iterations, tolerance):
    """Return an approximate solution x of A x = b by conjugate gradients, starting at x = 0.

    Before every iteration, the first one too, it stops if the norm of the residual b - A x is at
    most `tolerance` times the norm of b. So b = 0 gives 0 without an iteration.

    Parameters
    ----------
    linear_operator : callable
        ``linear_operator(p)`` is A p, for a tensor p of shape (P,). A is symmetric and positive
        definite.
    b : Tensor, shape (P,)
        The right side. It must not be changed.
    iterations : int, at least 1
        Most iterations to make. With rounding, more than P may be needed.
    tolerance : float, positive
        Fraction of the norm of b. The norm is meant, not its square.

    Returns
    -------
    Tensor, shape (P,)
        x after the last iteration. Every iteration takes one product with A, and there are no
        others: at x = 0 the residual is b, later it is updated. The judge counts the products.
    """
    raise NotImplementedError("Write conjugate_gradient here.")

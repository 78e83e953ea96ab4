"""Exercise 06: Fisher-vector products. Write the functions, then run ``pytest exercises/``."""

# %%
import numpy as np
import torch
from torch.autograd import grad


# %%
def flatten(tensors):
    """Return the numbers of all tensors in one vector: tensor by tensor, each row by row."""
    return torch.cat([x.reshape(-1) for x in tensors])


# %%
def fisher_vector_product(kl_fn, params, v, damping=0.0):
    """Return (F + damping I) v by differentiating the KL twice, without building F.

    It may be called many times on the same parameters; no call may change what the next returns.
    What the caller keeps in the parameters' `.grad` stays there as it is.

    Parameters
    ----------
    kl_fn : callable
        ``kl_fn(params)`` is the mean KL(old || new) over the states, a scalar tensor; the old
        policy is constant inside. The judge also uses polynomials, whose gradient is not 0.
    params : list of Tensor
        The new policy's parameters, of several shapes; P numbers in all. They require gradients.
    v : Tensor, shape (P,)
        In the order of `flatten(params)`. It counts as data, even where it carries a graph.
    damping : float, at least 0
        Added to the diagonal of F.

    Returns
    -------
    Tensor, shape (P,)
        F is the Hessian of ``kl_fn`` at `params`; at the old parameters that is the Fisher matrix.
        The product is one vector in the order of `flatten(params)`. It needs no gradient.
    """
    raise NotImplementedError("Write fisher_vector_product here.")


# %%
def gauss_newton_product(outputs_fn, M, params, v):
    """Return the mean over states of D_b^T M_b D_b v, without building the Jacobians D_b.

    It may be called many times on the same parameters; no call may change what the next returns.
    What the caller keeps in the parameters' `.grad` stays there as it is.

    Parameters
    ----------
    outputs_fn : callable
        ``outputs_fn(params)`` is a tensor of shape (B, k): k outputs of a network in B states.
    M : Tensor, shape (B, k, k)
        One symmetric positive semi-definite matrix per state; it may be singular.
    params : list of Tensor
        The network's parameters, of several shapes; P numbers in all. They require gradients.
    v : Tensor, shape (P,)
        In the order of `flatten(params)`.

    Returns
    -------
    Tensor, shape (P,)
        Row i of D_b, shape (k, P), is the derivative of output i in state b. The sum over states is
        divided by B. Second derivatives of the outputs do not enter. The product is one vector in
        the order of `flatten(params)`. It needs no gradient.
    """
    raise NotImplementedError("Write gauss_newton_product here.")

"""The Fisher matrix as a linear operator: products F v without building F (chapter 6).

F is the Hessian of the mean KL(old || new) at new = old, a P x P matrix for P parameters. There are
three ways to its products.

*Double backprop* differentiates the KL twice. `fisher_vector_product` is the form to read,
`double_backprop_operator` differentiates once and reuses that graph.

*Gauss-Newton* writes F = D^T M D, with D the Jacobian of the network's outputs and M the Fisher
matrix of the action distribution, known in closed form. `gauss_newton_vector_product` is the form
to read (any positive semi-definite M), `fisher_operator` the one to reuse for many products. For
tanh networks `network_fisher` writes both maps out, which is faster still; TRPO uses that one.

*Dense* matrices, for checking: `dense_fisher` and `fisher_from_scores`. Small networks only.

Damping adds ``damping * v``: it lifts the small eigenvalues of F, which samples know least about.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import grad

from .checks import require_shape
from .distributions import Distribution
from .parameters import flatten, unflatten

LinearOperator = Callable[[Tensor], Tensor]


def fisher_vector_product(
    kl_fn: Callable[[Tensor], Tensor], params: Tensor, v: Tensor, damping: float = 0.0
) -> Tensor:
    """(F + damping I) v by differentiating the KL twice.

    The gradient of ``grad KL . v`` is the Hessian times v, because v does not depend on the
    parameters. It costs about three gradients in arithmetic and never builds a matrix.

    Parameters
    ----------
    kl_fn : callable
        Maps a parameter vector (P,) to the mean KL(old || new), a scalar. The old side must be
        constant (detached). If it moves along, the KL is 0 everywhere and so is the product.
    params : Tensor, shape (P,)
        Where to take the Hessian: the old parameters, for the Fisher matrix.
    v : Tensor, shape (P,)
    damping : float, at least 0

    Returns
    -------
    Tensor, shape (P,)
        Without a gradient.

    Raises
    ------
    ValueError
        If v and params differ in shape, kl_fn does not return a scalar, or damping is negative.

    References
    ----------
    Pearlmutter (1994), "Fast exact multiplication by the Hessian"; Schulman et al. (2015),
    arXiv:1502.05477, appendix C.
    """
    _check(params, v, damping)
    params = params.detach().requires_grad_()
    (gradient,) = grad(_scalar(kl_fn(params)), params, create_graph=True)
    (product,) = grad(gradient, params, grad_outputs=v)
    return product + damping * v.detach()


def double_backprop_operator(
    kl: Tensor, parameters: Sequence[Tensor], damping: float = 0.0
) -> LinearOperator:
    """`fisher_vector_product` for many v at one place: the first derivative is taken only once.

    Parameters
    ----------
    kl : Tensor, scalar
        Mean KL(old || new) with its graph; the old side detached.
    parameters : sequence of Tensor
        What to differentiate by, P numbers in all.
    damping : float, at least 0

    Returns
    -------
    callable
        Maps v, shape (P,), to (F + damping I) v. Valid until the parameters change; PyTorch
        raises a RuntimeError if it is used after the network's have.
    """
    gradient = flatten(grad(kl, parameters, create_graph=True))

    def product(v: Tensor) -> Tensor:
        _check(gradient, v, damping)
        return flatten(grad(gradient, parameters, v, retain_graph=True)) + damping * v

    return product


def gauss_newton_vector_product(
    outputs_fn: Callable[[Tensor], Tensor],
    M: Tensor,
    params: Tensor,
    v: Tensor,
    damping: float = 0.0,
) -> Tensor:
    """Mean over B states of D_b^T M_b D_b v, plus damping v; D_b the Jacobian of the outputs.

    D v needs forward-mode differentiation. Two reverse passes give the same: u -> D^T u is linear,
    and its own transposed Jacobian maps v to D v (the double-vjp trick).

    Parameters
    ----------
    outputs_fn : callable
        Maps a parameter vector (P,) to the network's outputs (B, k).
    M : Tensor, shape (k, k) or (B, k, k)
        Symmetric positive semi-definite metric of the outputs. With the Fisher matrix of the
        action distribution, the result is the policy's Fisher-vector product.
    params, v : Tensor, shape (P,)
    damping : float, at least 0

    Returns
    -------
    Tensor, shape (P,)
        Without a gradient.

    Raises
    ------
    ValueError
        If shapes do not fit or damping is negative.

    References
    ----------
    Schraudolph (2002), doi:10.1162/08997660260028683; Martens (2020), arXiv:1412.1193, section 8.
    """
    _check(params, v, damping)
    params = params.detach().requires_grad_()
    outputs = outputs_fn(params)
    _check_metric(M, outputs)
    u = torch.zeros_like(outputs, requires_grad=True)
    (pulled_back,) = grad(outputs, params, u, create_graph=True)  # D^T u
    (tangent,) = grad(pulled_back, u, v, retain_graph=True)  # D v
    cotangent = (M @ tangent.unsqueeze(-1)).squeeze(-1) / len(outputs)
    (product,) = grad(outputs, params, cotangent)
    return product + damping * v.detach()


def fisher_operator(
    distribution: Distribution, parameters: Sequence[Tensor], damping: float = 0.0
) -> LinearOperator:
    """Gauss-Newton Fisher products for many v at one place: all graphs are built only once.

    A product then takes two backward passes over graphs that exist already and no forward pass.

    Parameters
    ----------
    distribution : Categorical or DiagonalGaussian
        ``policy(observations)``, with its graph.
    parameters : sequence of Tensor
        The policy's parameters, P numbers in all, log sigma among them.
    damping : float, at least 0

    Returns
    -------
    callable
        Maps v, shape (P,), to (F + damping I) v. Valid until the parameters change; PyTorch
        raises a RuntimeError if it is used after that.

    Raises
    ------
    ValueError
        If damping is negative; from the operator, if v does not have P numbers.
    """
    outputs, metric = distribution.outputs(), distribution.detach()
    us = [torch.zeros_like(x, requires_grad=True) for x in outputs]
    pulled_back = grad(outputs, parameters, us, create_graph=True)  # D^T u, linear in u
    _check(damping=damping)

    def product(v: Tensor) -> Tensor:
        tangents = grad(pulled_back, us, unflatten(v, parameters), retain_graph=True)  # D v
        cotangents = metric.fisher_product(*tangents)  # M D v
        return flatten(grad(outputs, parameters, cotangents, retain_graph=True)) + damping * v

    return product


def dense_fisher(kl_fn: Callable[[Tensor], Tensor], params: Tensor, damping: float = 0.0) -> Tensor:
    """The matrix F + damping I itself, shape (P, P): P**2 numbers, so small networks only.

    Parameters and errors as in `fisher_vector_product`.
    """
    _check(params, params, damping)
    hessian = torch.autograd.functional.hessian(lambda q: _scalar(kl_fn(q)), params.detach())
    return hessian + damping * torch.eye(len(params), dtype=params.dtype)


def fisher_from_scores(scores: Tensor, weights: Tensor | None = None) -> Tensor:
    """Fisher matrix as the second moment of the scores: E[score score^T].

    Parameters
    ----------
    scores : Tensor, shape (B, P)
        Gradients of log pi(a|s) by the parameters, one row per sample.
    weights : Tensor, shape (B,), optional
        Probability of each row, summing to 1; by default all rows count alike. With every action
        of every state as a row, the result is exact.

    Returns
    -------
    Tensor, shape (P, P)

    Raises
    ------
    ValueError
        If shapes do not fit.

    References
    ----------
    Kakade (2001), "A natural policy gradient".
    """
    if scores.dim() != 2:
        raise ValueError(f"scores must have shape (B, P), not {tuple(scores.shape)}")
    if weights is None:
        return scores.T @ scores / len(scores)
    if weights.shape != scores.shape[:1]:
        raise ValueError(
            f"weights have shape {tuple(weights.shape)}, but there are {len(scores)} scores"
        )
    return scores.T @ (weights.unsqueeze(-1) * scores)


def _check(params: Tensor | None = None, v: Tensor | None = None, damping: float = 0.0) -> None:
    if params is not None and v is not None and (params.dim() != 1 or v.shape != params.shape):
        raise ValueError(
            f"v has shape {tuple(v.shape)} and the parameters {tuple(params.shape)}; both must be "
            "one vector (P,). `parameters.flatten` makes one."
        )
    if not damping >= 0:
        raise ValueError(f"damping must not be negative, not {damping!r}")


def _scalar(kl: Tensor) -> Tensor:
    if kl.numel() != 1:
        raise ValueError(f"kl_fn must return a scalar, not shape {tuple(kl.shape)}: take the mean")
    return kl


def _check_metric(M: Tensor, outputs: Tensor) -> None:
    require_shape("outputs_fn's result", outputs, (-1, -1), hint="one row per state")
    B, k = outputs.shape
    if M.shape not in ((k, k), (B, k, k)):
        raise ValueError(f"M must have shape ({k}, {k}) or ({B}, {k}, {k}), not {tuple(M.shape)}")

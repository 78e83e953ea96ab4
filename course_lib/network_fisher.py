"""Fisher-vector products of our networks with D and D^T written out (chapter 6).

`fisher.fisher_operator` leaves both maps of F = D^T M D to autograd, for any network. For our own
networks `perceptron.linearize` writes them out. With no graph to walk and most sums done in place,
a product takes about three quarters of the time.
"""

import torch
from torch import Tensor

from .distributions import Distribution
from .fisher import LinearOperator
from .parameters import flatten, unflatten
from .perceptron import forward, layers_of, linearize
from .policies import Policy


def network_fisher_operator(
    policy: Policy,
    observations: Tensor,
    damping: float = 0.0,
    distribution: Distribution | None = None,
) -> LinearOperator:
    """`fisher_operator` for our policies, without autograd.

    Parameters
    ----------
    policy : CategoricalPolicy or GaussianPolicy
    observations : Tensor, shape (B, O)
    damping : float, at least 0
    distribution : Categorical or DiagonalGaussian, optional
        ``policy(observations)``, where it is known already.

    Returns
    -------
    callable
        Maps v, shape (P,), to (F + damping I) v at the parameters the policy has now; it stays
        valid when they change.

    Raises
    ------
    ValueError
        If damping is negative; from the operator, if v does not have P numbers.
    """
    if not damping >= 0:
        raise ValueError(f"damping must not be negative, not {damping!r}")
    net = policy.net
    with torch.no_grad():
        metric = policy(observations) if distribution is None else distribution.detach()
        layers = layers_of(net.theta.clone(), net.sizes)
        inputs, _ = forward(layers, observations, net.activation.in_place)
        push, pull = linearize(layers, inputs, net.activation.slope)
    parameters = list(policy.parameters())  # theta, and before it log sigma, if that is free
    outputs = metric.outputs()
    widths = [x.shape[-1] for x in outputs[: len(outputs) + 1 - len(parameters)]]

    @torch.no_grad()
    def product(v: Tensor) -> Tensor:
        *free, theta = unflatten(v, parameters)
        tangents = push(layers_of(theta, net.sizes)).split(widths, dim=-1)  # D v
        cotangents = metric.fisher_product(*tangents, *free)  # M D v
        pulled_back = pull(torch.cat(cotangents[: len(widths)], dim=-1))  # D^T M D v
        return flatten((*cotangents[len(widths) :], pulled_back)).add_(v, alpha=damping)

    return product

"""Fisher-vector products of our networks with D and D^T written out (chapter 6).

`fisher.fisher_operator` leaves both maps of F = D^T M D to autograd, for any network. For our own
networks they fit on one screen: `push` is forward mode, `pull` is backpropagation. With no graph to
walk and most sums done in place, a product takes about three quarters of the time.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .distributions import Distribution
from .fisher import LinearOperator
from .parameters import flatten, unflatten
from .policies import ACTIVATIONS, MLP, Policy


@torch.no_grad()
def linearize(
    net: MLP, x: Tensor
) -> tuple[Callable[[Sequence[Tensor]], Tensor], Callable[[Tensor], list[Tensor]]]:
    """The Jacobian D of a network's outputs by its parameters, as two linear functions.

    Parameters
    ----------
    net : MLP
    x : Tensor, shape (B, sizes[0])

    Returns
    -------
    push : callable
        D: from tangents of the weights and biases, in the order of ``net.parameters()``, to the
        tangent of the outputs, shape (B, sizes[-1]).
    pull : callable
        D^T: from a cotangent of the outputs to those of the weights and biases.
    """
    activation, _ = ACTIVATIONS[net.activation]
    inputs, slopes = [x], []
    for layer in net.layers[:-1]:
        out = activation(layer(inputs[-1]))
        slopes.append(1.0 - out.square() if net.activation == "tanh" else (out > 0).to(out))
        inputs.append(out)
    weights = [layer.weight.clone() for layer in net.layers]
    last = len(weights) - 1

    def push(tangents: Sequence[Tensor]) -> Tensor:
        for i in range(last + 1):
            weight, bias = tangents[2 * i], tangents[2 * i + 1]
            out = torch.addmm(bias, inputs[i], weight.t())
            if i > 0:
                out.addmm_(tangent, weights[i].t())  # noqa: F821 (set in the round before)
            tangent = out.mul_(slopes[i]) if i < last else out
        return tangent

    def pull(cotangent: Tensor) -> list[Tensor]:
        parts = []
        for i in reversed(range(last + 1)):
            parts = [transposed_product(cotangent, inputs[i]), cotangent.sum(0), *parts]
            if i > 0:
                cotangent = (cotangent @ weights[i]).mul_(slopes[i - 1])
        return parts

    return push, pull


def transposed_product(a: Tensor, b: Tensor) -> Tensor:
    """Return a^T b, shape (m, n), of a (B, m) and b (B, n).

    The CPU's matrix product takes five times longer if the narrow one of two tall matrices comes
    second.
    """
    return (b.t() @ a).t() if b.shape[1] < a.shape[1] else a.t() @ b


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
    with torch.no_grad():
        metric = policy(observations) if distribution is None else distribution.detach()
    push, pull = linearize(policy.net, observations)
    parameters = list(policy.parameters())
    free = len(parameters) - len(list(policy.net.parameters()))  # 1: log sigma is a parameter
    outputs = metric.outputs()
    widths = [x.shape[-1] for x in outputs[: len(outputs) - free]]  # of what the network puts out

    @torch.no_grad()
    def product(v: Tensor) -> Tensor:
        parts = unflatten(v, parameters)  # a module's own parameters come before its network's
        tangents = push(parts[free:]).split(widths, dim=-1)  # D v
        cotangents = metric.fisher_product(*tangents, *parts[:free])  # M D v
        pulled_back = pull(torch.cat(cotangents[: len(widths)], dim=-1))  # D^T M D v
        return flatten((*cotangents[len(widths) :], *pulled_back)).add_(v, alpha=damping)

    return product

"""Parameters as one flat vector, which is how chapters 5 to 8 think of theta.

Networks keep their parameters as a list of tensors; the mathematics wants one vector in R^P. These
functions translate, always in the order of the list.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn


def flatten(tensors: Iterable[Tensor]) -> Tensor:
    """Join tensors (parameters, or their gradients) into one new vector of shape (P,).

    Gradients flow through it; detach the result where that is not wanted.
    """
    return torch.cat([x.reshape(-1) for x in tensors])


def unflatten(vector: Tensor, like: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Cut a vector into views of the given tensors' shapes; the inverse of `flatten`.

    Parameters
    ----------
    vector : Tensor, shape (P,)
    like : sequence of Tensor
        Tensors with P numbers in all. Only their shapes are used.

    Raises
    ------
    ValueError
        If the vector does not have P numbers.
    """
    sizes = [x.numel() for x in like]
    if vector.shape != (sum(sizes),):
        raise ValueError(
            f"the vector has shape {tuple(vector.shape)}, but the parameters hold {sum(sizes)} "
            "numbers. Is it the vector of another network?"
        )
    return tuple(part.view(x.shape) for part, x in zip(vector.split(sizes), like, strict=True))


def assign(parameters: Sequence[Tensor], vector: Tensor) -> None:
    """Write a vector into the parameters, in the memory where they are.

    Rollouts read the same memory through NumPy (`MLP.numpy_forward`). Rebinding ``p.data`` would
    leave them acting with the old policy for ever, without an error.

    Parameters
    ----------
    parameters : sequence of Tensor
        Changed in place.
    vector : Tensor, shape (P,)
        The new values, of the parameters' own dtype, so that nothing is rounded.

    Raises
    ------
    ValueError
        If size or dtype do not fit.
    """
    for p in parameters:
        if p.dtype != vector.dtype:
            raise ValueError(f"the vector is {vector.dtype} but a parameter is {p.dtype}")
    with torch.no_grad():
        for p, part in zip(parameters, unflatten(vector, parameters), strict=True):
            p.copy_(part)


def functional(module: nn.Module) -> Callable[..., object]:
    """The module as a function of its parameter vector: ``f(theta, *inputs)``.

    The module itself is neither changed nor differentiated. ``functional(policy)(theta, s)`` is
    the distribution that the policy would have at theta.
    """
    names = [name for name, _ in module.named_parameters()]
    tensors = list(module.parameters())

    def at(theta: Tensor, *inputs: Tensor) -> object:
        parts = dict(zip(names, unflatten(theta, tensors), strict=True))
        return torch.func.functional_call(module, parts, inputs)

    return at

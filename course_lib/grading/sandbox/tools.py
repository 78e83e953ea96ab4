"""What a harness may use: it turns plain numbers into tensors, and a loss into its gradient.

A harness calls a submission whose arguments or answer are more than arrays. It runs in the same
process as the submission, so nothing here and nothing in a harness may hold an answer.
"""

import numpy as np

from .watch import GIVEN

EARLIER = 7.0  # what `.grad` holds before the call


def tensor(array, requires_grad: bool = False):
    """Return a tensor that shares the array's memory; what a call does to it is noticed.

    One that requires a gradient has something in its `.grad`, as a caller's may have that collects
    gradients: it must still be there after the call.

    Parameters
    ----------
    array : ndarray
        Numbers of any shape and type.
    requires_grad : bool
        Whether autograd follows what is computed from it.
    """
    import torch

    array = np.asarray(array)
    made = torch.from_numpy(array).requires_grad_(requires_grad)
    if requires_grad:
        made.grad = torch.full_like(made, EARLIER)
    return watched(made, array)


def watched(value, origin=None):
    """Return `value`, of which the judge will know whether the call changes it.

    Parameters
    ----------
    value : object
        A tensor, an array, or lists, tuples, dicts and namespaces of them and of numbers.
    origin : object, optional
        The argument, or the part of one, that it was made of; by default itself.
    """
    if GIVEN:  # the judge is watching
        look = GIVEN[0]
        origin = value if origin is None else origin
        GIVEN.append((value, id(origin), look(value, False), look(value, True)))
    return value


def without_leak(slope, like) -> np.ndarray:
    """Return a gradient that should be nothing: zeros where autograd found no path."""
    return np.zeros(np.shape(like)) if slope is None else slope


def gradient(result, leaf):
    """Return the gradient of a result with respect to a tensor, as an array of the tensor's shape.

    Parameters
    ----------
    result : object
        What the submission returned.
    leaf : torch.Tensor
        An argument that requires a gradient.

    Returns
    -------
    ndarray or None
        None if `result` does not depend on `leaf` for autograd.
    """
    import torch

    if not isinstance(result, torch.Tensor) or not result.requires_grad:
        return None
    (slope,) = torch.autograd.grad(result.sum(), leaf, retain_graph=True, allow_unused=True)
    return None if slope is None else slope.detach().numpy()

"""What a harness may use: it turns plain numbers into tensors, and a loss into its gradient.

A harness calls a submission whose arguments or answer are more than arrays. It runs in the same
process as the submission, so nothing here and nothing in a harness may hold an answer.
"""

import numpy as np


def tensor(array, requires_grad: bool = False):
    """Return a tensor that shares the array's memory, so that changes in place are noticed.

    Parameters
    ----------
    array : ndarray
        Numbers of any shape and type.
    requires_grad : bool
        Whether autograd follows what is computed from it.
    """
    import torch

    return torch.from_numpy(np.asarray(array)).requires_grad_(requires_grad)


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

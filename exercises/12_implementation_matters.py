"""Exercise 12: implementation matters. Write the functions, then run ``pytest exercises/``."""

# %%
import numpy as np
import torch


# %%
def value_clip_loss(values, targets, old_values, value_clip_range):
    """Return PPO's clipped loss of a value network.

    A value is held within `value_clip_range` of what it was before the update. Of the squared error
    of the value and the squared error of the held value, the larger one counts.

    Parameters
    ----------
    values : Tensor, shape (B,)
        The network's outputs; autograd follows them back.
    targets : Tensor, shape (B,)
        What they should be: constants.
    old_values : Tensor, shape (B,)
        The network's outputs before the update: constants.
    value_clip_range : float, positive
        How far a value may move: a distance, on the scale of the values.

    Returns
    -------
    Tensor, scalar
        Half the mean, over the samples, of the larger squared error.
    """
    raise NotImplementedError("Write value_clip_loss here.")


# %%
def update_moments(mean, variance, count, batch):
    """Return mean and variance of everything seen so far, from those before a batch.

    The answer is that of one array with all samples in it, but that array is not kept. Variances
    divide by the number of samples (ddof is 0), and no epsilon is added. At first the count is 0:
    then the batch alone decides, whatever stands in mean and variance, even NaN. Means may lie a
    million and more deviations away from 0: the variance must keep its digits there.

    Parameters
    ----------
    mean, variance : ndarray, shape (features,)
        Moments of the samples seen before. They are not changed.
    count : int, at least 0
        How many those were.
    batch : ndarray, shape (B, features)
        New samples, at least one.

    Returns
    -------
    tuple
        Mean and variance, each of shape (features,), and the count, an int, of all samples.
    """
    raise NotImplementedError("Write update_moments here.")


# %%
def orthogonal_init(gaussian, gain):
    """Return an orthogonal weight matrix of the shape of a Gaussian one.

    A tall W has orthogonal columns of length gain, and they span what the columns of the Gaussian
    matrix span. A wide W has orthogonal rows of length gain, and they span what its rows span. In
    one equation each, W^T W or W W^T is gain^2 times the identity. Signs are free, and so is every
    other choice of basis: the two products W W^T and W^T W are judged. The Gaussian matrix is the
    only source of randomness.

    Parameters
    ----------
    gaussian : ndarray, shape (outputs, inputs)
        Independent normal numbers of any scale; its columns (if tall) or rows (if wide) are independent.
    gain : float, positive
        Length of the columns or rows.

    Returns
    -------
    ndarray, shape (outputs, inputs)
    """
    raise NotImplementedError("Write orthogonal_init here.")

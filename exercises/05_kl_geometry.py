"""Exercise 05: KL geometry. Write the functions, then run ``pytest exercises/``."""

# %%
import numpy as np
import torch


# %%
def gaussian_kl(old_mean, old_log_std, new_mean, new_log_std):
    """Return KL(old || new) between two diagonal Gaussian policies, one number per state.

    Parameters
    ----------
    old_mean, new_mean : Tensor, shape (B, d)
        Means of the d action dimensions in B states.
    old_log_std, new_log_std : Tensor, shape (d,) or (B, d)
        Natural logarithms of the standard deviations (not of the variances). With shape (d,) all
        states share them. The two may differ in shape.

    Returns
    -------
    Tensor, shape (B,)
        The expectation under the old Gaussian of old minus new log-density, in nats. The dimensions
        are independent, so it is the sum of their KLs. Gradients flow to `new_mean` and
        `new_log_std`; the old tensors carry none.
    """
    raise NotImplementedError("Write gaussian_kl here.")


# %%
def fisher_from_scores(scores, weights=None):
    """Return the Fisher matrix: the expected outer product of the score with itself.

    Parameters
    ----------
    scores : Tensor, shape (B, P)
        Each row is the gradient of one log pi(a|s) with respect to the P parameters.
    weights : Tensor, shape (B,), optional
        Probability of each row; they sum to 1. Without them all rows count alike, as samples do.

    Returns
    -------
    Tensor, shape (P, P)
        Entry (i, j) is the mean, over the rows, of score i times score j. A score has expectation
        0, so the mean score of the sample is not subtracted and the mean divides by B. No gradient
        is asked for.
    """
    raise NotImplementedError("Write fisher_from_scores here.")


# %%
def natural_step(g, F, max_kl):
    """Return the step that gains most, to first order, inside a KL ball.

    It maximises g^T step subject to step^T F step / 2 <= max_kl, where the left side is the
    quadratic model of the KL.

    Parameters
    ----------
    g : Tensor, shape (P,)
        Gradient of the surrogate, which is maximised.
    F : Tensor, shape (P, P)
        Fisher matrix, symmetric and positive definite. It is exact: no damping is added.
    max_kl : float, positive
        delta_KL, the radius of the trust region in nats.

    Returns
    -------
    Tensor, shape (P,)
        A positive multiple of F^-1 g whose modelled KL is max_kl, however small g is. If g is
        exactly 0 no direction is better than another, and the step is 0. No gradient is asked for.
    """
    raise NotImplementedError("Write natural_step here.")

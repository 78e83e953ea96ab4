"""Exercise 09: TRPO in practice. Write the functions, then run ``pytest exercises/``."""

# %%
import math

import numpy as np
import torch


# %%
def gaussian_log_prob(mean, log_std, actions):
    """Return the log-density of actions under a Gaussian policy with independent dimensions.

    Parameters
    ----------
    mean : Tensor, shape (B, d)
        Mean of every action dimension in B states.
    log_std : Tensor, shape (d,) or (B, d)
        Natural logarithm of the standard deviation, shared by all states or one for each.
    actions : Tensor, shape (B, d)
        The actions as they were drawn: not clipped, also where an environment would clip them.

    Returns
    -------
    Tensor, shape (B,)
        Log-density in every state, summed over the action dimensions, constants included.
        Gradients flow to ``mean`` and ``log_std``.
    """
    ### BEGIN SOLUTION
    z = (actions - mean) / log_std.exp()
    return (-0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(dim=1)
    ### END SOLUTION


# %%
def explained_variance(values, targets):
    """Return the share of the targets' variance that the critic explains.

    Parameters
    ----------
    values : ndarray, shape (B,)
        The critic's predictions.
    targets : ndarray, shape (B,)
        What they should have been.

    Returns
    -------
    float
        One minus the variance of ``targets - values`` over the variance of ``targets``. It is 1
        for a perfect critic, 0 for one that predicts a constant, and negative for a worse one. An
        error that is the same everywhere does not count. NaN if all targets are equal. They may be
        tiny, or a million times their spread away from 0: the answer keeps its digits there.
    """
    ### BEGIN SOLUTION
    if np.ptp(targets) == 0:  # the variance of equal numbers is not always 0 in floating point
        return np.nan
    return 1 - np.var(targets - values) / np.var(targets)
    ### END SOLUTION


# %%
def finite_action_surrogate(probabilities, q_values):
    """Return the vine's estimate of the surrogate where every action was tried in every state.

    Parameters
    ----------
    probabilities : Tensor, shape (S, K)
        Of all K actions in S states under the new policy; autograd follows them.
    q_values : Tensor, shape (S, K)
        A sample of what every action is worth in every state. Used as they come, not centred.

    Returns
    -------
    Tensor, shape (S,)
        For every state the sum over its actions of probability times Q-value, Eq. (15) of the
        TRPO paper.
    """
    ### BEGIN SOLUTION
    return (probabilities * q_values).sum(dim=1)
    ### END SOLUTION


# %%
def self_normalised_surrogate(log_probs, proposal_log_probs, q_values):
    """Return the vine's estimate of the surrogate from K sampled actions in every state.

    Parameters
    ----------
    log_probs : Tensor, shape (S, K)
        Log-probability of each sampled action under the new policy; autograd follows it.
    proposal_log_probs : Tensor, shape (S, K)
        Log-probability of each under the distribution q that it was drawn from. These are data. The
        log-densities of actions with many dimensions may be as low as -1000; the two differ by at
        most 30.
    q_values : Tensor, shape (S, K)
        A sample of what each action is worth. Used as they come, not centred.

    Returns
    -------
    Tensor, shape (S,)
        For every state the mean of its Q-values under the weights w = pi / q, divided by their sum:
        sum of w Q over sum of w. This is Eq. (16) of the TRPO paper, which writes pi_old for q. The
        gradient flows through both sums.
    """
    ### BEGIN SOLUTION
    weights = torch.exp(log_probs - proposal_log_probs)
    return (weights * q_values).sum(dim=1) / weights.sum(dim=1)
    ### END SOLUTION

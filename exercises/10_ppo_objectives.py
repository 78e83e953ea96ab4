"""Exercise 10: the PPO objectives. Write the functions, then run ``pytest exercises/``."""

# %%
import numpy as np
import torch


# %%
def ppo_clip_loss(log_probs, old_log_probs, advantages, clip_range):
    """Return the clipped surrogate with its sign turned, so that a descent step improves it.

    With the ratio r = pi(a|s) / pi_old(a|s) of a step and its advantage A, the objective is the
    mean over the steps of min(r A, clip(r, 1 - clip_range, 1 + clip_range) A).

    Parameters
    ----------
    log_probs : Tensor, shape (B,)
        Log-probability of each action taken, under the new policy; autograd follows it back. It
        may lie far below -700, where the probability itself is 0 for a computer.
    old_log_probs : Tensor, shape (B,)
        The same under the policy that took the actions: constants.
    advantages : Tensor, shape (B,)
        Advantage estimates, used as they are. They count as data, even where they come from a
        critic and carry a gradient.
    clip_range : float, positive
        epsilon, less than 1.

    Returns
    -------
    Tensor, scalar
        Minus the objective. Its gradient reaches `log_probs` and not `advantages`.
    """
    raise NotImplementedError("Write ppo_clip_loss here.")


# %%
def adapt_beta(beta, kl, target_kl):
    """Return the coefficient of the KL penalty for the next update.

    Beta doubles if the KL of this update was more than 1.5 times its target, and is halved if it
    was less than the target divided by 1.5. In between, and exactly at either edge, it stays.

    Parameters
    ----------
    beta : float, positive
        The coefficient in this update.
    kl : float, at least 0
        Mean KL(old || new) of this update.
    target_kl : float, positive
        Where the KL should be.

    Returns
    -------
    float
        The new coefficient, kept within [1e-6, 1e6].
    """
    raise NotImplementedError("Write adapt_beta here.")


# %%
def approx_kl(log_probs, old_log_probs, estimator="k3"):
    """Return an estimate of KL(old || new) from actions that the old policy took.

    With r the ratio, new over old, of an action's probabilities, the estimate is the mean over the
    actions of -log r (k1), of (log r)^2 / 2 (k2), or of (r - 1) - log r (k3).

    Parameters
    ----------
    log_probs, old_log_probs : Tensor, shape (B,)
        Log-probabilities (or log-densities) of the same actions under the new and the old policy.
        They may lie far below -700, where the probability itself is 0 for a computer.
    estimator : {"k1", "k2", "k3"}
        Which estimate. The default is k3.

    Returns
    -------
    Tensor, scalar
        In nats. It is a diagnostic: no gradient is asked for.
    """
    raise NotImplementedError("Write approx_kl here.")


# %%
def early_stopping(kls, max_kl):
    """Return how many epochs an update takes if it stops once the KL exceeds a limit.

    The KL is measured after every epoch. The first epoch after which it exceeds the limit is the
    last one taken; its steps are kept, so it counts.

    Parameters
    ----------
    kls : ndarray, shape (epochs,)
        Entry k is the mean KL(old || new) over the rollout after epoch k, if that epoch is taken;
        old is always the policy that collected the rollout. At least one entry.
    max_kl : float (0 is a limit) or None
        The limit; a KL of exactly this much does not exceed it. None means no limit.

    Returns
    -------
    int
        Number of epochs taken: all of them if the KL never exceeds the limit.
    """
    raise NotImplementedError("Write early_stopping here.")
